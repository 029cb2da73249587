"""The plan of an update of the whole market: what one snapshot decides, and which stocks are asked for singly."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from importer.company_actions import refresh_actions
from importer.day_work import MarketDay
from importer.ex_rights import find_ex_rights, note_previous_closes
from importer.index_update import large_exchanges, whole_exchanges
from importer.rights_dates import NEAR, settle_rights
from importer.snapshot_due import WORTH_A_SNAPSHOT
from importer.snapshot_rows import Decision
from importer.snapshot_taking import Taken, snapshot_sources, take_snapshot
from importer.sources.base import ListedStock, Source, SourceError
from importer.sources.registry import by_list
from importer.task_requests import DEFAULT_START, TaskRequest
from marketdata.listing import symbols_with_bars
from marketdata.recoding import current_symbols, without_mark
from marketdata.store import Standing, save_listing, standings
from marketdata.texts import Text
from marketdata.trading_days import EXCHANGE_TIME, previous_trading_day

logger = logging.getLogger(__name__)

# Who has bars of this share of the market has the market, and gets what is newly listed.
WHOLE_MARKET = 0.9


@dataclass(frozen=True)
class UpdatePlan:
    """``together``: the stocks that the snapshot seems to decide; ``singly``: those that are asked for by themselves.

    ``snapshot`` is what lanes need to know of it (None: none), as the task's row keeps it.
    """

    singly: Sequence[str]
    together: Sequence[str] = ()
    snapshot: dict[str, Any] | None = None
    findings: Sequence[Text] = field(default=())
    # Those that the database holds as a whole, so that their indexes can be compared with their bars.
    exchanges: Collection[str] = field(default=())


def plan_update(
    request: TaskRequest,
    sources: Sequence[Source],
    *,
    now: Callable[[], datetime],
    say: Callable[[date], object] = lambda day: None,
) -> UpdatePlan:
    """Return which stocks an update of the whole market needs, and how.

    1. Where one snapshot can replace many requests, take it; ``say`` is told the day before.
    2. Where an ex-right is not explained by what is stored, or days were missed, get corporate actions.
    3. Without a snapshot, look once which stocks there are now: nothing else tells of new ones. And get the corporate
       actions in any case: nothing else tells of ex-rights.

    Raises StopRequested; what was fetched is kept.
    """
    known = standings(symbols_with_bars())
    lacking = [each for each in known.values() if _lacks(each, request.end)]
    if all(source.local for source in sources):
        return UpdatePlan(sorted(known), exchanges=large_exchanges(known))
    moment = now()
    if len(lacking) < WORTH_A_SNAPSHOT:
        findings = _actions_since(sources, lacking, today=moment.astimezone(EXCHANGE_TIME).date())
        return UpdatePlan(sorted(known), findings=findings, exchanges=whole_exchanges((), known, end=request.end))
    previous_day = previous_trading_day(request.end) or request.end
    by_one_day = sum(each.known_until >= previous_day for each in lacking)
    shown_by = snapshot_sources(request, sources, moment)
    if shown_by and by_one_day >= WORTH_A_SNAPSHOT:
        say(request.end)
        taken = take_snapshot(shown_by, sources, known, day=request.end, previous_day=previous_day, now=now)
        return _by_snapshot(sources, taken, previous_day, simulated=shown_by[0].simulated)
    return _one_by_one(sources, lacking, moment.astimezone(EXCHANGE_TIME).date(), request.end)


def plan_named(request: TaskRequest, sources: Sequence[Source], *, now: datetime) -> UpdatePlan:
    """Return the plan of an update of named stocks: each is asked for by itself, and so are its corporate actions."""
    named = list(request.symbols or ())
    if request.retry_of is not None:
        return UpdatePlan(named)
    today, symbols = now.astimezone(EXCHANGE_TIME).date(), set(current_symbols(named).values())
    known = standings(sorted(symbols))
    lacking = [each for each in known.values() if _lacks(each, request.end)]
    findings = _actions_since(sources, lacking, today=today)
    if without_bars := sorted(symbols - set(known)):
        # Their whole history is fetched.
        problems = _refresh(sources, DEFAULT_START, today, without_bars)
        findings = findings or problems
    return UpdatePlan(named, findings=findings)


def _actions_since(sources: Sequence[Source], lacking: Sequence[Standing], *, today: date) -> list[Text]:
    """Get the corporate actions of these stocks since they were current; return what to say if they cannot be had.

    Also those of some days before: a source may have listed them late, and rights for a day before.
    """
    if not lacking:
        return []
    since = min(each.known_until for each in lacking) - NEAR
    return _refresh(sources, since, today, sorted(each.symbol for each in lacking))


def _refresh(sources: Sequence[Source], since: date, today: date, symbols: Sequence[str] | None = None) -> list[Text]:
    """Do what ``refresh_actions`` does; return the findings to list, none when all is well."""
    problem = refresh_actions(sources, since, today=today, symbols=symbols)
    return [problem] if problem else []


def _by_snapshot(sources: Sequence[Source], taken: Taken, previous_day: date, *, simulated: bool) -> UpdatePlan:
    known, findings = taken.standings, list(taken.refused)
    if not taken.pieces:
        return UpdatePlan(sorted(known), findings=findings + _refresh(sources, previous_day - NEAR, taken.day))
    new = _newly_listed(taken, known)
    if new:
        save_listing(new, simulated=simulated)
    current = {symbol: each for symbol, each in known.items() if previous_day <= each.known_until < taken.day}
    ex_rights = find_ex_rights(taken.table, current, taken.day)
    missed = [each for each in known.values() if each.known_until < previous_day and each.delisted_on is None]
    many_missed = len(missed) >= WORTH_A_SNAPSHOT
    # Of an exchange that was refused nobody sees the ex-rights.
    if ex_rights.open or many_missed or taken.refused:
        since = _newest_bar(missed) if many_missed else None
        # Rights may have been listed for a day before.
        findings += _refresh(sources, (since or taken.day) - NEAR, taken.day)
        settle_rights(ex_rights.open, current, taken.day)
        ex_rights = find_ex_rights(taken.table, current, taken.day)
    day = MarketDay(
        pieces=taken.pieces,
        simulated=simulated,
        day=taken.day,
        previous_day=previous_day,
        table=taken.table,
        explained=frozenset(ex_rights.explained),
        open_ex_rights=ex_rights.open,
    )
    note_previous_closes(ex_rights, taken.day, source_of=day.source_of, simulated=simulated)
    together: list[str] = []
    singly = [stock.symbol for stock in new]
    for symbol in sorted(known):
        asked = day.decide(symbol, known[symbol]) == Decision.ASK
        (singly if asked else together).append(symbol)
    exchanges = whole_exchanges((row.symbol for row in taken.table.traded()), known, end=taken.day)
    return UpdatePlan(singly, together, day.as_parameters(), findings, exchanges)


def _one_by_one(sources: Sequence[Source], lacking: Sequence[Standing], today: date, end: date) -> UpdatePlan:
    listed = _listed_now(sources)
    # The list may have given a stock another code.
    known = symbols_with_bars()
    new = [
        stock.symbol
        for stock in listed
        if stock.symbol not in known
        and stock.delisted_on is None
        and (stock.listed_on is None or stock.listed_on <= today)
    ]
    has_market = len(known) >= WHOLE_MARKET * sum(stock.delisted_on is None for stock in listed)
    findings = _refresh(sources, _newest_bar(lacking) or today, today)
    trading = [stock.symbol for stock in listed if stock.delisted_on is None]
    return UpdatePlan(
        sorted([*known, *(new if has_market else ())]),
        findings=findings,
        exchanges=whole_exchanges(trading, known, end=end),
    )


def _listed_now(sources: Sequence[Source]) -> Sequence[ListedStock]:
    """Return the list of stocks, and save it; nothing when it cannot be had: the known ones are updated anyhow."""
    for source in by_list(sources):
        try:
            listed = list(source.stocks())
        except SourceError as error:
            logger.warning("the list of stocks from %s: %s", source.name, error)
            continue
        save_listing(listed, simulated=source.simulated)
        return listed
    return ()


def _newly_listed(taken: Taken, known: Mapping[str, Standing]) -> list[ListedStock]:
    traded = taken.table.traded()
    new = [row for row in traded if row.symbol not in known]
    if len(traded) - len(new) < WHOLE_MARKET * len(traded):
        return []
    return [ListedStock(row.symbol, name=without_mark(row.name)) for row in new]


def _lacks(standing: Standing, end: date) -> bool:
    last = min(end, standing.delisted_on) if standing.delisted_on else end
    return standing.known_until < last


def _newest_bar(stocks: Iterable[Standing]) -> date | None:
    """Return the day up to which most of these were current: ex-dates after it may be unknown."""
    days = sorted(each.last_bar for each in stocks)
    return days[len(days) // 2] if days else None
