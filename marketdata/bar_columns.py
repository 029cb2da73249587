"""Bars of one stock as numpy columns: checked when they come from a frame, compared with what is stored. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Days = NDArray[np.datetime64]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume", "amount")

_TABLE_START = np.datetime64("1990-01-01", "D")
_TABLE_END = np.datetime64("2060-01-01", "D")


@dataclass(frozen=True, eq=False)
class BarColumns:
    """Raw bars, oldest first, each day once: ``days`` datetime64[D], prices and ``amount`` in yuan, ``volume`` in
    shares.
    """

    days: Days
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Integers
    amount: Floats

    def __len__(self) -> int:
        return len(self.days)

    def only(self, chosen: Mask) -> BarColumns:
        """Return the rows where ``chosen`` is true."""
        return BarColumns(self.days[chosen], *(getattr(self, name)[chosen] for name in VALUES))

    def values(self) -> list[NDArray[Any]]:
        """Return open, high, low, close, volume, amount."""
        return [getattr(self, name) for name in VALUES]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Which rows of a new set of bars are on a day without a stored bar, and which differ from the stored one."""

    new: Mask
    changed: Mask

    @property
    def inserted_count(self) -> int:
        return int(np.count_nonzero(self.new))

    @property
    def changed_count(self) -> int:
        return int(np.count_nonzero(self.changed))


def from_frame(frame: pd.DataFrame) -> BarColumns:
    """Return the columns of a frame of bars (date, open, high, low, close, volume, amount; other columns are left).

    Raises ValueError when dates are not ascending (a date twice included), a number is missing or not finite, or a
    volume is no whole number: sources validate before they hand over, so this is a mistake in a program.
    """
    if len(frame) == 0:
        return empty()
    days = frame["date"].to_numpy().astype("datetime64[D]")
    if not (days[1:] > days[:-1]).all() or np.isnat(days[-1]):
        raise ValueError("bars must be in ascending order of their dates, each date once")
    return BarColumns(days=days, **_numbers(frame))


def of_one_day(day: date, frame: pd.DataFrame) -> BarColumns:
    """Return the columns of bars of many stocks on one day: a row for each stock, in the frame's order.

    ``frame`` has the columns open, high, low, close, volume and amount. Raises ValueError as ``from_frame`` does.
    """
    days = np.full(len(frame), np.datetime64(day), "datetime64[D]")
    return BarColumns(days=days, **_numbers(frame))


def empty() -> BarColumns:
    """Return no bars."""
    floats = np.empty(0, np.float64)
    return BarColumns(np.empty(0, "datetime64[D]"), floats, floats, floats, floats, np.empty(0, np.int64), floats)


def compare(stored: BarColumns, offered: BarColumns) -> Comparison:
    """Compare bars with the stored ones of the same stock, to the last bit: the source does not count."""
    if len(stored) == 0:
        return Comparison(np.ones(len(offered), np.bool_), np.zeros(len(offered), np.bool_))
    places = np.searchsorted(stored.days, offered.days)
    # A day after the last stored one has no place; any stands in, since the days are compared next.
    places[places == len(stored)] = 0
    known = stored.days[places] == offered.days
    same = np.ones(len(offered), np.bool_)
    for old, new in zip(stored.values(), offered.values(), strict=True):
        same &= old[places] == new
    return Comparison(~known, known & ~same)


def _numbers(frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    numbers = {name: frame[name].to_numpy().astype(np.float64, copy=False) for name in (*PRICES, "amount")}
    if not all(np.isfinite(column).all() for column in numbers.values()):
        raise ValueError("a bar has a missing or infinite price or amount")
    volume = frame["volume"].to_numpy()
    if volume.dtype.kind not in "iu" and not (np.isfinite(volume).all() and (volume == np.floor(volume)).all()):
        raise ValueError("a bar has a volume that is not a whole number of shares")
    return {**numbers, "volume": volume.astype(np.int64, copy=False)}


def iso_dates(days: Days) -> list[str]:
    """Return dates as ISO texts; the texts of 1990 to 2059 are made once (ten times as fast as making them anew)."""
    if len(days) == 0:
        return []
    if days[0] >= _TABLE_START and days[-1] < _TABLE_END:
        texts: list[str] = _iso_table()[(days - _TABLE_START).astype(np.int64)].tolist()
        return texts
    made: list[str] = np.datetime_as_string(days).tolist()
    return made


@lru_cache(maxsize=1)
def _iso_table() -> NDArray[np.object_]:
    return np.datetime_as_string(np.arange(_TABLE_START, _TABLE_END)).astype(object)
