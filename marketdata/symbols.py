"""Symbols: every way to write a stock is turned into one canonical form, ``600519.SH``.

Only A-shares are stocks here. The same six digits are different things on different exchanges: ``000001`` is a
bank in Shenzhen and the composite index in Shanghai, so an exchange that contradicts the code is refused, never
corrected.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from marketdata.exceptions import BadSymbol

# Exchange codes as vendors write them: plain, ISO 10383 MICs, Yahoo's SS, the quote terminals' SHSE/SZSE.
_EXCHANGE_NAMES = {
    "SH": "SH",
    "SS": "SH",
    "SSE": "SH",
    "SHSE": "SH",
    "XSHG": "SH",
    "SZ": "SZ",
    "SZSE": "SZ",
    "XSHE": "SZ",
    "BJ": "BJ",
    "BSE": "BJ",
    "BJSE": "BJ",
}
_NAMES = "|".join(sorted(_EXCHANGE_NAMES, key=len, reverse=True))
_PREFIXED = re.compile(rf"({_NAMES})\.?([0-9]{{6}})")
_SUFFIXED = re.compile(rf"([0-9]{{6}})\.?({_NAMES})")
_BARE = re.compile(r"[0-9]{6}")
_SEPARATORS = re.compile(r"[\s,;、]+")
# Of something else that was pasted by mistake a message shows no more.
_SHOWN_AT_MOST = 40

_EXCHANGE_OF_PREFIX = {
    "60": "SH",
    "68": "SH",
    "00": "SZ",
    "30": "SZ",
    "43": "BJ",
    "83": "BJ",
    "87": "BJ",
    "88": "BJ",
    "92": "BJ",
}
# What other codes stand for where an exchange is named; without one, 000xxx is a stock in Shenzhen.
_INDEX_PREFIXES = {"SH": ("000", "880", "999"), "SZ": ("395", "399"), "BJ": ("899",)}
_B_SHARE_PREFIXES = {"SH": ("900",), "SZ": ("200", "201")}

_INDEX = gettext_noop("“%(symbol)s” is an index, not a stock. Only A-shares are stored here.")
_B_SHARE = gettext_noop("“%(symbol)s” is a B-share. Only A-shares are stored here.")
_OTHER_EXCHANGE = gettext_noop("“%(symbol)s” names the wrong exchange. The stock %(code)s is %(canonical)s.")
_NOT_A_SHARE = gettext_noop("“%(symbol)s” is not the code of an A-share (it may be a fund or a bond).")


class Board(TextChoices):
    MAIN = "main", _("main board")
    STAR = "star", _("STAR Market")
    CHINEXT = "chinext", _("ChiNext")
    BEIJING = "beijing", _("Beijing Stock Exchange")


def parse_symbol(text: str) -> str:
    """Return the canonical form, ``600519.SH``, of a stock written in any common way.

    Takes 600519, 600519.SH, sh600519, SH.600519, 600519.XSHG, 600519.SS; case, blanks and full-width characters do
    not matter. A bare code belongs to the exchange that lists A-shares under it.
    Raises BadSymbol for anything that is not the code of an A-share, indexes and B-shares included, and for an
    exchange that contradicts the code; TypeError for a number, which has lost its leading zeros.
    """
    if not isinstance(text, str):
        raise TypeError(f"a symbol is a text such as '600519' or '000001.SZ', not {text!r} ({type(text).__name__})")
    shown = text.strip()
    shown = shown if len(shown) <= _SHOWN_AT_MOST else f"{shown[:_SHOWN_AT_MOST]}…"
    # NFKC makes full-width letters, digits and dots plain; a Chinese keyboard types 。 where a dot is meant.
    compact = "".join(unicodedata.normalize("NFKC", text).replace("。", ".").split()).upper()
    named, code = _split(compact, shown)
    exchange = _EXCHANGE_OF_PREFIX.get(code[:2])
    if _is_index(code, named):
        raise BadSymbol(_INDEX, symbol=shown)
    if _is_b_share(code, named):
        raise BadSymbol(_B_SHARE, symbol=shown)
    if exchange is None:
        raise BadSymbol(_NOT_A_SHARE, symbol=shown)
    if named not in (None, exchange):
        raise BadSymbol(_OTHER_EXCHANGE, symbol=shown, code=code, canonical=f"{code}.{exchange}")
    return f"{code}.{exchange}"


def share_symbol(text: str) -> str | None:
    """Return the canonical form as ``parse_symbol`` does; None for what is no A-share."""
    try:
        return parse_symbol(text)
    except BadSymbol:
        return None


def parse_symbols(symbols: str | Iterable[str]) -> list[str]:
    """Return canonical symbols in the order given, each once.

    A text is split at commas, semicolons, blanks and line ends, Chinese ones included. Raises BadSymbol for the
    first one that is wrong.
    """
    if isinstance(symbols, str):
        symbols = split_symbols(symbols)
    return list(dict.fromkeys(parse_symbol(symbol) for symbol in symbols))


def split_symbols(text: str) -> list[str]:
    """Return the parts of a text at commas, semicolons, blanks and line ends, Chinese ones included."""
    return [part for part in _SEPARATORS.split(unicodedata.normalize("NFKC", text)) if part]


def board_of(symbol: str) -> Board:
    """Return the board on which a canonical symbol is listed (Shenzhen's former SME board is the main board)."""
    if symbol.endswith(".BJ"):
        return Board.BEIJING
    if symbol.startswith("68"):
        return Board.STAR
    if symbol.startswith("30"):
        return Board.CHINEXT
    return Board.MAIN


def vendor_symbol(symbol: str, style: str = "sh600519") -> str:
    """Return a canonical symbol as a vendor writes it; ``style`` is how that vendor writes 600519.SH.

    Styles: ``sh600519``, ``SH600519``, ``sh.600519``, ``600519``, ``600519.XSHG``. Raises ValueError for another.
    """
    code, exchange = symbol.split(".")
    match style:
        case "sh600519":
            return exchange.lower() + code
        case "SH600519":
            return exchange + code
        case "sh.600519":
            return f"{exchange.lower()}.{code}"
        case "600519":
            return code
        case "600519.XSHG":
            return f"{code}.{ {'SH': 'XSHG', 'SZ': 'XSHE', 'BJ': 'BJSE'}[exchange] }"
    raise ValueError(f"no vendor writes symbols as {style!r}")


def _split(compact: str, shown: str) -> tuple[str | None, str]:
    """Return the exchange that is named, if one is, and the six digits."""
    if match := _PREFIXED.fullmatch(compact):
        return _EXCHANGE_NAMES[match[1]], match[2]
    if match := _SUFFIXED.fullmatch(compact):
        return _EXCHANGE_NAMES[match[2]], match[1]
    if _BARE.fullmatch(compact):
        return None, compact
    raise BadSymbol(symbol=shown)


def _is_index(code: str, named: str | None) -> bool:
    if named is None:
        return code.startswith(("399", "899", "999"))
    return code.startswith(_INDEX_PREFIXES[named])


def _is_b_share(code: str, named: str | None) -> bool:
    return any(
        code.startswith(prefixes) and named in (None, exchange) for exchange, prefixes in _B_SHARE_PREFIXES.items()
    )
