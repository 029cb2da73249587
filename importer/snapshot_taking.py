"""Take a snapshot of the market for an update: fetch its parts, keep each, and believe only what is proven.

What is proof, and why: docs/decisions/010-daily-update.md
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext_noop

from importer.asking import AllSourcesRest, NoSourceAnswered, ask
from importer.models import Kind
from importer.snapshot_parts import forget_part, joined, keep_part, kept_part
from importer.snapshot_rows import DayTable, Row, objection, probe_objection, probes_of, read_table
from importer.sources.base import Banned, SnapshotSource, Source, SourceError
from importer.sources.labels import label_of
from importer.sources.rows import EXACT
from importer.task_requests import TaskRequest
from marketdata.store import Standing
from marketdata.texts import Text, sentence, word
from marketdata.trading_days import EXCHANGE_TIME, is_final, is_trading_day

logger = logging.getLogger(__name__)

# Fewer stocks than this are asked for one by one: a snapshot is about as many requests.
WORTH_A_SNAPSHOT = 60
ATTEMPTS = 2
PROBES = 3

_NOT_USED = gettext_noop(
    "The snapshot from %(source)s (%(part)s) was not used, and its stocks are asked for one by one. %(reason)s"
)
_WHOLE = gettext_noop("whole market")
_UNCONFIRMED = gettext_noop("No source confirmed it: %(reason)s")


@dataclass(frozen=True)
class Taken:
    """What a snapshot of ``day`` came to: the ``parts`` that are proven, their table, and why others were not used."""

    source: str
    day: date
    parts: tuple[str, ...]
    table: DayTable
    refused: tuple[Text, ...] = ()


def snapshot_source(request: TaskRequest, sources: Sequence[Source], now: datetime) -> SnapshotSource | None:
    """Return the source whose snapshot an update takes at ``now``; None when it has to go stock by stock.

    It is for the whole market and its end is today's session, which is over.
    """
    today = now.astimezone(EXCHANGE_TIME).date()
    if request.kind != Kind.UPDATE or request.symbols is not None or request.refresh or request.end != today:
        return None
    if not is_trading_day(today) or not is_final(today, now):
        return None
    return next((source for source in sources if isinstance(source, SnapshotSource)), None)


def take_snapshot(
    source: SnapshotSource,
    sources: Sequence[Source],
    standings: Mapping[str, Standing],
    *,
    day: date,
    previous_day: date,
    now: Callable[[], datetime],
) -> Taken:
    """Return what the source shows of ``day``, as far as it is proven. ``sources`` may confirm it.

    1. Each part: what is kept, else asked for and kept at once.
    2. Refuse a part that cannot be the finished day; forget it, so that it is asked for anew another time.
    3. Ask for the most traded stocks of each part by themselves; a part that they contradict is refused.

    Raises StopRequested; what was fetched is kept.
    """
    proven: dict[str, DayTable] = {}
    refused: list[Text] = []
    for part in source.snapshot_parts:
        table, reason = _part(source, day, part, now)
        if table is not None:
            belonging = {
                symbol: each
                for symbol, each in standings.items()
                if symbol.endswith(part) and (each.delisted_on is None or each.delisted_on > day)
            }
            reason = objection(table, belonging, day=day, previous_day=previous_day) or _confirm(
                table, sources, probes=math.ceil(PROBES / len(source.snapshot_parts)), day=day, since=previous_day
            )
            if reason is None:
                proven[part] = table
                continue
            forget_part(source.name, day, part)
        assert reason is not None
        refused.append(_not_used(source.name, part, reason))
        logger.warning("snapshot of %s, part %r: %s", source.name, part, reason)
    return Taken(source.name, day, tuple(proven), joined(list(proven.values())), tuple(refused))


def _part(
    source: SnapshotSource, day: date, part: str, now: Callable[[], datetime]
) -> tuple[DayTable | None, Text | None]:
    rows = kept_part(source.name, day, part)
    if rows is None:
        rows, reason = _fetched(source, day, part, now)
        if rows is None:
            return None, reason
    return read_table(rows, day=day, precision=getattr(source, "precision", EXACT)), None


def _fetched(
    source: SnapshotSource, day: date, part: str, now: Callable[[], datetime]
) -> tuple[list[list[Any]] | None, Text | None]:
    reason = Text("")
    for _attempt in range(ATTEMPTS):
        try:
            frame = source.snapshot(day, part)
        except Banned as error:
            return None, error.text
        except SourceError as error:
            reason = error.text
            continue
        return keep_part(source.name, day, part, frame, taken_at=now()), None
    return None, reason


def _confirm(table: DayTable, sources: Sequence[Source], *, probes: int, day: date, since: date) -> Text | None:
    for row in probes_of(table, probes):
        reason = _contradiction(row, sources, day=day, since=since)
        if reason is not None:
            return reason
    return None


def _contradiction(row: Row, sources: Sequence[Source], *, day: date, since: date) -> Text | None:
    try:
        answer = ask(sources, row.symbol, since, day, today=day, has_history=True)
    except (NoSourceAnswered, AllSourcesRest) as error:
        return Text(_UNCONFIRMED, {"reason": sentence(error.text)})
    return probe_objection(row, answer.frame, day)


def _not_used(source: str, part: str, reason: Text) -> Text:
    values = {"source": word(label_of(source)), "part": part or word(_WHOLE), "reason": sentence(reason)}
    return Text(_NOT_USED, values)
