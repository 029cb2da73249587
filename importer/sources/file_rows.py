"""The rows of a file of bars, as records with one date, six numbers, and a symbol where each row names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from importer.sources.arrays import Dates, Floats
from importer.sources.base import BAR_COLUMNS, BadData, SourceUnavailable
from importer.sources.compact_dates import dates_of_numbers, dates_of_texts
from importer.sources.file_formats import LABEL, SYMBOL_COLUMN, UNREADABLE, Kind, Layout
from marketdata.symbols import share_symbol
from marketdata.texts import word

RECORD = np.dtype([("date", "<M8[D]"), *((name, "<f8") for name in BAR_COLUMNS[1:])])
Records = np.ndarray[Any, np.dtype[np.void]]

# A part of a file that is worked on at once: tens of megabytes in memory.
PART_BYTES = 10 * 2**20
PART_ROWS = 150_000
_NOTHING = ["", "-", "--", "nan", "NaN", "NA", "N/A", "None", "null", "NULL"]


@dataclass(frozen=True)
class Part:
    """Rows of a file: ``records``, and each one's canonical symbol (None: not an A-share's) if a column names it.

    ``symbols`` are the different ones, ``which`` says which of them each row has.
    """

    records: Records
    symbols: tuple[str | None, ...] = ()
    which: np.ndarray[Any, np.dtype[np.int64]] | None = None


def read_parts(layout: Layout, skip: int = 0) -> Iterator[Part]:
    """Yield the parts of a file in order, without the first ``skip`` ones; the same parts each time.

    Raises BadData when the file cannot be understood, SourceUnavailable when it cannot be read.
    """
    try:
        tables = _parquet_tables(layout) if layout.kind is Kind.PARQUET else _text_tables(layout, skip)
        for number, table in enumerate(tables, start=0 if layout.kind is Kind.PARQUET else skip):
            if number >= skip:
                yield _part(table)
    except OSError as error:
        raise SourceUnavailable(source=word(LABEL), detail=str(error)) from error
    except pa.ArrowException as error:
        detail = str(error).splitlines()[0]
        raise BadData(UNREADABLE, source=word(LABEL), file=layout.file.name, detail=detail) from error


def _parquet_tables(layout: Layout) -> Iterator[pa.Table]:
    canonical = {name: ours for ours, name in layout.columns.items()}
    with pq.ParquetFile(layout.file, pre_buffer=False, buffer_size=2**20) as file:
        for batch in file.iter_batches(batch_size=PART_ROWS, columns=list(canonical), use_threads=False):
            table = pa.Table.from_batches([batch])
            yield table.rename_columns([canonical[name] for name in table.column_names])


def _text_tables(layout: Layout, skip: int) -> Iterator[pa.Table]:
    """Cut the file at the ends of lines, PART_BYTES apart."""
    with layout.file.open("rb") as content:
        size = content.seek(0, 2)
        starts = range(layout.header_bytes, max(size, layout.header_bytes + 1), PART_BYTES)
        for start in starts[skip:]:
            first = _line_from(content, start, layout.header_bytes)
            last = _line_from(content, min(start + PART_BYTES, size), layout.header_bytes)
            content.seek(first)
            yield _text_table(layout, content.read(last - first))


def _line_from(content: Any, position: int, header_bytes: int) -> int:
    """Return where the first line begins that does not begin before ``position``."""
    if position <= header_bytes:
        return header_bytes
    content.seek(position - 1)
    content.readline()
    end: int = content.tell()
    return end


def _text_table(layout: Layout, text: bytes) -> pa.Table:
    delimiter = layout.delimiter
    if layout.kind is Kind.TDX_EXPORT:
        text, delimiter = _tdx_rows(text)
    wanted = {ours: layout.names.index(name) for ours, name in layout.columns.items()}
    # Names are given by place: the file's own may be there twice, or in another encoding.
    names = [str(number) for number in range(len(layout.names))]
    for ours, number in wanted.items():
        names[number] = ours
    if not text.strip():
        return pa.table({ours: pa.array([], pa.string()) for ours in wanted})
    texts = {"date", SYMBOL_COLUMN}
    try:
        return _parse(text, names, wanted, delimiter, {name: pa.string() if name in texts else pa.float64() for name in wanted})  # fmt: skip  # noqa: E501
    except pa.ArrowInvalid:
        # A word where a number belongs costs its row, not the file; a row that is cut off raises again.
        return _parse(text, names, wanted, delimiter, dict.fromkeys(wanted, pa.string()))


def _parse(
    text: bytes, names: list[str], wanted: dict[str, int], delimiter: str, types: dict[str, pa.DataType]
) -> pa.Table:
    return pa.csv.read_csv(
        pa.py_buffer(text),
        read_options=pa.csv.ReadOptions(column_names=names, use_threads=False),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter),
        convert_options=pa.csv.ConvertOptions(
            include_columns=list(wanted), column_types=types, null_values=_NOTHING, strings_can_be_null=True
        ),
    )


def _tdx_rows(text: bytes) -> tuple[bytes, str]:
    """Return the rows without the trailer (数据来源:通达信), and what separates their fields."""
    lines = [line.strip() for line in text.splitlines()]
    rows = [line for line in lines if line[:1].isdigit()]
    sample = rows[0] if rows else b""
    if b"," in sample:
        return b"\n".join(rows), ","
    return b"\n".join(re.sub(rb"[\t ]+", b",", row) for row in rows), ","


def _part(table: pa.Table) -> Part:
    records = np.empty(table.num_rows, dtype=RECORD)
    records["date"] = _dates(table.column("date"))
    for name in BAR_COLUMNS[1:]:
        records[name] = _numbers(table.column(name))
    if SYMBOL_COLUMN not in table.column_names:
        return Part(records)
    encoded = table.column(SYMBOL_COLUMN).combine_chunks().dictionary_encode()
    symbols = tuple(_symbol(value) for value in encoded.dictionary.to_pylist())
    which = encoded.indices.fill_null(len(symbols)).to_numpy(zero_copy_only=False).astype(np.int64)
    return Part(records, (*symbols, None), which)


def _symbol(value: object) -> str | None:
    text = str(value).strip()
    # Spreadsheets turn 000001 into 1.
    return share_symbol(text.zfill(6) if text.isdigit() else text)


def _numbers(column: pa.ChunkedArray) -> Floats:
    numbers: Floats
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        numbers = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    else:
        numbers = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _dates(column: pa.ChunkedArray) -> Dates:
    """Return the dates (datetime64[D]); NaT for what is none, a time of day included."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_integer(kind):
        return dates_of_numbers(column.fill_null(0).to_numpy())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _dates_of_texts(column)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = pc.local_timestamp(column.cast(pa.timestamp(kind.unit, "Asia/Shanghai")))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        moments = column.to_numpy()
        days: Dates = moments.astype("datetime64[D]")
        return np.where(days == moments, days, np.datetime64("NaT", "D"))
    return np.full(len(column), np.datetime64("NaT"), dtype="datetime64[D]")


def _dates_of_texts(column: pa.ChunkedArray) -> Dates:
    plain = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), "[-/.]", "")
    if pc.all(pc.match_substring_regex(plain, r"^\d{8}$"), skip_nulls=False).as_py():
        return dates_of_numbers(plain.cast(pa.int32()).to_numpy())
    return dates_of_texts(column.to_pandas().astype(str))
