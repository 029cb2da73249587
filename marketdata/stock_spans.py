"""Stocks as columns: which days a bar is expected of, read in one plain statement.

Five thousand rows through the ORM take longer than a day's bars. Days are whole numbers here, counted from
1970-01-01, as numpy counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter

import numpy as np

from marketdata import queries
from marketdata.bar_columns import Integers, Mask
from marketdata.either_database import fetch_rows
from marketdata.exceptions import UnknownStock
from marketdata.recoding import current_symbols

_EPOCH = date(1970, 1, 1)
# Beyond a few, reading all is faster than naming each.
_FEW = 500


@dataclass(frozen=True, eq=False)
class StockSpans:
    """Stocks in one order. A bar is expected with began <= day < ended, except where none is known to be:
    covered_from <= day <= covered_until. A stock without any bar has not begun.
    """

    symbols: list[str]
    ids: list[int]
    began: Integers
    ended: Integers
    covered_from: Integers
    covered_until: Integers

    def __len__(self) -> int:
        return len(self.ids)

    def listed(self, day: int) -> Mask:
        """Say which of the stocks a bar of the day is expected of, unless they are suspended."""
        return (self.began <= day) & (day < self.ended)

    def covered(self, day: int) -> Mask:
        """Say of which of the stocks it is known that they have no bar of the day unless it is stored."""
        return (self.covered_from <= day) & (day <= self.covered_until)

    def places_of_ids(self) -> Integers:
        """Return a table of the stocks' places in this order by their id."""
        places = np.zeros(max(self.ids, default=0) + 1, np.int64)
        places[self.ids] = np.arange(len(self.ids))
        return places


def day_number(day: date) -> int:
    """Return the day as columns have it."""
    return (day - _EPOCH).days


def spans_of(symbols: Sequence[str] | None) -> StockSpans:
    """Return the stocks of these symbols (as they are stored) in this order; None: all that have bars, by symbol.

    Raises UnknownStock.
    """
    if symbols is None:
        # Sorted here: databases order texts by their own collations.
        return _columns(sorted(fetch_rows(queries.READ_SPANS_SQLITE, queries.READ_SPANS_POSTGRESQL, []), key=_SYMBOL))
    if len(symbols) > _FEW:
        rows = fetch_rows(queries.READ_ALL_SPANS_SQLITE, queries.READ_ALL_SPANS_POSTGRESQL, [])
    else:
        rows = fetch_rows(queries.READ_SPANS_OF_SQLITE, queries.READ_SPANS_OF_POSTGRESQL, [symbols])
    found = {row[0]: row for row in rows}
    for symbol in symbols:
        if symbol not in found:
            raise UnknownStock(symbol=symbol)
    return _columns([found[symbol] for symbol in symbols])


def wanted_spans(symbols: Iterable[str] | None) -> StockSpans:
    """Return the same of symbols that may be codes which Beijing gave out before, each stock once.

    Raises UnknownStock.
    """
    return spans_of(None if symbols is None else list(dict.fromkeys(current_symbols(symbols).values())))


_SYMBOL = itemgetter(0)


def _columns(rows: Sequence[tuple[str, int, int, int, int, int]]) -> StockSpans:
    symbols, ids, *days = zip(*rows, strict=True) if rows else ((),) * 6
    return StockSpans(list(symbols), list(ids), *(np.array(column, np.int64) for column in days))
