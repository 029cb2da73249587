"""Look at the stored bars, stock by stock: what is missing, impossible, without its ex-date, in doubt, or old.

The rules of single bars are those of ``sources/validation.py``, the days those of a repair (``planning.py``), all
other rules those of ``marketdata.quality``. One stock's bars at a time are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
from django.utils.translation import gettext_noop

from importer.planning import repair_range
from importer.sources.rows import Precision
from importer.sources.validation import row_faults
from importer.task_requests import TaskRequest
from marketdata import quality
from marketdata.absences import absent_days
from marketdata.adjusted import occurrences_of
from marketdata.adjustment import compose
from marketdata.bar_columns import VALUES, BarColumns, Days
from marketdata.bars_table import read_bars
from marketdata.exceptions import MarketDataError, UnknownStock
from marketdata.models import Stock
from marketdata.recoding import current_symbols
from marketdata.trading_days import FIRST_DAY, known_calendar

# As coarse as the coarsest source: who delivered a bar is not looked up.
COARSEST = Precision(volume_step=100, amount_step=100.0)


class NothingStored(MarketDataError):
    code = "nothing_stored"
    default_msgid = gettext_noop("There are no bars to check. Import some first (import_bars).")


@dataclass(frozen=True)
class Checked:
    """A stock that was looked at: how many bars it has in the range, how many trading days without one count as
    suspended only because a source was asked for them, and what was found.
    """

    symbol: str
    bars: int
    taken_for_suspended: int
    findings: tuple[quality.Finding, ...]


def stocks_to_check(request: TaskRequest) -> list[Stock]:
    """Return the stocks that have bars, by symbol: those of the request, or all.

    Raises UnknownStock for a stock that is not in the database, and NothingStored.
    """
    stocks = Stock.objects.order_by("symbol")
    if request.symbols is not None:
        wanted = set(current_symbols(request.symbols).values())
        stocks = stocks.filter(symbol__in=wanted)
        if unknown := wanted - set(stocks.values_list("symbol", flat=True)):
            raise UnknownStock(symbol=min(unknown))
    found = list(stocks.filter(bar_count__gt=0))
    if not found:
        raise NothingStored
    return found


def check_stocks(request: TaskRequest, stocks: list[Stock], *, newest: date) -> Iterator[Checked]:
    """Check one stock after another; ``request`` is a repair's, ``newest`` the newest finished day.

    Changes nothing and asks no source.
    """
    open_days: Days = np.array(known_calendar().between(FIRST_DAY, newest).days, "datetime64[D]")
    for stock in stocks:
        yield _check(request, stock, open_days, newest)


def _check(request: TaskRequest, stock: Stock, open_days: Days, newest: date) -> Checked:
    bars = read_bars(stock.pk)
    findings = quality.impossible_bars(stock.symbol, bars, _faults(bars, newest, open_days), open_days)
    missing, suspended = _missing(request, stock, bars, open_days)
    if stock.last_bar is not None:
        findings += quality.gaps(stock.symbol, missing, open_days, stock.last_bar)
        findings += quality.staleness(stock.symbol, missing, stock.last_bar)
    events = compose(occurrences_of([stock.pk]).get(stock.pk, ()))
    listed, delisted = stock.listed_on, stock.delisted_on
    findings += quality.jumps(stock.symbol, bars, events, missing, open_days, listed_on=listed, delisted_on=delisted)
    findings += quality.doubtful_actions(stock.symbol, events)
    inside = bars.days <= np.datetime64(request.end)
    if request.start is not None:
        inside &= bars.days >= np.datetime64(request.start)
    chosen = quality.in_range(findings, request.start, request.end)
    return Checked(stock.symbol, int(inside.sum()), suspended, tuple(chosen))


def _missing(request: TaskRequest, stock: Stock, bars: BarColumns, open_days: Days) -> tuple[Days, int]:
    """Return the days that a repair would find, less those that a source was asked for, and how many those are.

    Days before the request's start are among the first, since a jump depends on them. The day on which a stock is
    delisted is none of its trading days.
    """
    bounds, life = repair_range(request, stock), repair_range(replace(request, start=None), stock)
    if bounds is None or life is None:
        return open_days[:0], 0
    start, end = bounds
    if stock.delisted_on is not None:
        end = min(end, stock.delisted_on - timedelta(days=1))
    first = min(start, life[0])
    absent = absent_days(stock.pk, first, end)
    repaired = quality.days_without_bar(open_days, bars.days, first, end, absent=absent)
    missing = quality.days_without_bar(repaired, bars.days, first, end, covered=stock.covered)
    suspended = (repaired >= np.datetime64(start)).sum() - (missing >= np.datetime64(start)).sum()
    return missing, int(suspended)


def _faults(bars: BarColumns, today: date, open_days: Days) -> list[str]:
    numbers = zip(VALUES, bars.values(), strict=True)
    frame = pd.DataFrame({"date": bars.days.astype("datetime64[s]"), **dict(numbers)}, copy=False)
    return row_faults(frame, today=today, precision=COARSEST, open_days=open_days)
