"""Made-up bars for the tests of storing and reading."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

COVERED = (date(2024, 1, 2), date(2024, 12, 25))


def bars(days: Sequence[str | date], *, seed: int = 1) -> pd.DataFrame:
    """Return a frame as a source delivers it; a day's values depend on the day and the seed alone."""
    numbers = [np.random.default_rng([seed, *map(int, str(day).split("-"))]).random(6) for day in days]
    table = np.array(numbers).reshape(-1, 6)
    low = np.round(5 + 40 * table[:, 0], 2)
    return pd.DataFrame(
        {
            "date": np.array([str(day) for day in days], "datetime64[s]"),
            "open": np.round(low + table[:, 1], 2),
            "high": np.round(low + 1.5, 2),
            "low": low,
            "close": np.round(low + table[:, 2], 2),
            "volume": (1e9 * table[:, 3]).astype(np.int64),
            "amount": np.round(1e11 * table[:, 4], 2),
        }
    )


def weekdays(start: str, count: int) -> list[date]:
    """Return ``count`` weekdays from ``start`` on."""
    return [day.date() for day in pd.bdate_range(start, periods=count)]


def changed(frame: pd.DataFrame, row: int, column: str, by: float) -> pd.DataFrame:
    """Return the frame with one value changed."""
    other = frame.copy()
    other.loc[row, column] += by
    return other
