"""What is made of an answer, whoever sent it: its columns are checked, and it becomes a canonical frame."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from django.utils.translation import gettext_noop

from importer.sources.base import BAR_COLUMNS, BadData
from importer.sources.labels import label_of
from marketdata.texts import word

_COLUMNS = gettext_noop(
    "%(source)s sent other columns for %(symbol)s than before (%(missing)s is missing); nothing was stored. "
    "A newer version of Barvault may know them."
)
_ANOTHER = gettext_noop("%(source)s was asked for %(symbol)s and answered with %(other)s; nothing was stored.")


def require_columns(frame: pd.DataFrame, columns: Sequence[str], source: str, symbol: str) -> None:
    """Raise BadData when a column is missing."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise BadData(_COLUMNS, source=word(label_of(source)), symbol=symbol, missing=", ".join(missing))


def another_stock(source: str, symbol: str, other: str) -> BadData:
    return BadData(_ANOTHER, source=word(label_of(source)), symbol=symbol, other=other)


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame that has the columns of BAR_COLUMNS in their types, sorted by date.

    ``volume`` is int64 unless a number is missing, which validation will find; ``amount`` is rounded to 0.01 yuan,
    since some multiply it in floating point.
    """
    columns = {name: pd.to_numeric(frame[name], errors="coerce").astype("float64") for name in BAR_COLUMNS[1:]}
    bars = pd.DataFrame({"date": pd.to_datetime(frame["date"], errors="coerce"), **columns})
    bars["amount"] = bars["amount"].round(2)
    volume = bars["volume"].round()
    if volume.notna().all() and (volume.abs() < 2.0**62).all():
        bars["volume"] = volume.astype("int64")
    return bars.sort_values("date", kind="stable", ignore_index=True)


def no_bars() -> pd.DataFrame:
    """Return a canonical frame without rows."""
    return canonical(pd.DataFrame({name: pd.Series(dtype="float64") for name in BAR_COLUMNS}))
