"""Corporate actions as they are stored: one row per stock and ex-date, from the most trusted source that has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from django.db import connection, transaction

from marketdata import queries
from marketdata.adjusted import occurrences_of
from marketdata.adjustment import Action, Status, compose
from marketdata.models import CorporateAction, Stock
from marketdata.origin import claim_origin
from marketdata.recoding import current_symbols

# Whose facts stand where two sources differ, best first: what the user gives, what a vendor records with the ex-date,
# what is put together from announcements. Sources that are not named come last, by name. So the rows that are
# stored do not depend on the order in which sources were asked.
TRUST = ("file", "tdx", "tdxquotes", "baostock", "eastmoney")
# Tables that were rounded to a millionth of a yuan or a share say the same.
TOLERANCE = 1e-6
_FACTS = ("cash_per_share", "new_shares_per_share", "rights_per_share", "rights_price")
_COLUMNS = (*_FACTS, "previous_close", "source")
# PostgreSQL takes 65,535 parameters in a statement, SQLite 32,766; a row has 8.
_BATCH = 2000


@dataclass(frozen=True)
class ListedAction:
    """A corporate action as a source lists it; ``symbol`` is canonical (``600519.SH``)."""

    symbol: str
    action: Action


@dataclass(frozen=True)
class Conflict:
    """Two sources differ about the same ex-date: ``kept`` is stored, ``refused`` is not."""

    symbol: str
    kept: Action
    kept_source: str
    refused: Action
    refused_source: str


@dataclass(frozen=True)
class ActionsResult:
    """How many actions were new, differed from the stored ones, and were the same; what was not stored, and why.

    ``unknown_symbols`` are not in the database (sorted); ``unknown_count`` is the number of their actions.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    unknown_symbols: tuple[str, ...] = ()
    unknown_count: int = 0
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class ExRight:
    """The exchange went ex by publishing ``previous_close``, and no source says why."""

    symbol: str
    ex_date: date
    previous_close: float


@dataclass(frozen=True)
class _Stored:
    action: Action
    source: str


def save_actions(actions: Iterable[ListedAction], *, source: str, simulated: bool = False) -> ActionsResult:
    """Store actions of any stocks; of two for the same stock and ex-date in ``actions`` the later one counts.

    A row is corrected by its own source or a better trusted one (TRUST); where facts differ by more than TOLERANCE
    from another source's, the conflict is listed. An action without facts, but with ``previous_close``, says that
    the exchange went ex: it never replaces facts, and facts replace it. Its previous close is kept either way,
    as is one that is stored when ``actions`` say nothing about it. Actions of stocks that are not in the
    database are not stored.

    One transaction, or a part of the caller's. Raises MixedOrigins.
    """
    offered = {(each.symbol, each.action.ex_date): each.action for each in actions}
    with transaction.atomic():
        claim_origin(simulated)
        _take_turns()
        ids = _ids_of({symbol for symbol, _ex_date in offered})
        stored = _stored_actions(list(ids.values()))
        known = {key: action for key, action in offered.items() if key[0] in ids}
        rows, conflicts = [], []
        added = changed = 0
        for (symbol, ex_date), action in sorted(known.items()):
            before = stored.get((ids[symbol], ex_date))
            after, conflict = _merged(symbol, before, _Stored(action, source))
            conflicts += [conflict] if conflict else []
            if after != before:
                rows.append(_row(ids[symbol], after))
            added += before is None
            changed += before is not None and before.action != after.action
        _write(rows)
    return ActionsResult(
        added=added,
        changed=changed,
        unchanged=len(known) - added - changed,
        unknown_symbols=tuple(sorted({symbol for symbol, _ex_date in offered if symbol not in ids})),
        unknown_count=len(offered) - len(known),
        conflicts=tuple(conflicts),
    )


def stored_actions(stock_id: int) -> list[Action]:
    """Return a stock's actions, by ex-date."""
    rows = CorporateAction.objects.filter(stock_id=stock_id).order_by("ex_date")
    return [Action(*values) for values in rows.values_list("ex_date", *_FACTS, "previous_close")]


def ex_rights_without_action() -> list[ExRight]:
    """Return every 'ex-right without a known action', by symbol and ex-date."""
    stocks = dict(
        Stock.objects.filter(corporate_actions__previous_close__isnull=False)
        .order_by("symbol")
        .distinct()
        .values_list("id", "symbol")
    )
    occurrences = occurrences_of(list(stocks))
    return [
        ExRight(symbol, event.action.ex_date, event.action.previous_close)
        for stock_id, symbol in stocks.items()
        for event in compose(occurrences.get(stock_id, ()))
        if event.status == Status.UNKNOWN_ACTION and event.action.previous_close is not None
    ]


def _merged(symbol: str, stored: _Stored | None, offered: _Stored) -> tuple[_Stored, Conflict | None]:
    """Return what is stored afterwards, and the conflict if there is one."""
    if stored is None:
        return offered, None
    winner, loser = (offered, stored) if _replaces(offered, stored) else (stored, offered)
    published = offered.action.previous_close
    if published is None:
        published = stored.action.previous_close
    after = replace(winner, action=replace(winner.action, previous_close=published))
    if winner.source == loser.source or loser.action.is_empty or _same_facts(winner.action, loser.action):
        return after, None
    return after, Conflict(symbol, winner.action, winner.source, loser.action, loser.source)


def _replaces(offered: _Stored, stored: _Stored) -> bool:
    if offered.action.is_empty or stored.action.is_empty:
        return stored.action.is_empty
    return _rank(offered.source) <= _rank(stored.source)


def _rank(source: str) -> tuple[int, str]:
    return (TRUST.index(source) if source in TRUST else len(TRUST)), source


def _same_facts(one: Action, other: Action) -> bool:
    return all(abs(getattr(one, name) - getattr(other, name)) <= TOLERANCE for name in _FACTS)


def _stored_actions(stock_ids: Sequence[int]) -> dict[tuple[int, date], _Stored]:
    rows = CorporateAction.objects.order_by()
    # Beyond a few, reading all is faster than naming each, and has no limit on parameters.
    rows = rows if len(stock_ids) > 500 else rows.filter(stock_id__in=stock_ids)
    return {
        (stock_id, ex_date): _Stored(Action(ex_date, *values), source)
        for stock_id, ex_date, *values, source in rows.values_list("stock_id", "ex_date", *_COLUMNS)
    }


def _ids_of(symbols: set[str]) -> dict[str, int]:
    current = current_symbols(symbols)
    stocks = Stock.objects.order_by()
    stocks = stocks if len(current) > 500 else stocks.filter(symbol__in=set(current.values()))
    ids = dict(stocks.values_list("symbol", "id"))
    return {asked: ids[symbol] for asked, symbol in current.items() if symbol in ids}


def _row(stock_id: int, stored: _Stored) -> CorporateAction:
    facts = {name: getattr(stored.action, name) for name in (*_FACTS, "previous_close")}
    return CorporateAction(stock_id=stock_id, ex_date=stored.action.ex_date, source=stored.source, **facts)


def _write(rows: Sequence[CorporateAction]) -> None:
    CorporateAction.objects.bulk_create(
        rows, batch_size=_BATCH, update_conflicts=True, unique_fields=["stock", "ex_date"], update_fields=_COLUMNS
    )


def _take_turns() -> None:
    # Two writers at once would each decide on what the other is about to change. SQLite's take turns anyhow.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(queries.LOCK_ORIGIN_POSTGRESQL)
