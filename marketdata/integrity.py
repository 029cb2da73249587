"""Is what is stored what it claims to be? Summaries against a count, and one hash over all bars."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Max, Min
from numpy.typing import NDArray

from marketdata.bar_columns import PRICES, BarColumns
from marketdata.bars_table import read_bars
from marketdata.models import Bar, Stock

_Summary = tuple[date | None, date | None, int]


@dataclass(frozen=True)
class SummaryMismatch:
    """A stock whose row says something else about its bars than a count does: each is (first, last, number)."""

    symbol: str
    stored: _Summary
    counted: _Summary


def verify_summaries() -> list[SummaryMismatch]:
    """Return every stock whose summary is not what a count says; bars of no stock as symbol ``#id``.

    Reads the whole bars table (seconds on 20 million rows). While an import runs, a stock that is stored between
    the two readings may be listed for no reason: ask again.
    """
    nothing: _Summary = (None, None, 0)
    counted: dict[int, _Summary] = {
        stock_id: (first, last, count)
        for stock_id, first, last, count in Bar.objects.values("stock_id")
        .annotate(first=Min("date"), last=Max("date"), count=Count("date"))
        .values_list("stock_id", "first", "last", "count")
    }
    found = []
    stocks = Stock.objects.order_by("symbol").values_list("id", "symbol", "first_bar", "last_bar", "bar_count")
    for stock_id, symbol, first, last, number in stocks:
        count = counted.pop(stock_id, nothing)
        if (first, last, number) != count:
            found.append(SummaryMismatch(symbol, (first, last, number), count))
    found += [SummaryMismatch(f"#{stock_id}", nothing, counted[stock_id]) for stock_id in sorted(counted)]
    return found


def bars_hash(using: str = DEFAULT_DB_ALIAS) -> str:
    """Return a hash over all bars: equal databases have equal hashes, whatever the order in which they were filled.

    SHA-256 over each stock with bars, by symbol: the symbol, and for each day, by date, the prices in cents, the
    volume in shares and the amount in yuan, rounded half up. The source does not count. The same on SQLite and
    PostgreSQL. One stock is in memory at a time.
    """
    digest = hashlib.sha256()
    stocks = Stock.objects.using(using).order_by().values_list("symbol", "id")
    # Sorted here: databases order texts by their own collations.
    for symbol, stock_id in sorted(stocks):
        bars = read_bars(stock_id, using=using)
        if len(bars):
            digest.update(f"{symbol} {len(bars)}\n".encode())
            digest.update(_hashed_numbers(bars).tobytes())
    return digest.hexdigest()


def _hashed_numbers(bars: BarColumns) -> NDArray[np.int64]:
    columns: list[NDArray[Any]] = [bars.days.astype(np.int64)]
    columns += [np.floor(getattr(bars, name) * 100 + 0.5) for name in PRICES]
    columns += [bars.volume, np.floor(bars.amount + 0.5)]
    # Little-endian on every machine.
    return np.column_stack([column.astype("<i8") for column in columns])
