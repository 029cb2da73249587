"""Take a snapshot of the market for an update: fetch its parts, keep each, and believe only what is proven.

What is proof, and why: docs/decisions/010-daily-update.md
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.utils.translation import gettext_noop

from importer.asking import AllSourcesRest, NoSourceAnswered, ask
from importer.models import Kind
from importer.snapshot_names import follow_names
from importer.snapshot_parts import forget_part, joined, keep_part, kept_part
from importer.snapshot_rows import DayTable, Row, objection, probe_objection, probes_of, read_table
from importer.sources.base import SnapshotSource, Source, SourceError
from importer.sources.labels import label_of
from importer.sources.rows import EXACT
from importer.task_requests import TaskRequest
from marketdata.models import Stock
from marketdata.store import Standing
from marketdata.store import standings as read_standings
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
    """What a snapshot of ``day`` came to: the ``parts`` that are proven, their table, and why others were not used.

    ``standings``: of the stored stocks, by the codes that it shows.
    """

    source: str
    day: date
    parts: tuple[str, ...]
    table: DayTable
    standings: Mapping[str, Standing]
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
    2. Give stocks the codes and names that it shows.
    3. Refuse a part that cannot be the finished day; forget it, so that it is asked for anew another time.
    4. Ask for the most traded stocks of each part by themselves; a part that they contradict is refused.

    Raises StopRequested; what was fetched is kept.
    """
    tables, reasons = _parts(source, day, now)
    if follow_names(tables.values(), simulated=source.simulated):
        standings = read_standings(list(Stock.objects.filter(bar_count__gt=0).values_list("symbol", flat=True)))
    proven: dict[str, DayTable] = {}
    for part, table in tables.items():
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
        else:
            forget_part(source.name, day, part)
            reasons[part] = reason
    for part, reason in reasons.items():
        logger.warning("snapshot of %s, part %r: %s", source.name, part, reason)
    refused = tuple(_not_used(source.name, part, reason) for part, reason in reasons.items())
    return Taken(source.name, day, tuple(proven), joined(list(proven.values())), standings, refused)


def _parts(
    source: SnapshotSource, day: date, now: Callable[[], datetime]
) -> tuple[dict[str, DayTable], dict[str, Text]]:
    """Return the parts that are kept or can be had, and why others cannot; those have another turn after the rest."""
    tables: dict[str, DayTable] = {}
    reasons: dict[str, Text] = {}
    for _round in range(ATTEMPTS):
        for part in source.snapshot_parts:
            if part in tables:
                continue
            rows = kept_part(source.name, day, part)
            if rows is None:
                try:
                    frame = source.snapshot(day, part)
                except SourceError as error:
                    reasons[part] = error.text
                    continue
                rows = keep_part(source.name, day, part, frame, taken_at=now())
            tables[part] = read_table(rows, day=day, precision=getattr(source, "precision", EXACT))
            reasons.pop(part, None)
    return tables, reasons


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
