"""qlib's format: ``qlib.init(provider_uri=…)`` opens the folder.

    calendars/day.txt               trading days, one a line
    instruments/all.txt             symbol, first day, last day, separated by tabs
    features/sh600519/close.day.bin little-endian float32: the place of the first day in the calendar, then a value
                                    per trading day, NaN without a bar

Fields: open, high, low, close, vwap, volume, amount, factor. As qlib has it, prices are multiplied by ``factor`` and
the volume is divided by it, so that ``$close / $factor`` is the price and ``$volume * $factor`` the number of shares
that were traded. float32 has seven digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from marketdata.adjusted import Attributes
from marketdata.adjustment import Adjust
from marketdata.bar_columns import PRICES
from marketdata.exports.base import ExportedStock
from marketdata.symbols import vendor_symbol


class QlibExport:
    """One folder per stock, one file per field."""

    # Only a ratio has a factor.
    forms: ClassVar[frozenset[Adjust]] = frozenset({Adjust.NONE, Adjust.QFQ, Adjust.HFQ})

    def __init__(self, folder: Path, trading_days: Callable[[], Sequence[date]]) -> None:
        self._folder = folder
        self._days = np.array(trading_days(), dtype="datetime64[D]")
        self._instruments: list[str] = []

    def add(self, stock: ExportedStock) -> None:
        places = np.searchsorted(self._days, stock.days)
        if places[-1] == len(self._days) or (self._days[places] != stock.days).any():
            raise ValueError(f"{stock.symbol} has a bar on a day that is not among the trading days of this export")
        first, last = int(places[0]), int(places[-1])
        folder = self._folder / "features" / vendor_symbol(stock.symbol, "sh600519")
        folder.mkdir(parents=True)
        for name, values in _fields(stock).items():
            content = np.full(last - first + 2, np.nan, dtype="<f4")
            content[0] = first
            content[places - first + 1] = values
            # Not tofile(): when the disk is full it does not say so, only how many numbers were not written.
            (folder / f"{name}.day.bin").write_bytes(content.tobytes())
        symbol = vendor_symbol(stock.symbol, "SH600519")
        self._instruments.append(f"{symbol}\t{stock.days[0]}\t{stock.days[-1]}\n")

    def finish(self, said: Attributes) -> None:
        _write(self._folder / "calendars" / "day.txt", [f"{day}\n" for day in self._days])
        _write(self._folder / "instruments" / "all.txt", self._instruments)

    def close(self) -> None:
        """No file is open."""


def _fields(stock: ExportedStock) -> dict[str, NDArray[np.float64]]:
    shares = stock.raw_volume.astype(np.float64)
    vwap = np.divide(stock.columns["amount"], shares, out=np.full(len(shares), np.nan), where=shares > 0)
    return {
        **{name: stock.columns[name] for name in PRICES},
        "vwap": vwap * stock.factor,
        "volume": shares / stock.factor,
        "amount": stock.columns["amount"],
        "factor": stock.factor,
    }


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir()
    path.write_text("".join(lines), encoding="utf-8")
