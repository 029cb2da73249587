"""Corporate actions from a file that the user gives: CSV, one row per stock and ex-date."""

from __future__ import annotations

import csv
import math
import struct
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from django.utils.translation import gettext_noop

from marketdata.actions import ListedAction
from marketdata.adjustment import Action
from marketdata.exceptions import BadSymbol, MarketDataError
from marketdata.symbols import parse_symbol
from marketdata.texts import sentence

COLUMNS = ("symbol", "ex_date", "cash_per_share", "new_shares_per_share", "rights_per_share", "rights_price")
# May be left out: the exchange's own previous close of the ex-date.
PREVIOUS_CLOSE = "previous_close"
# No company ever paid or gave as much for one share, but for the splits of 1992 (up to 99 new shares): announcements
# speak of ten shares, and a file that does too would be wrong tenfold.
LARGEST = {"cash_per_share": 100.0, "new_shares_per_share": 100.0, "rights_per_share": 2.0, "rights_price": 1000.0}
FIRST_YEAR, LAST_YEAR = 1990, 2100
_GBBQ_RECORD = 29

_EXPECTED = gettext_noop("The file %(path)s has no column %(missing)s. Its first line must be: %(columns)s")
_NOT_READABLE = gettext_noop("The file %(path)s cannot be read (%(detail)s).")
_NOT_TEXT = gettext_noop("The file %(path)s is not a CSV file in UTF-8.")
_LINE = gettext_noop("%(path)s, line %(line)s: %(problem)s Nothing was stored.")
_GBBQ = gettext_noop(
    "%(path)s is 通达信's gbbq file. Its records are encrypted with a table of keys that belongs to 通达信's program, "
    "which is not ours to ship, so it cannot be read here. Let a program that reads it write a CSV file "
    "whose first line is %(columns)s; cash and shares are for one share, not for ten."
)
_BAD_DATE = gettext_noop("“%(value)s” is not a date like 2024-05-31.")
_BAD_NUMBER = gettext_noop("%(column)s “%(value)s” is not a number of at least 0.")
_TOO_LARGE = gettext_noop(
    "%(column)s is %(value)s, more than any company ever gave. Numbers are for one share, not ten."
)
_SAYS_NOTHING = gettext_noop("All numbers are 0: what happened on %(ex_date)s?")
_TOO_FEW = gettext_noop("The line has too few or too many fields.")
_TWICE = gettext_noop("%(symbol)s has another action on %(ex_date)s in line %(other)s.")


class BadActionFile(MarketDataError):
    """A file of corporate actions that cannot be read, or has a row that cannot be right."""

    code = "bad_action_file"


def read_actions(path: Path) -> list[ListedAction]:
    """Return the actions of a CSV file in UTF-8, with its columns in any order; others are left.

    Columns: symbol (in any common way), ex_date (ISO), cash_per_share (yuan before tax), new_shares_per_share (bonus
    and transferred), rights_per_share, rights_price (yuan per new share) and, if known, previous_close (the
    exchange's, yuan; may be empty).
    Raises BadActionFile, naming the line, for the first row that cannot be right, and for 通达信's gbbq file.
    """
    if is_gbbq(path):
        raise BadActionFile(_GBBQ, path=str(path), columns=",".join(COLUMNS))
    found: list[ListedAction] = []
    seen: dict[tuple[str, date], tuple[int, Action]] = {}
    for line, row in _rows(path):
        try:
            listed = _listed_action(row)
            key = listed.symbol, listed.action.ex_date
            other_line, other = seen.setdefault(key, (line, listed.action))
            if other != listed.action:
                raise _BadRow(_TWICE, symbol=key[0], ex_date=key[1].isoformat(), other=other_line)
        except (_BadRow, BadSymbol) as error:
            raise BadActionFile(_LINE, path=str(path), line=line, problem=sentence(error.text)) from error
        if other_line == line:
            found.append(listed)
    return found


def is_gbbq(path: Path) -> bool:
    """Say whether this is 通达信's file of share changes: a count, and as many records of 29 bytes."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise BadActionFile(_NOT_READABLE, path=str(path), detail=error.strerror or str(error)) from error
    return len(head) == 4 and size == 4 + _GBBQ_RECORD * struct.unpack("<I", head)[0]


class _BadRow(MarketDataError):
    """What is wrong with a row; becomes a part of BadActionFile's sentence."""


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str | None, str | list[str] | None]]]:
    """Yield each row with the number of its line."""
    try:
        # utf-8-sig: Excel writes a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or ()
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise BadActionFile(_EXPECTED, path=str(path), missing=", ".join(missing), columns=",".join(COLUMNS))
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise BadActionFile(_NOT_READABLE, path=str(path), detail=error.strerror or str(error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadActionFile(_NOT_TEXT, path=str(path)) from error


def _listed_action(row: Mapping[str | None, str | list[str] | None]) -> ListedAction:
    if None in row or any(value is None for value in row.values()):
        raise _BadRow(_TOO_FEW)
    texts = {name: value.strip() for name, value in row.items() if name and isinstance(value, str)}
    ex_date = _date(texts["ex_date"])
    facts = {name: _number(name, texts[name]) for name in LARGEST}
    published = texts.get(PREVIOUS_CLOSE) or None
    action = Action(ex_date, **facts, previous_close=_number(PREVIOUS_CLOSE, published) if published else None)
    if action.is_empty and action.previous_close is None and not action.rights_price:
        raise _BadRow(_SAYS_NOTHING, ex_date=ex_date.isoformat())
    return ListedAction(parse_symbol(texts["symbol"]), action)


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise _BadRow(_BAD_DATE, value=text) from None
    if not FIRST_YEAR <= day.year < LAST_YEAR:
        raise _BadRow(_BAD_DATE, value=text)
    return day


def _number(column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise _BadRow(_BAD_NUMBER, column=column, value=text)
    if value > LARGEST.get(column, math.inf):
        raise _BadRow(_TOO_LARGE, column=column, value=text)
    return value
