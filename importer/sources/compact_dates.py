"""Dates as vendors write them, 20241225 or 2024/12/25, and which days a range leaves out."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from importer.sources.arrays import Dates, Mask

_DATE = r"\d{8}|\d{4}([-/.])\d{1,2}\1\d{1,2}(?:[ T]0?0:00(?::00(?:\.0+)?)?)?"


def dates_of_numbers(numbers: np.ndarray[Any, np.dtype[np.integer[Any]]]) -> Dates:
    """Return the dates (datetime64[D]) that YYYYMMDD numbers stand for; NaT for one that stands for none."""
    wide = numbers.astype(np.int64)
    years, rest = np.divmod(wide, 10_000)
    months, days = np.divmod(rest, 100)
    months_since_epoch = (years - 1970) * 12 + months - 1
    first_days = months_since_epoch.astype("datetime64[M]").astype("datetime64[D]")
    dates: Dates = first_days + (days - 1)
    # The 31st of April would come out as the 1st of May.
    real = (months >= 1) & (months <= 12) & (days >= 1) & (dates.astype("datetime64[M]") == first_days)
    real &= (years >= 1900) & (years <= 2200)
    return dates if real.all() else np.where(real, dates, np.datetime64("NaT", "D"))


def dates_of_texts(texts: pd.Series[Any]) -> Dates:
    """Return the dates (datetime64[D]) that texts stand for; NaT for one that stands for none.

    Year, month, day in this order: nobody can tell 01/02/2024. A time of day other than midnight is none either.
    """
    plain = texts.str.strip()
    # pandas would take 2024 for its first day.
    whole = plain.where(plain.str.fullmatch(_DATE), "")
    dates: Dates = pd.to_datetime(whole, format="ISO8601", errors="coerce").to_numpy().astype("datetime64[D]")
    return dates


def outside(days: Dates, start: date | None, end: date | None) -> Mask:
    """Return where a day is before ``start`` or after ``end`` (None: no bound).

    A date that could not be read (NaT) is not: it has to be listed, not left out.
    """
    before = np.zeros(len(days), dtype=bool) if start is None else days < np.datetime64(start)
    return before if end is None else before | (days > np.datetime64(end))
