"""Bars from CSV or Parquet files: one per stock, named by its symbol, or one for many, with a ``symbol`` column.

Columns are date, open, high, low, close (raw prices in yuan), volume (shares) and amount (yuan), in any order; more of
them do no harm. 通达信's text export without adjustment is read too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest
from importer.sources.base import BAR_COLUMNS, BadData, ListedStock, SourceError, SourceUnavailable, UnknownSymbol
from importer.sources.compact_dates import outside
from importer.sources.file_formats import LABEL, SUFFIXES, Layout, read_layout, symbol_in_name
from importer.sources.file_rows import RECORD, Records, read_parts
from importer.sources.file_split import split_of
from importer.sources.validation import validate_bars
from marketdata.symbols import board_of
from marketdata.texts import word

# So many files are looked into before a task is made: enough to notice that all are of the wrong kind.
_SAMPLE = 5

OTHER_STOCKS = gettext_noop(
    "%(source)s: %(file)s is named by %(symbol)s, but its column “symbol” names other stocks too. "
    "Give each stock its own file, or give the file another name."
)


@dataclass
class _Catalog:
    """``named``: the files of each stock that is named by its symbol. ``shared``: the files of many stocks.

    ``unclear``: what is wrong with files that are neither.
    """

    named: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    shared: list[Layout] = field(default_factory=list)
    unclear: list[SourceError] = field(default_factory=list)


class Files:
    """``path``: a folder of files (those in folders below it are not read), or one file."""

    name: ClassVar[str] = "files"
    label: ClassVar[str] = LABEL
    paced: ClassVar[bool] = False
    local: ClassVar[bool] = True
    simulated: ClassVar[bool] = False

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def check_path(self) -> None:
        """Raise BadRequest when there are no files to read, or when those looked at first are all unfit."""
        if not self.path.exists():
            raise BadRequest("path", gettext_noop("There is no %(path)s. Check the path."), path=str(self.path))
        try:
            catalog = self._catalog
        except OSError as error:
            raise BadRequest("path", gettext_noop("%(path)s cannot be read (%(detail)s)."), path=str(self.path), detail=str(error)) from error  # fmt: skip  # noqa: E501
        if not (catalog.named or catalog.shared or catalog.unclear):
            raise BadRequest(
                "path",
                gettext_noop(
                    "%(path)s holds no CSV or Parquet files. Expected are files such as 600977.SH.csv, "
                    "or one file with a column “symbol”."
                ),
                path=str(self.path),
            )
        wrong = catalog.unclear or self._wrong_with_sample(catalog.named)
        if wrong:
            raise BadRequest("path", wrong[0].text.msgid, **wrong[0].text.values)

    def stocks(self) -> list[ListedStock]:
        """Return the A-shares that there are rows of, by symbol; names are not read.

        A big file of many stocks is split first, which may take several calls: see ``split_of``.
        Raises BadData, SourceUnavailable or StopRequested.
        """
        try:
            catalog = self._catalog
            if catalog.unclear:
                raise catalog.unclear[0]
            symbols = set(catalog.named).union(*(split_of(layout).symbols() for layout in catalog.shared))
        except OSError as error:
            raise SourceUnavailable(source=word(LABEL), detail=str(error)) from error
        return [ListedStock(symbol, board=board_of(symbol).value) for symbol in sorted(symbols)]

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return the bars of ``symbol`` from all files that have some, see ``Source.daily_bars``.

        Raises UnknownSymbol when none has, BadData for a file that cannot be understood or is adjusted,
        SourceUnavailable for one that cannot be read, StopRequested as ``stocks`` does.
        """
        try:
            pieces = self._own_records(symbol)
            pieces += [split_of(layout).records(symbol) for layout in self._catalog.shared]
        except OSError as error:
            raise SourceUnavailable(source=word(LABEL), detail=str(error)) from error
        records = np.concatenate([np.empty(0, dtype=RECORD), *pieces])
        if len(records) == 0 and symbol not in self._catalog.named:
            raise UnknownSymbol(
                gettext_noop("%(source)s: no file in %(path)s has bars of %(symbol)s."),
                source=word(LABEL),
                path=str(self.path),
                symbol=symbol,
            )
        return _frame(records, start, end)

    @cached_property
    def _catalog(self) -> _Catalog:
        catalog = _Catalog()
        files = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
        for file in files:
            if file.suffix.lower() not in SUFFIXES or file.name.startswith(".") or not file.is_file():
                continue
            symbol = symbol_in_name(file)
            if symbol is not None:
                catalog.named[symbol].append(file)
                continue
            try:
                layout = read_layout(file)
            except SourceError as error:
                # Notes lie beside data; a table that names no stock is data that would be left out.
                if file.suffix.lower() != ".txt" or self.path.is_file():
                    catalog.unclear.append(error)
                continue
            if layout.symbol is not None:
                catalog.named[layout.symbol].append(file)
            else:
                catalog.shared.append(layout)
        return catalog

    def _own_records(self, symbol: str) -> list[Records]:
        return [_records_of_one(file, symbol) for file in self._catalog.named.get(symbol, ())]

    def _wrong_with_sample(self, named: Mapping[str, Sequence[Path]]) -> list[SourceError]:
        """Return what is wrong with each of the first stocks, if something is with all of them."""
        wrong: list[SourceError] = []
        for symbol in list(named)[:_SAMPLE]:
            try:
                frame = _frame(np.concatenate(self._own_records(symbol)), None, None)
                validate_bars(frame, symbol=symbol, source=self.name, start=None, end=None, today=date.max)
            except (BadData, SourceUnavailable) as error:
                wrong.append(error)
            else:
                return []
        return wrong


def _records_of_one(file: Path, symbol: str) -> Records:
    """Return the rows of a file that is about one stock."""
    pieces = [np.empty(0, dtype=RECORD)]
    for part in read_parts(read_layout(file)):
        if part.which is not None and {part.symbols[at] for at in np.unique(part.which)} - {symbol}:
            raise BadData(OTHER_STOCKS, source=word(LABEL), file=file.name, symbol=symbol)
        pieces.append(part.records)
    return np.concatenate(pieces)


def _frame(records: Records, start: date | None, end: date | None) -> pd.DataFrame:
    records = records[~outside(records["date"], start, end)]
    if not (records["date"][1:] > records["date"][:-1]).all():
        records = records[np.argsort(records["date"], kind="stable")]
    columns = {name: records[name].copy() for name in BAR_COLUMNS[1:]}
    frame = pd.DataFrame({"date": records["date"].astype("datetime64[s]"), **columns}, copy=False)
    volume = columns["volume"]
    # A volume that is no whole number of shares is for validation to list.
    if np.isfinite(volume).all() and (np.rint(volume) == volume).all() and (np.abs(volume) < 2**53).all():
        frame["volume"] = volume.astype(np.int64)
    return frame
