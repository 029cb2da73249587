"""Days as callers of the Python API give them: dates, times of pandas and numpy, ISO texts."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np

GivenDay = date | np.datetime64 | str


def parse_day(given: GivenDay) -> date:
    """Return the day. A time's day is the one of its own time zone: a frame's index gives times at midnight.

    Raises ValueError for a text that is no ISO date, and TypeError for anything else.
    """
    if isinstance(given, str):
        try:
            return date.fromisoformat(given)
        except ValueError:
            raise ValueError(f"{given!r} is not a day: write it as '2024-01-31'") from None
    if isinstance(given, np.datetime64):
        given = given.astype("datetime64[D]").item()
    # pandas' Timestamp is a datetime, and a datetime is a date: Django would compare it with its time.
    if isinstance(given, datetime):
        return given.date()
    if not isinstance(given, date):
        raise TypeError(f"a day is a date or a text such as '2024-01-31', not {given!r} ({type(given).__name__})")
    return given


def parse_bound(given: GivenDay | None) -> date | None:
    """Return the day; None for no bound. Raises as ``parse_day``."""
    return None if given is None else parse_day(given)
