"""Bars as columns of numbers: how a frame becomes them, and the one question that tells raw bars from others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from importer.sources.arrays import Dates, Floats, Mask, Places
from importer.sources.compact_dates import dates_of_texts

PRICES = ("open", "high", "low", "close")
# Average price and low..high are rounded to a tick each.
PRICE_TOLERANCE = 0.011
# A float32, as .day files keep amounts, has seven significant digits.
AMOUNT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Precision:
    """How coarse a source's numbers are: volumes in steps of shares, amounts in steps of yuan (0: exact)."""

    volume_step: int = 1
    amount_step: float = 0.0

    @property
    def volume_tolerance(self) -> int:
        # Whether a source rounds or cuts off is not known: a whole step.
        return self.volume_step if self.volume_step > 1 else 0


EXACT = Precision()


def precision_of(source: object) -> Precision:
    """Return how exactly a source tells its numbers: its ``precision``, if it has one."""
    precision: Precision = getattr(source, "precision", EXACT)
    return precision


@dataclass(frozen=True)
class Rows:
    """The columns of a frame: ``date`` datetime64[D] (NaT: not a date), all others float64 (NaN: not a number)."""

    date: Dates
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    amount: Floats

    def __len__(self) -> int:
        return len(self.date)

    def take(self, which: Mask | Places) -> Rows:
        return Rows(
            self.date[which],
            self.open[which],
            self.high[which],
            self.low[which],
            self.close[which],
            self.volume[which],
            self.amount[which],
        )


def read_rows(frame: pd.DataFrame) -> Rows:
    """Take the columns of BAR_COLUMNS out of ``frame``; what cannot be read becomes NaT or NaN, never a guess.

    A date is read from a datetime64 without time zone at midnight, a ``date``, or a text such as 2024-12-25 or
    20241225; a number that stands for a date is not taken as one.
    """
    return Rows(
        _dates(frame["date"]),
        _floats(frame["open"]),
        _floats(frame["high"]),
        _floats(frame["low"]),
        _floats(frame["close"]),
        _floats(frame["volume"]),
        _floats(frame["amount"]),
    )


def amount_fits(rows: Rows, precision: Precision = EXACT) -> Mask:
    """Return where amount / shares lies within low..high, give or take a tick and the source's precision.

    True of raw bars on every day that was looked at (11,114 days of two banks), of adjusted ones hardly ever.
    """
    slack = precision.amount_step + rows.amount * AMOUNT_TOLERANCE
    least = (rows.low - PRICE_TOLERANCE) * (rows.volume - precision.volume_tolerance)
    most = (rows.high + PRICE_TOLERANCE) * (rows.volume + precision.volume_tolerance)
    fits: Mask = (rows.amount >= least - slack) & (rows.amount <= most + slack)
    return fits


def _floats(column: pd.Series[Any]) -> Floats:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiu":
        return column.to_numpy(dtype=np.float64)
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _dates(column: pd.Series[Any]) -> Dates:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        moments = column.to_numpy()
    elif pd.api.types.is_numeric_dtype(column.dtype) or isinstance(column.dtype, pd.DatetimeTZDtype):
        # A count of what since when, or midnight where? Read as dates they would be other days.
        return np.full(len(column), np.datetime64("NaT"), dtype="datetime64[D]")
    else:
        return dates_of_texts(column.astype(str))
    days: Dates = moments.astype("datetime64[D]")
    at_midnight = days == moments
    return days if at_midnight.all() else np.where(at_midnight, days, np.datetime64("NaT", "D"))
