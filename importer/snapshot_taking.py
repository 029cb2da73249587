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
from importer.snapshot_due import PROBES, snapshot_is_due
from importer.snapshot_names import follow_names
from importer.snapshot_parts import Piece, forget_part, joined, keep_part, kept_part, of_exchange
from importer.snapshot_rows import DayTable, Row, objection, probe_objection, probes_of, read_table
from importer.sources.base import SnapshotSource, Source, SourceError
from importer.sources.labels import label_of
from importer.sources.registry import in_registry_order
from importer.sources.rows import precision_of
from importer.task_requests import TaskRequest
from marketdata.listing import symbols_with_bars
from marketdata.models import Exchange
from marketdata.store import Standing
from marketdata.store import standings as read_standings
from marketdata.texts import Text, sentence, word

logger = logging.getLogger(__name__)

ATTEMPTS = 2

_NOT_USED = gettext_noop(
    "The snapshot from %(source)s (%(part)s) was not used, and its stocks are asked for one by one. %(reason)s"
)
_WHOLE = gettext_noop("whole market")
_UNCONFIRMED = gettext_noop("No source confirmed it: %(reason)s")


@dataclass(frozen=True)
class Taken:
    """What the snapshots of ``day`` came to: the ``pieces`` that are proven, their table, and why others were not used.

    ``standings``: of the stored stocks, by the codes that are shown.
    """

    day: date
    pieces: tuple[Piece, ...]
    table: DayTable
    standings: Mapping[str, Standing]
    refused: tuple[Text, ...] = ()


def snapshot_sources(request: TaskRequest, sources: Sequence[Source], now: datetime) -> list[SnapshotSource]:
    """Return the sources whose snapshots an update takes at ``now``, best first; none when it goes stock by stock."""
    if not snapshot_is_due(request, now):
        return []
    return in_registry_order([source for source in sources if isinstance(source, SnapshotSource)])


def take_snapshot(
    shown_by: Sequence[SnapshotSource],
    sources: Sequence[Source],
    standings: Mapping[str, Standing],
    *,
    day: date,
    previous_day: date,
    now: Callable[[], datetime],
) -> Taken:
    """Return what is shown of ``day``, as far as it is proven. ``sources`` may confirm it.

    For each source of ``shown_by``, as long as an exchange is missing:
    1. Each part: what is kept, else asked for and kept at once.
    2. Give stocks the codes and names that it shows.
    3. Refuse an exchange that cannot be the finished day; forget a part of which nothing is left, so that it is asked
       for anew another time.
    4. Ask for the most traded stocks of each exchange by themselves; one that they contradict is refused.

    Raises StopRequested; what was fetched is kept.
    """
    proven: dict[str, tuple[Piece, DayTable]] = {}
    refused: dict[tuple[str, str], Text] = {}
    for source in shown_by:
        wanted = [part for part in source.snapshot_parts if set(_exchanges(source, part)) - set(proven)]
        if not wanted:
            break
        tables, failed = _parts(source, wanted, day, now)
        if follow_names(tables.values(), simulated=source.simulated):
            standings = read_standings(symbols_with_bars())
        for part in wanted:
            for exchange in _exchanges(source, part):
                if exchange in proven:
                    continue
                if part not in tables:
                    refused[source.name, exchange] = failed[part]
                    continue
                table, belonging = of_exchange(tables[part], exchange), _belonging(standings, exchange, day)
                if not table.rows and not belonging:
                    continue
                reason = _objection(source, table, sources, belonging, day=day, previous_day=previous_day)
                if reason is None:
                    proven[exchange] = Piece(source.name, part, exchange), table
                else:
                    refused[source.name, exchange] = reason
            used = {(piece.source, piece.part) for piece, _table in proven.values()}
            if part in tables and (source.name, part) not in used:
                forget_part(source.name, day, part)
    for (name, exchange), reason in refused.items():
        logger.warning("snapshot of %s, part %r: %s", name, exchange, reason)
    said = tuple(_not_used(name, each, reason) for (name, each), reason in refused.items() if each not in proven)
    pieces = tuple(piece for piece, _table in proven.values())
    return Taken(day, pieces, joined([table for _piece, table in proven.values()]), standings, said)


def _exchanges(source: SnapshotSource, part: str) -> tuple[str, ...]:
    """Return the exchanges of a part, each to be proven by itself; the simulated market is one."""
    return (part,) if part or source.simulated else tuple(Exchange.values)


def _belonging(standings: Mapping[str, Standing], exchange: str, day: date) -> dict[str, Standing]:
    return {
        symbol: each
        for symbol, each in standings.items()
        if symbol.endswith(exchange) and (each.delisted_on is None or each.delisted_on > day)
    }


def _objection(
    source: SnapshotSource,
    table: DayTable,
    sources: Sequence[Source],
    belonging: Mapping[str, Standing],
    *,
    day: date,
    previous_day: date,
) -> Text | None:
    exchanges = sum(len(_exchanges(source, part)) for part in source.snapshot_parts)
    return objection(table, belonging, day=day, previous_day=previous_day) or _confirm(
        table, sources, probes=math.ceil(PROBES / exchanges), day=day, since=previous_day
    )


def _parts(
    source: SnapshotSource, wanted: Sequence[str], day: date, now: Callable[[], datetime]
) -> tuple[dict[str, DayTable], dict[str, Text]]:
    """Return the parts that are kept or can be had, and why others cannot; those have another turn after the rest."""
    tables: dict[str, DayTable] = {}
    reasons: dict[str, Text] = {}
    for _round in range(ATTEMPTS):
        for part in wanted:
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
            tables[part] = read_table(rows, day=day, precision=precision_of(source))
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
