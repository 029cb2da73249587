"""How much a request is: stocks, bars and bytes, from what is known of each stock. Values in, values out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from importer.models import Kind
from importer.planning import StockFacts, work_for
from importer.task_requests import TaskRequest

# Of 365 days, 243 or so are trading days: what is assumed past the known calendar.
TRADING_SHARE = 243 / 365


@dataclass(frozen=True)
class UnknownStockFacts:
    """Of a stock that was never listed nor stored: everything has to be fetched."""

    listed_on: date | None = None
    delisted_on: date | None = None
    first_bar: date | None = None
    last_bar: date | None = None
    bar_count: int = 0
    covered_from: date | None = None
    covered_until: date | None = None


@dataclass(frozen=True)
class Size:
    """``stocks`` to fetch, ``skipped`` ones that need nothing; ``fetched`` and ``new`` bars at most.

    ``years``: calendar years that the requests span, added up over the stocks.
    """

    stocks: int
    skipped: int
    fetched: int
    new: int
    years: int


class DayCounter:
    """Counts trading days between two dates; quick enough for thousands of stocks."""

    def __init__(self, days: Sequence[date], known_until: date) -> None:
        self._days = days
        self._known_until = known_until

    def count(self, start: date, end: date) -> int:
        """Return how many trading days there are with start <= day <= end."""
        if start > end:
            return 0
        known = bisect_right(self._days, end) - bisect_left(self._days, start)
        assumed = (end - max(start - timedelta(days=1), self._known_until)).days
        return known + max(0, round(assumed * TRADING_SHARE))


def size_of(request: TaskRequest, stocks: Iterable[StockFacts], days: DayCounter) -> Size:
    """Return how much ``request`` is for ``stocks``, from a source that is asked by network or makes its bars up.

    What a repair lacks is only known once the bars are read: here it is what a stock has less than the calendar.
    """
    count = skipped = fetched = new = years = 0
    for stock in stocks:
        work = _range(request, stock, days)
        if work is None:
            skipped += 1
            continue
        start, end = work
        wanted = days.count(start, end)
        count += 1
        fetched += wanted
        new += wanted - _stored_among(stock, start, end, days)
        years += end.year - start.year + 1
    return Size(count, skipped, fetched, max(0, new), years)


def _range(request: TaskRequest, stock: StockFacts, days: DayCounter) -> tuple[date, date] | None:
    if request.kind == Kind.REPAIR:
        return _repair_range(request, stock, days)
    work = work_for(request, stock, local=False)
    return None if work is None or work.start is None else (work.start, work.end)


def _repair_range(request: TaskRequest, stock: StockFacts, days: DayCounter) -> tuple[date, date] | None:
    if stock.first_bar is None or stock.last_bar is None:
        return None
    start, end = request.start or stock.first_bar, min(request.end, stock.delisted_on or request.end)
    # Days that are known to have no bar; only who counts a repair has looked.
    known = stock.bar_count + int(getattr(stock, "absent", 0))
    if days.count(stock.first_bar, stock.last_bar) <= known and stock.last_bar >= end:
        return None
    return (start, end) if start <= end else None


def _stored_among(stock: StockFacts, start: date, end: date, days: DayCounter) -> int:
    if stock.first_bar is None or stock.last_bar is None:
        return 0
    common = days.count(max(start, stock.first_bar), min(end, stock.last_bar))
    return min(common, stock.bar_count)
