"""Bars from a 通达信 (TDX) ``vipdoc`` folder: one ``.day`` file per stock, as the terminal keeps them.

A record has 32 bytes, little-endian: date YYYYMMDD, then open, high, low, close in 0.01 yuan (``uint32`` each), the
amount in yuan (``float32``), the volume in shares (``uint32``), and four bytes that mean nothing. Funds and B-shares
count in 0.001 yuan; they are not imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest
from importer.sources.base import BadData, ListedStock, SourceUnavailable, UnknownSymbol
from importer.sources.compact_dates import dates_of_numbers, outside
from importer.sources.labels import label_of
from marketdata.market_index import IndexDayBar
from marketdata.symbols import board_of, share_symbol, vendor_symbol
from marketdata.texts import word

RECORD = np.dtype(
    [
        ("date", "<u4"),
        ("open", "<u4"),
        ("high", "<u4"),
        ("low", "<u4"),
        ("close", "<u4"),
        ("amount", "<f4"),
        ("volume", "<u4"),
        ("unused", "<u4"),
    ]
)
TICKS_PER_YUAN = 100.0
_EXCHANGES = ("sh", "sz", "bj")


class Tdx:
    """``path``: a vipdoc folder, the folder that holds it, one exchange's folder in it, or an ``lday`` folder."""

    name: ClassVar[str] = "tdx"
    label: ClassVar[str] = label_of("tdx")
    paced: ClassVar[bool] = False
    local: ClassVar[bool] = True
    simulated: ClassVar[bool] = False

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._folders = _day_folders(self.path)

    def check_path(self) -> None:
        """Raise BadRequest when there is no ``.day`` file of an A-share to be found here."""
        if not self.path.exists():
            raise BadRequest("path", gettext_noop("There is no %(path)s. Check the path."), path=str(self.path))
        if not self.path.is_dir():
            raise BadRequest("path", gettext_noop("%(path)s is a file. Name the vipdoc folder that holds it."), path=str(self.path))  # fmt: skip  # noqa: E501
        try:
            first = next(self._symbols(), None)
        except OSError as error:
            raise BadRequest("path", gettext_noop("%(path)s cannot be read (%(detail)s)."), path=str(self.path), detail=str(error)) from error  # fmt: skip  # noqa: E501
        if first is None:
            raise BadRequest(
                "path",
                gettext_noop(
                    "%(path)s holds no .day files of A-shares. Name the vipdoc folder of a TDX installation; "
                    "its files are made when the terminal downloads daily data."
                ),
                path=str(self.path),
            )

    def stocks(self) -> list[ListedStock]:
        """Return the A-shares that have a file, by symbol; the files do not hold names.

        Raises SourceUnavailable when a folder cannot be read.
        """
        try:
            symbols = sorted(set(self._symbols()))
        except OSError as error:
            raise SourceUnavailable(source=word(self.label), detail=str(error)) from error
        return [ListedStock(symbol, board=board_of(symbol).value) for symbol in symbols]

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return the raw bars of ``symbol`` from its file, see ``Source.daily_bars``.

        Raises UnknownSymbol when there is no file, BadData when it was cut off, SourceUnavailable when it cannot be
        read.
        """
        file_name = f"{vendor_symbol(symbol)}.day"
        for folder in self._folders:
            try:
                records = _read_records(folder / file_name, symbol)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SourceUnavailable(source=word(self.label), detail=str(error)) from error
            return _bars(records, start, end)
        raise UnknownSymbol(
            gettext_noop("%(source)s: there is no file %(file)s for %(symbol)s in %(path)s."),
            source=word(self.label),
            symbol=symbol,
            file=file_name,
            path=str(self.path),
        )

    def index_days(self, index: str, start: date, end: date) -> Sequence[IndexDayBar]:
        """Return days of an index from its file, see ``IndexSource.index_days``; none where there is no such file."""
        try:
            bars = self.daily_bars(index, start, end)
        except UnknownSymbol:
            return []
        rows = zip(bars["date"].dt.date, bars["close"].tolist(), bars["amount"].tolist(), strict=True)
        return [IndexDayBar(day, close, amount) for day, close, amount in rows]

    def _symbols(self) -> Iterator[str]:
        for folder in self._folders:
            for file in folder.glob("*.day"):
                # Indexes, funds, bonds and B-shares lie beside the stocks.
                if (symbol := share_symbol(file.stem)) is not None:
                    yield symbol


def _day_folders(path: Path) -> list[Path]:
    """Return the folders below ``path`` that hold ``.day`` files: those of the first layout that is found."""
    layouts = (
        [path / exchange / "lday" for exchange in _EXCHANGES],
        [path / "vipdoc" / exchange / "lday" for exchange in _EXCHANGES],
        [path / "lday"],
        [path],
    )
    for layout in layouts:
        if folders := [folder for folder in layout if folder.is_dir()]:
            return folders
    return []


def _read_records(file: Path, symbol: str) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    size = file.stat().st_size
    if size % RECORD.itemsize:
        raise BadData(
            gettext_noop(
                "%(source)s: the file %(file)s is cut off: its %(size)s bytes are no whole number of 32-byte records. "
                "Nothing of %(symbol)s was stored; copy the file again, or download the daily data again."
            ),
            source=word(Tdx.label),
            symbol=symbol,
            file=str(file),
            size=size,
        )
    return np.fromfile(file, dtype=RECORD)


def _bars(records: np.ndarray[tuple[int], np.dtype[np.void]], start: date | None, end: date | None) -> pd.DataFrame:
    days = dates_of_numbers(records["date"])
    if start is not None or end is not None:
        wanted = ~outside(days, start, end)
        records, days = records[wanted], days[wanted]
    return pd.DataFrame(
        {
            "date": days.astype("datetime64[s]"),
            "open": records["open"] / TICKS_PER_YUAN,
            "high": records["high"] / TICKS_PER_YUAN,
            "low": records["low"] / TICKS_PER_YUAN,
            "close": records["close"] / TICKS_PER_YUAN,
            "volume": records["volume"].astype(np.int64),
            "amount": records["amount"].astype(np.float64),
        },
        copy=False,
    )
