"""What a schedule runs: a request whose open ends (newest day, default source) are decided anew by each run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext_noop

from importer.api_paths import told_path
from importer.exceptions import BadRequest
from importer.models import Kind, TaskSchedule
from importer.schedule_rules import Rule
from importer.task_requests import TaskRequest, build_request
from marketdata.texts import listed

# Which fields a task of each kind may be given.
FIELDS_OF_KIND = {
    Kind.UPDATE: ("symbols", "source", "priority"),
    Kind.REPAIR: ("symbols", "source", "priority", "start_date", "end_date"),
    Kind.IMPORT: ("symbols", "source", "priority", "start_date", "end_date", "path", "refresh"),
}


@dataclass(frozen=True)
class Order:
    """Parameters of the task as they were given: None means what it means for a task that is asked for by hand."""

    kind: Kind
    symbols: tuple[str, ...] | None = None
    source: str | None = None
    start: date | None = None
    end: date | None = None
    path: str | None = None
    refresh: bool = False
    priority: int = 0

    def kept(self) -> dict[str, Any]:
        """Return the order as a row keeps it, beside its kind."""
        return {
            "symbols": list(self.symbols) if self.symbols is not None else None,
            "source": self.source,
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat() if self.end else None,
            "path": self.path,
            "refresh": self.refresh,
            "priority": self.priority,
        }

    def request(self, now: datetime, *, may_be_empty: bool = False) -> TaskRequest:
        """Return the request that a run at ``now`` makes. Raises what ``build_request`` raises."""
        return build_request(
            self.kind,
            start=self.start,
            end=self.end,
            symbols=self.symbols,
            source=self.source,
            path=self.path,
            refresh=self.refresh,
            priority=self.priority,
            now=now,
            may_be_empty=may_be_empty,
        )


def checked_order(
    kind: Kind | str,
    run_at: datetime,
    *,
    symbols: Sequence[str] | str | None = None,
    source: str | None = None,
    start: date | None = None,
    end: date | None = None,
    path: str | None = None,
    refresh: bool = False,
    priority: int = 0,
) -> Order:
    """Return the order, its symbols in canonical form; checked as a request of ``run_at``, when it runs first.

    An update may be planned before there is anything to update. Raises BadRequest or MixedOrigins.
    """
    kind = checked_kind(kind)
    for name, value in {"start_date": start, "end_date": end, "path": path, "refresh": refresh}.items():
        if value and name not in FIELDS_OF_KIND[kind]:
            raise BadRequest(name, gettext_noop("A task of the kind %(kind)s has no “%(field)s”. Leave it out."), kind=kind.value, field=name)  # fmt: skip  # noqa: E501
    given = build_request(
        kind, start=start, end=end, symbols=symbols or None, source=source, path=path, refresh=refresh,
        priority=priority, now=run_at, may_be_empty=True,
    )  # fmt: skip
    # As it is named below BARVAULT_FILES_ROOT, wherever that is when it runs.
    return Order(kind, given.symbols, source or None, start, end, told_path(given.path), refresh, priority)


def checked_kind(kind: str) -> Kind:
    """Return the kind. Raises BadRequest."""
    if kind not in Kind.values:
        raise BadRequest("kind", gettext_noop("“%(field)s” must be one of %(names)s."), field="kind", names=listed(Kind.values))  # fmt: skip  # noqa: E501
    return Kind(kind)


def order_of(schedule: TaskSchedule) -> Order:
    """Return what a schedule runs."""
    kept: Mapping[str, Any] = schedule.order_values
    return Order(
        kind=Kind(schedule.kind),
        symbols=tuple(kept["symbols"]) if kept["symbols"] is not None else None,
        source=kept["source"],
        start=date.fromisoformat(kept["start"]) if kept["start"] else None,
        end=date.fromisoformat(kept["end"]) if kept["end"] else None,
        path=kept["path"],
        refresh=kept["refresh"],
        priority=kept["priority"],
    )


def fingerprint(rule: Rule, order: Order) -> str:
    """Return what makes two schedules the same: when they run, and what, whatever its priority."""
    parts = {
        **order.kept(),
        "kind": str(order.kind),
        "rule": [str(rule.when), str(rule.at), rule.weekday, str(rule.day), rule.cron],
    }
    del parts["priority"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
