"""Parquet: one file, ``bars.parquet``, with all stocks by symbol and date."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pyarrow import parquet

from marketdata.adjusted import Attributes
from marketdata.adjustment import Adjust
from marketdata.exports.base import ExportedStock


class ParquetExport:
    """Columns symbol, date, and the stocks' (open, high, low, close, volume, amount); yuan and shares.

    ``date`` is a timestamp without a time zone, as in the frames of ``load_panel``: pandas would make Python objects
    of Parquet's dates, which are slow and fit no index.

    What ``load_panel`` has in ``attrs`` is kept in the file's metadata, where pandas finds it again.
    """

    forms: ClassVar[frozenset[Adjust]] = frozenset(Adjust)
    # So many rows are in memory at a time, and can be skipped at a time by a reader who wants few stocks.
    _ROWS_PER_GROUP = 200_000

    def __init__(self, folder: Path, trading_days: Callable[[], Sequence[date]]) -> None:
        self._path = folder / "bars.parquet"
        self._writer: parquet.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, stock: ExportedStock) -> None:
        symbol = pa.repeat(stock.symbol, len(stock.days))
        days = stock.days.astype("datetime64[us]")
        self._waiting.append(pa.table({"symbol": symbol, "date": days, **stock.columns}))
        self._rows += len(stock.days)
        if self._rows >= self._ROWS_PER_GROUP:
            self._write_group()

    def finish(self, said: Attributes) -> None:
        self._write_group()
        if self._writer is not None:
            self._writer.add_key_value_metadata({"PANDAS_ATTRS": json.dumps(said)})
        self.close()

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _write_group(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        self._waiting, self._rows = [], 0
        if self._writer is None:
            # With Arrow's own schema in the file, Arrow would not look at metadata that are added at its end.
            self._writer = parquet.ParquetWriter(self._path, table.schema, compression="zstd", store_schema=False)
        self._writer.write_table(table, row_group_size=len(table))
