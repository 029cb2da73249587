"""What a user may ask for, checked before anything is changed, and how it becomes a task."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer import lifecycle
from importer.exceptions import BadRequest, EmptyDatabase, NotAllowedNow, NothingToRetry
from importer.models import ACTIVE, Failure, ImportTask, Kind, Status
from importer.sources.registry import get_source
from marketdata.exceptions import BadSymbol
from marketdata.models import Stock
from marketdata.origin import check_origin
from marketdata.recoding import current_symbols
from marketdata.store import current_origin
from marketdata.symbols import parse_symbol, split_symbols
from marketdata.texts import Text
from marketdata.trading_days import newest_finished_day

DEFAULT_START = date(2021, 1, 1)
EARLIEST = date(1990, 1, 1)
LANES_MAX = 64


@dataclass(frozen=True)
class TaskRequest:
    """A checked request. ``symbols`` is canonical and sorted, None for all; ``start`` None for all there is."""

    kind: Kind
    start: date | None
    end: date
    symbols: tuple[str, ...] | None
    source: str
    path: str | None = None
    refresh: bool = False
    priority: int = 0
    lanes: int | None = None
    retry_of: UUID | None = None
    note: Text | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the request as the task's row keeps it."""
        return {
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat(),
            "symbols": list(self.symbols) if self.symbols is not None else None,
            "source": self.source,
            "path": self.path,
            "refresh": self.refresh,
            "lanes": self.lanes,
        }

    def fingerprint(self) -> str:
        """Return what makes two requests the same: kind, dates, symbols, source, path, and whether to fetch again."""
        parts = {**self.parameters(), "kind": str(self.kind)}
        del parts["lanes"]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Submission:
    """The task that answers a request: a new one, or the one like it that waits, runs or is paused."""

    task: ImportTask
    existing: bool
    note: Text | None = None


def build_request(
    kind: Kind | str,
    *,
    start: date | str | None = None,
    end: date | str | None = None,
    symbols: Sequence[str] | str | None = None,
    source: str | None = None,
    path: str | None = None,
    refresh: bool = False,
    priority: int = 0,
    lanes: int | None = None,
    trusted_path: bool = False,
    now: datetime | None = None,
    may_be_empty: bool = False,
) -> TaskRequest:
    """Check a request and fill in its defaults; nothing is changed.

    ``trusted_path``: the caller may name any folder (the command line); else only below BARVAULT_FILES_ROOT.
    ``may_be_empty``: there need not be anything to update or repair yet (``now`` is a time to come).
    Raises BadRequest (with the field), EmptyDatabase (an update or repair of nothing) or MixedOrigins.
    """
    kind = Kind(kind)
    now = now or timezone.now()
    source_name = source or settings.SOURCE
    checked_path = _checked_path(path, trusted=trusted_path)
    local = _check_source(source_name, checked_path)
    newest = newest_finished_day(now)
    first, last, note = _checked_dates(as_date("start_date", start), as_date("end_date", end), newest, now)
    if kind == Kind.IMPORT and first is None and not local:
        first = DEFAULT_START
        if last < first:
            raise BadRequest("end_date", gettext_noop("The end %(end)s is before the start %(start)s. Swap them, or name an earlier start."), end=last.isoformat(), start=first.isoformat())  # fmt: skip  # noqa: E501
    if kind != Kind.IMPORT and not may_be_empty and not Stock.objects.filter(bar_count__gt=0).exists():
        raise EmptyDatabase
    check_priority(priority)
    if lanes is not None and not 1 <= lanes <= LANES_MAX:
        raise BadRequest("lanes", gettext_noop("The number of lanes %(lanes)s is not between 1 and %(most)s."), lanes=str(lanes), most=LANES_MAX)  # fmt: skip  # noqa: E501
    return TaskRequest(
        kind=kind,
        start=first,
        end=last,
        symbols=_checked_symbols(symbols, local=local),
        source=source_name,
        path=checked_path,
        refresh=refresh,
        priority=priority,
        lanes=lanes,
        note=note,
    )


def check_priority(priority: int) -> None:
    """Raise BadRequest when the priority is not one."""
    if not -10 <= priority <= 10:
        raise BadRequest("priority", gettext_noop("The priority %(priority)s is not between -10 and 10."), priority=str(priority))  # fmt: skip  # noqa: E501


def submit(request: TaskRequest, *, by: str = "") -> Submission:
    """Make the task, or return the one like it that has not ended (raising its priority if this one's is higher).

    Of many callers at once exactly one makes it: the database allows one active task per fingerprint.
    """
    fingerprint = request.fingerprint()
    for _round in range(5):
        existing = ImportTask.objects.filter(fingerprint=fingerprint, status__in=ACTIVE).first()
        if existing is not None:
            return Submission(_raise_priority(existing, request.priority, by), existing=True, note=request.note)
        try:
            with transaction.atomic():
                task = ImportTask.objects.create(
                    kind=request.kind,
                    status=Status.PENDING,
                    priority=request.priority,
                    parameters=request.parameters(),
                    fingerprint=fingerprint,
                    retry_of_id=request.retry_of,
                    requested_by=by[:80],
                    message_id=lifecycle.WAITING_TEXT.msgid,
                    total=len(request.symbols) if request.symbols is not None else 0,
                )
                lifecycle.record_creation(task)
        except IntegrityError:
            continue
        return Submission(task, existing=False, note=request.note)
    raise BadRequest("", gettext_noop("Too many requests like this one come and go at once. Try again in a moment."))


def retry(task_id: UUID | str, *, by: str = "") -> Submission:
    """Make a new task for exactly the stocks that failed in this one.

    Raises UnknownTask, NotAllowedNow while it has not ended, or NothingToRetry.
    """
    task = lifecycle.get_task(task_id)
    if task.status in ACTIVE:
        raise lifecycle.not_allowed(task, gettext_noop("retrying"))
    if task.pruned_at is not None and task.failed:
        raise NotAllowedNow(
            gettext_noop("Which stocks failed is no longer kept for this task. Start an update or a repair instead."),
            task=str(task.pk),
        )
    failed = failed_symbols(task)
    if not failed:
        raise NothingToRetry
    request = request_of(task)
    return submit(
        TaskRequest(
            kind=request.kind,
            start=request.start,
            end=request.end,
            symbols=tuple(failed),
            source=request.source,
            path=request.path,
            refresh=request.refresh,
            priority=task.priority,
            lanes=request.lanes,
            retry_of=task.pk,
        ),
        by=by,
    )


def failed_symbols(task: ImportTask) -> list[str]:
    """Return the stocks that failed in a task, sorted; findings that did not fail their stock are not among them."""
    failures = Failure.objects.filter(task=task, finding=False)
    return sorted(set(failures.values_list("symbol", flat=True)))


def request_of(task: ImportTask) -> TaskRequest:
    """Return the request that a task was made from."""
    kept = task.parameters
    return TaskRequest(
        kind=Kind(task.kind),
        start=date.fromisoformat(kept["start"]) if kept["start"] else None,
        end=date.fromisoformat(kept["end"]),
        symbols=tuple(kept["symbols"]) if kept["symbols"] is not None else None,
        source=kept["source"],
        path=kept["path"],
        refresh=kept["refresh"],
        priority=task.priority,
        lanes=kept["lanes"],
        retry_of=task.retry_of_id,
    )


def _raise_priority(task: ImportTask, priority: int, by: str) -> ImportTask:
    if priority <= task.priority:
        return task
    return lifecycle.set_priority(task.pk, priority, by=by)


def _check_source(name: str, path: str | None) -> bool:
    """Return whether the source reads this machine's files."""
    source = None if name == "auto" else get_source(name, path=path)
    check_path = getattr(source, "check_path", None)
    if check_path is not None:
        check_path()
    elif path is not None:
        raise BadRequest("path", gettext_noop("A path needs a source that reads files: tdx or files."))
    stored = current_origin()
    if stored is not None:
        check_origin(stored, source is not None and source.simulated)
    return source is not None and source.local


def _checked_path(path: str | None, *, trusted: bool) -> str | None:
    if path is None or path == "":
        return None
    if trusted:
        return str(Path(path).expanduser().resolve())
    if not settings.FILES_ROOT:
        raise BadRequest(
            "path",
            gettext_noop(
                "Folders are not read on request unless BARVAULT_FILES_ROOT names the one that holds them. "
                "Set it, or use the command line: manage.py import_bars --path."
            ),
        )
    root = Path(settings.FILES_ROOT).resolve()
    resolved = (root / path).resolve()
    if not resolved.is_relative_to(root):
        raise BadRequest("path", gettext_noop("%(path)s is outside the folder that BARVAULT_FILES_ROOT names."), path=path)  # fmt: skip  # noqa: E501
    if not os.path.exists(resolved):
        raise BadRequest("path", gettext_noop("There is no %(path)s below the folder that BARVAULT_FILES_ROOT names."), path=path)  # fmt: skip  # noqa: E501
    return str(resolved)


def _checked_dates(
    start: date | None, end: date | None, newest: date, now: datetime
) -> tuple[date | None, date, Text | None]:
    today = timezone.localtime(now).date()
    note = None
    if start is not None and start > today:
        raise BadRequest("start_date", gettext_noop("The start %(start)s is in the future."), start=start.isoformat())
    if start is not None and start < EARLIEST:
        raise BadRequest("start_date", gettext_noop("The start %(start)s is before the exchange opened (1990). Name a later one."), start=start.isoformat())  # fmt: skip  # noqa: E501
    if end is not None and end > today:
        raise BadRequest("end_date", gettext_noop("The end %(end)s is in the future. Name today or an earlier day."), end=end.isoformat())  # fmt: skip  # noqa: E501
    if end is None:
        end = newest
    elif end == today and newest < today:
        note = Text(
            gettext_noop("Today's bars are final from 16:00 on: the import ends with %(day)s."),
            {"day": newest.isoformat()},
        )
        end = newest
    if start is not None and start > end:
        raise BadRequest("end_date", gettext_noop("The end %(end)s is before the start %(start)s. Swap them, or name an earlier start."), end=end.isoformat(), start=start.isoformat())  # fmt: skip  # noqa: E501
    return start, end, note


def as_date(field: str, value: date | str | None) -> date | None:
    """Return the date; None where none was given. Raises BadRequest, with the field."""
    if value is None or value == "":
        return None
    if isinstance(value, date):
        return value
    try:
        if len(value) != 10:
            raise ValueError(value)
        return date.fromisoformat(value)
    except ValueError as error:
        raise BadRequest(field, gettext_noop("“%(value)s” is not a date. Write it as 2024-12-25."), value=str(value)) from error  # fmt: skip  # noqa: E501


def _checked_symbols(symbols: Sequence[str] | str | None, *, local: bool) -> tuple[str, ...] | None:
    if symbols is None:
        return None
    parts = split_symbols(symbols) if isinstance(symbols, str) else symbols
    named = [part for part in parts if str(part).strip()]
    if not named:
        raise BadRequest("symbols", gettext_noop("The list of symbols is empty. Leave it out to mean all stocks."))
    try:
        wanted = {parse_symbol(part) for part in named}
    except BadSymbol as error:
        raise BadRequest("symbols", error.text.msgid, **error.text.values) from error
    # Sites know a stock by its code of today; a file may be older.
    return tuple(sorted(wanted if local else set(current_symbols(wanted).values())))
