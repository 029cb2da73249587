"""Fetched bars against stored ones of the same days: what agrees, and what differs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

# One tick, and the rounding of a volume that was sent in lots of 100 shares.
PRICE_TOLERANCE = 0.011
VOLUME_TOLERANCE = 100
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Difference:
    """A day on which a source says something else than what is stored. ``field`` is the first one that differs."""

    day: date
    field: str
    stored: float
    fetched: float


def differences(stored: pd.DataFrame, fetched: pd.DataFrame) -> list[Difference]:
    """Return the days in both frames (columns of BAR_COLUMNS) whose prices differ by more than a tick, or whose
    volume differs by more than a lot. Amounts are not compared: sources round them differently.
    """
    if stored.empty or fetched.empty:
        return []
    both = stored.merge(fetched, on="date", suffixes=("_stored", "_fetched"))
    if both.empty:
        return []
    off = {
        field: np.abs(both[f"{field}_stored"].to_numpy() - both[f"{field}_fetched"].to_numpy())
        > (VOLUME_TOLERANCE if field == "volume" else PRICE_TOLERANCE)
        for field in (*PRICES, "volume")
    }
    any_off = np.logical_or.reduce(list(off.values()))
    found = []
    for at in np.flatnonzero(any_off):
        field = next(name for name, values in off.items() if values[at])
        row = both.iloc[int(at)]
        found.append(
            Difference(row["date"].date(), field, float(row[f"{field}_stored"]), float(row[f"{field}_fetched"]))
        )
    return found
