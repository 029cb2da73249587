"""The range for which a stock's source was asked and answered: one interval, without holes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

Interval = tuple[date, date]


def merged(known: Interval | None, added: Interval, next_trading_day: Callable[[date], date]) -> Interval:
    """Return the interval that is known after ``added`` was asked for.

    Intervals that overlap, or between which there is no trading day, become one. Of two with trading days between
    them, the one that ends later is kept: days in between are not known, and one interval cannot say so.
    Raises ValueError when ``added`` ends before it starts.
    """
    if added[0] > added[1]:
        raise ValueError(f"a range cannot end ({added[1]}) before it starts ({added[0]})")
    if known is None:
        return added
    first, second = sorted((known, added))
    if not _meet(first, second, next_trading_day):
        return max(known, added, key=lambda interval: interval[1])
    return first[0], max(first[1], second[1])


def without(known: Interval | None, removed: Interval) -> Interval | None:
    """Return what is still known after the bars of ``removed`` were deleted; of two pieces, the later one."""
    if known is None or removed[1] < known[0] or removed[0] > known[1]:
        return known
    if removed[1] < known[1]:
        return removed[1] + timedelta(days=1), known[1]
    if removed[0] > known[0]:
        return known[0], removed[0] - timedelta(days=1)
    return None


def _meet(first: Interval, second: Interval, next_trading_day: Callable[[date], date]) -> bool:
    # Most are seen to meet without the calendar.
    return second[0] <= first[1] + timedelta(days=1) or second[0] <= next_trading_day(first[1])
