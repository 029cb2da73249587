"""Dates written as numbers, 20241225, as vendors' files have them; and which days a range leaves out."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from importer.sources.rows import Dates, Mask


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


def outside(days: Dates, start: date | None, end: date | None) -> Mask:
    """Return where a day is before ``start`` or after ``end`` (None: no bound).

    A date that could not be read (NaT) is not: it has to be listed, not left out.
    """
    before = np.zeros(len(days), dtype=bool) if start is None else days < np.datetime64(start)
    return before if end is None else before | (days > np.datetime64(end))
