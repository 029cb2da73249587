"""How AKShare's functions are called: through the gate, and with errors that have a name.

AKShare looks at no status code and checks no answer: what it cannot read ends in whatever error its own lines run
into. The gate has told bans and silences apart before that, so what is left here is an answer that AKShare does not
understand.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import requests
from akshare.stock import stock_zh_a_sina
from akshare.utils.demjson import JSONException
from django.utils.translation import gettext_noop

from importer.sources.base import BAR_COLUMNS, BadData
from importer.sources.gate_adapter import Passage, passing
from importer.sources.labels import label_of
from marketdata.texts import word


def _javascript_errors() -> tuple[type[Exception], ...]:
    """Return the errors of AKShare's JavaScript engine: which package that is depends on the system."""
    engine = stock_zh_a_sina.py_mini_racer
    modules = [engine, getattr(engine, "py_mini_racer", engine)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    own = [each for each in found if issubclass(each, Exception) and each.__module__.startswith("py_mini_racer")]
    return tuple(dict.fromkeys(own))


# requests' JSONDecodeError is a ValueError too; SyntaxError and AttributeError come from half an answer.
UNREADABLE: tuple[type[Exception], ...] = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    SyntaxError,
    JSONException,
    requests.RequestException,
    zipfile.BadZipFile,
    *_javascript_errors(),
)

_UNREADABLE = gettext_noop(
    "%(source)s sent an answer for %(symbol)s that AKShare cannot read (%(detail)s); nothing was stored."
)
_UNREADABLE_LIST = gettext_noop("%(source)s: the answer cannot be read (%(detail)s).")
_COLUMNS = gettext_noop(
    "%(source)s sent other columns for %(symbol)s than before (%(missing)s is missing); nothing was stored. "
    "A newer version of Barvault may know them."
)
_ANOTHER = gettext_noop("%(source)s was asked for %(symbol)s and answered with %(other)s; nothing was stored.")


@contextmanager
def asking(source: str, symbol: str = "") -> Iterator[Passage]:
    """Call one function of AKShare inside the block, and nothing else.

    Raises what the gate raises, or BadData for an answer that AKShare cannot read.
    """
    with passing(source) as passage:
        try:
            yield passage
        except UNREADABLE as error:
            raise unreadable(source, symbol, error) from error


def unreadable(source: str, symbol: str, error: Exception) -> BadData:
    detail = f"{type(error).__name__}: {error}"[:200]
    return BadData(
        _UNREADABLE if symbol else _UNREADABLE_LIST, source=word(label_of(source)), symbol=symbol, detail=detail
    )


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
    since AKShare multiplies it in floating point.
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
