"""The one writer of bars. A stock's bars, its summary and its coverage change in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from marketdata import bars_table, coverage, queries
from marketdata.absences import forget_absent
from marketdata.bar_columns import BarColumns, compare, empty, from_frame, of_one_day
from marketdata.either_database import as_date, fetch_rows
from marketdata.exceptions import UnknownStock
from marketdata.integrity import SummaryMismatch, bars_hash, verify_summaries
from marketdata.listing import ListingResult, ensure_stocks, save_listing
from marketdata.origin import check_origin, claim_origin, current_origin
from marketdata.trading_days import next_trading_day

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ListingResult",
    "Standing",
    "StoreResult",
    "SummaryMismatch",
    "bars_hash",
    "claim_origin",
    "current_origin",
    "delete_bars",
    "ensure_stocks",
    "save_listing",
    "standings",
    "store_bars",
    "store_day",
    "verify_summaries",
]


@dataclass(frozen=True)
class StoreResult:
    """How many bars of a frame were not stored before, differed from the stored ones, and were the same."""

    inserted: int
    changed: int
    unchanged: int


@dataclass(frozen=True)
class Standing:
    """How far a stock with bars is known: its newest bar (yuan, shares, yuan), and the range that was asked for."""

    stock_id: int
    symbol: str
    last_bar: date
    open: float
    high: float
    low: float
    close: float
    volume: int
    amount: float
    covered: coverage.Interval | None = None
    delisted_on: date | None = None

    @property
    def known_until(self) -> date:
        """The day up to which it is known which days have a bar."""
        return max(self.last_bar, self.covered[1]) if self.covered else self.last_bar


@dataclass(frozen=True)
class _Summary:
    """What a Stock row says about its bars. A range is (first, last)."""

    bars: coverage.Interval | None
    count: int
    covered: coverage.Interval | None


def store_bars(
    stock_id: int,
    frame: pd.DataFrame | BarColumns,
    *,
    source: str,
    simulated: bool,
    covered: tuple[date, date] | None,
) -> StoreResult:
    """Store raw bars of one stock: insert new days, replace those that differ, leave the others alone.

    ``frame`` has the columns date, open, high, low, close (yuan), volume (shares) and amount (yuan), ascending by
    date, validated; it may be empty; as BarColumns it is what ``from_frame`` made of one, for a caller that does so
    before its transaction begins. ``covered`` is the range for which the source was asked and answered: a day
    in it without a bar is known to have none. A bar whose values are the stored ones keeps its source: it is
    remembered who delivered what is stored.

    1. Lock the stock, read its summary and the database's origin; claim the origin if nobody has.
    2. Read the stored bars of the frame's range and compare.
    3. Delete those that differ; insert them and the new ones.
    4. Count, and write the summary and the coverage if they are not what the row says.

    All of it is one transaction, or a part of the caller's. There it takes no savepoint (4 to 8 % of the time): a
    refusal comes before anything is written and leaves the caller's transaction usable; what fails in 3 or 4 fails
    that too. Raises MixedOrigins, UnknownStock, or ValueError for a frame that no validated source delivers.
    """
    bars = frame if isinstance(frame, BarColumns) else from_frame(frame)
    with _open_transaction():
        before, origin = _locked_stock(stock_id)
        if origin is None:
            claim_origin(simulated)
        else:
            check_origin(origin, simulated)
        after = coverage.merged(before.covered, covered, next_trading_day) if covered else before.covered
        with transaction.atomic(savepoint=False):
            result = _write(stock_id, before, bars, source)
            _refresh_summary(stock_id, before, after)
    return result


def standings(symbols: Sequence[str], *, lock: bool = False) -> dict[str, Standing]:
    """Return how far each stock is known, by symbol; those that have no bars are left out.

    ``lock``: the stocks are the open transaction's until it ends.
    """
    on_postgresql = queries.LOCK_STANDINGS_POSTGRESQL if lock else queries.READ_STANDINGS_POSTGRESQL
    rows = fetch_rows(queries.READ_STANDINGS_SQLITE, on_postgresql, [list(symbols)])
    found = {}
    for symbol, stock_id, last, covered_from, covered_until, delisted, opened, high, low, close, volume, amount in rows:
        if (last_bar := as_date(last)) is not None:
            covered, delisted_on = _interval(covered_from, covered_until), as_date(delisted)
            found[symbol] = Standing(
                stock_id, symbol, last_bar, opened, high, low, close, volume, amount, covered, delisted_on
            )
    return found


def store_day(
    day: date,
    extended: Sequence[Standing],
    frame: pd.DataFrame,
    *,
    without_bar: Sequence[Standing] = (),
    source: str,
    simulated: bool,
) -> None:
    """Add a day's bar to many stocks, each after its newest one; ``without_bar`` are known to have none that day.

    ``frame`` has a row for each of ``extended``, in their order: open, high, low, close (yuan), volume (shares) and
    amount (yuan), validated. The standings were read with ``lock`` in the transaction that is open, and reach up to
    the trading day before: then each summary follows without counting, and nothing that is stored is changed.

    Raises MixedOrigins, or ValueError for standings that do not fit; then the transaction is to be rolled back.
    """
    if not connection.in_atomic_block:
        raise ValueError("store_day belongs into the transaction in which the standings were read")
    if any(each.last_bar >= day for each in (*extended, *without_bar)):
        raise ValueError(f"a stock has a bar on {day} or later; store_bars replaces bars")
    claim_origin(simulated)
    if extended:
        bars_table.insert_day([each.stock_id for each in extended], source, of_one_day(day, frame))
        new_bar = [(day, *_covered_with(each, day), each.stock_id, each.last_bar) for each in extended]
        _change_all(queries.EXTEND_STOCK_SQLITE, queries.EXTEND_STOCK_POSTGRESQL, new_bar)
    if without_bar:
        no_bar = [(*_covered_with(each, day), each.stock_id, each.last_bar) for each in without_bar]
        _change_all(queries.COVER_STOCK_SQLITE, queries.COVER_STOCK_POSTGRESQL, no_bar)


def delete_bars(stock_id: int, start: date | None = None, end: date | None = None) -> int:
    """Delete the stock's bars with start <= date <= end (None: no bound); return how many there were.

    The summary stays exact, and the range no longer counts as asked for: the next import fetches it again.
    Raises UnknownStock.
    """
    removed = (start or bars_table.FIRST_DATE, end or bars_table.LAST_DATE)
    with transaction.atomic():
        before, _origin = _locked_stock(stock_id)
        with connection.cursor() as cursor:
            cursor.execute(queries.DELETE_RANGE, (stock_id, *removed))
            count: int = cursor.rowcount
        forget_absent(stock_id, *removed)
        _refresh_summary(stock_id, before, coverage.without(before.covered, removed))
    return count


def _open_transaction() -> AbstractContextManager[None]:
    """Return the caller's transaction, if it has one, else a new one."""
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


def _write(stock_id: int, before: _Summary, bars: BarColumns, source: str) -> StoreResult:
    if len(bars) == 0:
        return StoreResult(0, 0, 0)
    first, last = bars.days[0].item(), bars.days[-1].item()
    if before.bars is None or last < before.bars[0] or first > before.bars[1]:
        # The summary is exact: nothing is stored in the frame's range.
        stored = empty()
    else:
        stored = bars_table.read_bars(stock_id, first, last)
    difference = compare(stored, bars)
    inserted, changed = difference.inserted_count, difference.changed_count
    if changed:
        bars_table.delete_bars(stock_id, bars.days[difference.changed])
    if inserted == len(bars):
        bars_table.insert_bars(stock_id, source, bars)
    elif inserted or changed:
        bars_table.insert_bars(stock_id, source, bars.only(difference.new | difference.changed))
    return StoreResult(inserted, changed, len(bars) - inserted - changed)


def _locked_stock(stock_id: int) -> tuple[_Summary, str | None]:
    """Return the stock's summary and the database's origin; the stock is this transaction's until it ends."""
    row = _one_row(queries.READ_STOCK_SQLITE, queries.LOCK_STOCK_POSTGRESQL, (stock_id,))
    if row is None:
        raise UnknownStock(symbol=f"#{stock_id}")
    first, last, count, covered_from, covered_until, origin = row
    return _Summary(_interval(first, last), count, _interval(covered_from, covered_until)), origin


def _refresh_summary(stock_id: int, before: _Summary, covered: coverage.Interval | None) -> None:
    row = _one_row(queries.COUNT_BARS_SQLITE, queries.COUNT_BARS_POSTGRESQL, (stock_id,))
    first, last, count = row or (None, None, 0)
    after = replace(before, bars=_interval(first, last), count=count, covered=covered)
    if after != before:
        parameters = (*(after.bars or (None, None)), after.count, *(after.covered or (None, None)), stock_id)
        _execute(queries.WRITE_SUMMARY_SQLITE, queries.WRITE_SUMMARY_POSTGRESQL, parameters)


def _covered_with(each: Standing, day: date) -> coverage.Interval:
    return coverage.merged(each.covered, (min(each.known_until, day), day), next_trading_day)


def _change_all(on_sqlite: str, on_postgresql: str, parameters: Sequence[Sequence[Any]]) -> None:
    statement = on_postgresql if connection.vendor == "postgresql" else on_sqlite
    with connection.wrap_database_errors, closing(connection.connection.cursor()) as cursor:
        cursor.executemany(statement, parameters)
        if cursor.rowcount != len(parameters):
            raise ValueError(f"{len(parameters) - cursor.rowcount} stocks are not where their standings say")


def _one_row(on_sqlite: str, on_postgresql: str, parameters: Sequence[Any]) -> Any:
    return _execute(on_sqlite, on_postgresql, parameters).fetchone()


def _execute(on_sqlite: str, on_postgresql: str, parameters: Sequence[Any]) -> Any:
    """Run a statement on the driver's own connection (the transaction is open) and return the cursor."""
    # As Django's cursor does: what is written after an error in this transaction would be rolled back in silence.
    connection.validate_no_broken_transaction()
    statement = on_postgresql if connection.vendor == "postgresql" else on_sqlite
    with connection.wrap_database_errors:
        return connection.connection.execute(statement, parameters)


def _interval(first: date | str | None, last: date | str | None) -> coverage.Interval | None:
    if first is None or last is None:
        return None
    return _date(first), _date(last)


def _date(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value
