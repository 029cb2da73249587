"""How AKShare's functions are called: through the gate, and with errors that have a name.

AKShare looks at no status code and checks no answer: what it cannot read ends in whatever error its own lines run
into. The gate has told bans and silences apart before that, so what is left here is an answer that AKShare does not
understand.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from akshare.stock import stock_zh_a_sina
from akshare.utils.demjson import JSONException
from django.utils.translation import gettext_noop

from importer.sources.base import BadData
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
    ArithmeticError,
    # Of brackets without end.
    RecursionError,
    JSONException,
    requests.RequestException,
    zipfile.BadZipFile,
    *_javascript_errors(),
)

_UNREADABLE = gettext_noop(
    "%(source)s sent an answer for %(symbol)s that AKShare cannot read (%(detail)s); nothing was stored."
)
_UNREADABLE_LIST = gettext_noop("%(source)s: the answer cannot be read (%(detail)s).")


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
