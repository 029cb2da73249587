"""The days that the stand-in publishes: all since the exchange opened, and a year after them that is made up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache

from tests.sources.standin.bars import recorded_days

OPENED = date(1990, 12, 19)
# New Year, a Spring Festival, May and October: 19 weekdays without trading, as in a usual year.
HOLIDAYS = {
    (1, 1),
    *((2, day) for day in range(5, 13)),
    *((5, day) for day in range(1, 6)),
    *((10, d) for d in range(1, 8)),
}


def open_days_of(year: int) -> list[date]:
    """Return the trading days of a year that is made up."""
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    return [day for day in days if day.year == year and day.weekday() < 5 and (day.month, day.day) not in HOLIDAYS]


@lru_cache(maxsize=1)
def published_days() -> Sequence[date]:
    recorded = recorded_days(OPENED)
    return [*recorded, *open_days_of(recorded[-1].year + 1)]
