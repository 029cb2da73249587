"""Stocks as people type them into a form: by code, or by name where the database knows it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest
from marketdata.models import Stock
from marketdata.recoding import plain_name, without_mark
from marketdata.symbols import share_symbol, split_symbols
from marketdata.texts import listed

_NAMED_AT_MOST = 5
_NOBODY = gettext_noop("No stored stock is called “%(name)s”. Write its code, such as 600519.")
_SEVERAL = gettext_noop("“%(name)s” may be %(stocks)s. Write the code of the one that is meant.")


def typed_symbols(typed: str) -> list[str] | None:
    """Return what was typed, each name as the symbol of its stock; None for nothing. What is neither stays as it is.

    Raises BadRequest for a Chinese name that no stored stock has, or that several have.
    """
    if not typed.strip():
        return None
    words = split_symbols(typed)
    # Codes are the usual case, and need no look at the names.
    if not any(_may_be_name(word) for word in words):
        return words
    stocks = [(symbol, name) for symbol, name in Stock.objects.exclude(name="").values_list("symbol", "name")]
    return [_symbol_of(word, stocks) if _may_be_name(word) else word for word in words]


def _may_be_name(word: str) -> bool:
    return not word.isdecimal() and share_symbol(word) is None


def _symbol_of(word: str, stocks: Sequence[tuple[str, str]]) -> str:
    """Return the symbol of the one stock of that name, else of the one whose name has it as a part."""
    wanted = plain_name(word)
    plain = [(symbol, name, plain_name(without_mark(name))) for symbol, name in stocks]
    found = [(symbol, name) for symbol, name, known in plain if known == wanted]
    # A single letter or digit is a slip, not a name.
    if not found and len(wanted) > 1:
        found = [(symbol, name) for symbol, name, known in plain if wanted in known]
    if len(found) == 1:
        return found[0][0]
    if found:
        shown = [f"{name} {symbol}" for symbol, name in sorted(found)[:_NAMED_AT_MOST]]
        raise BadRequest("symbols", _SEVERAL, name=word, stocks=listed(shown, more=len(found) > len(shown)))
    if word.isascii():
        # A code that is misspelt: what is wrong with it is said where codes are checked.
        return word
    raise BadRequest("symbols", _NOBODY, name=word[:40])
