"""What a file of bars looks like: its columns, their names, how to read it. CSV, Parquet, and 通达信's text export."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pyarrow.parquet as pq
from django.utils.translation import gettext_noop
from pyarrow import ArrowException

from importer.sources.base import BAR_COLUMNS, BadData, SourceUnavailable
from importer.sources.labels import label_of
from marketdata.exceptions import BadSymbol
from marketdata.symbols import parse_symbol, share_symbol
from marketdata.texts import word

LABEL = label_of("files")
SUFFIXES = (".csv", ".txt", ".parquet", ".pq")
SYMBOL_COLUMN = "symbol"

# Other names of the columns, in lower case. Units are not in a name: validation finds lots and thousands.
_OTHER_NAMES = {
    "trade_date": "date",
    "日期": "date",
    "交易日期": "date",
    "开盘": "open",
    "最高": "high",
    "最低": "low",
    "收盘": "close",
    "成交量": "volume",
    "成交额": "amount",
    "代码": "symbol",
    "股票代码": "symbol",
    "ts_code": "symbol",
}
_DELIMITERS = (",", "\t", ";", "|")
# A title such as “601006 大秦铁路 日线 前复权”, which 通达信 writes above the columns.
_TDX_TITLE = re.compile(r"^\s*(?P<code>\d{6})\s+\S.*(?:线|复权)")
_TDX_ADJUSTED = re.compile("[前后]复权")
_HEAD_BYTES = 4096

NO_SYMBOL = gettext_noop(
    "%(source)s: %(file)s does not say which stock it is about. "
    "Name it by its symbol, as 600977.SH.csv, or give it a column “symbol”."
)
MISSING_COLUMNS = gettext_noop(
    "%(source)s: %(file)s lacks the columns %(missing)s; it has %(found)s. "
    "Expected are date, open, high, low, close, volume (shares) and amount (yuan)."
)
ADJUSTED_EXPORT = gettext_noop(
    "%(source)s: %(file)s holds adjusted prices (its title says “%(adjustment)s”). "
    "Only raw prices are stored: export it again without adjustment (不复权)."
)
UNREADABLE = gettext_noop("%(source)s: %(file)s cannot be read: %(detail)s.")
WIDE_CHARACTERS = gettext_noop("%(source)s: %(file)s is in UTF-16. Save it as UTF-8 or GBK.")


class Kind(Enum):
    CSV = "csv"
    PARQUET = "parquet"
    TDX_EXPORT = "tdx_export"


@dataclass(frozen=True)
class Layout:
    """How to read a file: ``columns`` maps canonical names to those in the file, ``names`` are all of the file's.

    ``symbol`` is the stock that the whole file is about; without one, a column names it in each row.
    ``header_bytes`` is where the rows begin in a text file.
    """

    file: Path
    kind: Kind
    columns: Mapping[str, str]
    names: Sequence[str]
    symbol: str | None
    delimiter: str = ","
    header_bytes: int = 0


def symbol_in_name(file: Path) -> str | None:
    """Return the symbol that a file is named by, if it is: 600977.SH.csv, sh600977.csv, SH#600977.txt."""
    return share_symbol(file.stem.replace("#", ""))


def read_layout(file: Path) -> Layout:
    """Look at the beginning of ``file``.

    Raises BadData when it is nothing that can be read, when columns are missing, when nothing names the stock, or
    when its title says that prices are adjusted; SourceUnavailable when it cannot be opened.
    """
    try:
        layout = _parquet_layout(file) if file.suffix.lower() in (".parquet", ".pq") else _text_layout(file)
    except OSError as error:
        raise SourceUnavailable(source=word(LABEL), detail=str(error)) from error
    if missing := [name for name in BAR_COLUMNS if name not in layout.columns]:
        raise BadData(
            MISSING_COLUMNS,
            source=word(LABEL),
            file=file.name,
            missing=", ".join(missing),
            found=", ".join(layout.names) or "-",
        )
    if layout.symbol is None and SYMBOL_COLUMN not in layout.columns:
        raise BadData(NO_SYMBOL, source=word(LABEL), file=file.name)
    return layout


def _parquet_layout(file: Path) -> Layout:
    try:
        names = pq.read_schema(file).names
    except ArrowException as error:
        raise BadData(UNREADABLE, source=word(LABEL), file=file.name, detail=str(error)) from error
    return Layout(file, Kind.PARQUET, _columns(names), names, symbol_in_name(file))


def _text_layout(file: Path) -> Layout:
    with file.open("rb") as content:
        head = content.read(_HEAD_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadData(WIDE_CHARACTERS, source=word(LABEL), file=file.name)
    first, first_bytes = _line(head, 0)
    if title := _TDX_TITLE.match(first):
        return _tdx_layout(file, head, first, title["code"], first_bytes)
    best = max(_DELIMITERS, key=lambda delimiter: len(_columns(_split(first, delimiter))))
    names = _split(first, best)
    return Layout(file, Kind.CSV, _columns(names), names, symbol_in_name(file), best, first_bytes)


def _tdx_layout(file: Path, head: bytes, title: str, code: str, title_bytes: int) -> Layout:
    if adjusted := _TDX_ADJUSTED.search(title):
        raise BadData(ADJUSTED_EXPORT, source=word(LABEL), file=file.name, adjustment=adjusted[0])
    header, header_bytes = _line(head, title_bytes)
    names = re.split(r"[\s,;]+", header.strip())
    symbol = symbol_in_name(file)
    if symbol is None:
        try:
            symbol = parse_symbol(code)
        except BadSymbol as error:
            raise BadData(NO_SYMBOL, source=word(LABEL), file=file.name) from error
    return Layout(file, Kind.TDX_EXPORT, _columns(names), names, symbol, ",", header_bytes)


def _line(head: bytes, start: int) -> tuple[str, int]:
    """Return the line that begins at ``start``, as text, and where the next one begins."""
    end = head.find(b"\n", start)
    line = head[start:] if end < 0 else head[start:end]
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = line.decode("gb18030", errors="replace")
    return text.strip("\r"), len(head) if end < 0 else end + 1


def _split(line: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"').strip() for name in line.split(delimiter)]


def _columns(names: Sequence[str]) -> dict[str, str]:
    """Return which of the file's columns is which of ours; of two that are the same, the first."""
    found: dict[str, str] = {}
    for name in names:
        plain = name.strip().lower()
        canonical = _OTHER_NAMES.get(plain, plain)
        if canonical in (*BAR_COLUMNS, SYMBOL_COLUMN):
            found.setdefault(canonical, name)
    return found
