"""CSV: one file per stock, ``600519.SH.csv``, as the source ``files`` reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pyarrow import csv

from marketdata.adjusted import Attributes
from marketdata.adjustment import Adjust
from marketdata.bar_columns import VALUES
from marketdata.exports.base import ExportedStock


class CsvExport:
    """UTF-8 with the columns date, open, high, low, close, volume, amount; yuan and shares."""

    forms: ClassVar[frozenset[Adjust]] = frozenset(Adjust)
    _HEADER = f"{','.join(('date', *VALUES))}\n".encode()

    def __init__(self, folder: Path, trading_days: Callable[[], Sequence[date]]) -> None:
        self._folder = folder

    def add(self, stock: ExportedStock) -> None:
        table = pa.table({"date": stock.days, **stock.columns})
        with (self._folder / f"{stock.symbol}.csv").open("wb") as file:
            # Arrow would put the names in quotes.
            file.write(self._HEADER)
            csv.write_csv(table, file, csv.WriteOptions(include_header=False))

    def finish(self, said: Attributes) -> None:
        """Nothing is left: each stock's file was written when it came."""

    def close(self) -> None:
        """No file is open."""
