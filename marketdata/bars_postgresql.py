"""Bars between PostgreSQL and numpy, whole columns at a time, in PostgreSQL's binary form.

All our columns have a fixed width, so a row is one element of a numpy record array, big-endian. Bars are written by
binary COPY (documentation of COPY, "Binary Format"): a header, for each row the number of fields and for each field its
length and its bytes, and a trailer. They are read as one value per stock that the server has put together from the
rows' bytes: psycopg hands out COPY's rows one by one, at three microseconds of Python each.

Callers are inside ``connection.wrap_database_errors`` and, for the writing functions, inside the transaction of
``store.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, Cursor

from marketdata import queries
from marketdata.bar_columns import VALUES, BarColumns, Days

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH = np.datetime64("2000-01-01", "D")
_SENDERS = {"stock_id": "int4send", "date": "date_send", "volume": "int8send"}
_WIDTHS = {"stock_id": ">i4", "date": ">i4", "volume": ">i8"}


def read_bars(driver: Connection[Any], stock_id: int, start: date, end: date) -> BarColumns:
    """Return the stock's bars with start <= date <= end."""
    records = _fetch(driver, queries.READ_BARS_POSTGRESQL, (stock_id, start, end), ("date", *VALUES))
    return BarColumns(_days(records), *(_native(records, name) for name in VALUES))


def insert_bars(driver: Connection[Any], stock_id: int, source: str, bars: BarColumns) -> None:
    """Insert bars of days that are not stored yet."""
    insert_day(driver, [stock_id] * len(bars), source, bars)


def insert_day(driver: Connection[Any], stock_ids: Sequence[int], source: str, bars: BarColumns) -> None:
    """Insert a bar for each stock, none of which is stored yet."""
    encoded = source.encode()
    layout = _layout({"stock_id": ">i4", "source": f"S{len(encoded)}", "date": ">i4", **_value_widths(VALUES)})
    records = np.empty(len(bars), layout)
    records["fields"] = len(layout.names or ()) // 2
    for name in layout.names or ():
        if name.endswith(" length"):
            records[name] = layout[name.removesuffix(" length")].itemsize
    records["stock_id"] = stock_ids
    records["source"] = encoded
    records["date"] = (bars.days - _EPOCH).astype(np.int64)
    for name, column in zip(VALUES, bars.values(), strict=True):
        records[name] = column
    with driver.cursor() as cursor, cursor.copy(queries.INSERT_BARS_POSTGRESQL) as copy:
        copy.write(_HEADER + records.tobytes() + _TRAILER)


def delete_bars(driver: Connection[Any], stock_id: int, days: Days) -> None:
    """Delete the bars of these days."""
    driver.execute(queries.DELETE_BARS_POSTGRESQL, (stock_id, days.tolist()))


def read_panel(
    driver: Connection[Any], stock_ids: Sequence[int], start: date, end: date, fields: Sequence[str]
) -> list[NDArray[Any]]:
    """Return a panel as columns: stock id, day, then the fields. Rows come in any order."""
    names = ("stock_id", "date", *fields)
    statement = queries.READ_DAY_POSTGRESQL if start == end else queries.READ_PANEL_POSTGRESQL
    # As a text: psycopg looks at each number of a list, which takes as long as a tenth of a day's bars.
    ids = "{" + ",".join(map(str, stock_ids)) + "}"
    records = _fetch(driver, statement, (ids, start, end), names)
    return [_native(records, "stock_id"), _days(records), *(_native(records, name) for name in fields)]


def _fetch(
    driver: Connection[Any], statement: str, parameters: Sequence[object], names: Sequence[str]
) -> NDArray[np.void]:
    """Return the rows of all values that the statement yields; it gets the fields as an expression, ``packed``."""
    packed = " || ".join(f"{_SENDERS.get(name, 'float8send')}({name})" for name in names)
    # Not Django's cursor, which puts parameters into the text and then cannot get binary values.
    with Cursor(driver) as cursor:
        values = cursor.execute(statement.format(packed=packed), parameters, binary=True).fetchall()
    data = b"".join(value for (value,) in values if value is not None)
    return np.frombuffer(data, np.dtype(list(_value_widths(names).items())))


def _layout(widths: dict[str, str]) -> np.dtype[np.void]:
    parts = [("fields", ">i2")]
    for name, width in widths.items():
        parts += [(f"{name} length", ">i4"), (name, width)]
    return np.dtype(parts)


def _value_widths(fields: Sequence[str]) -> dict[str, str]:
    return {name: _WIDTHS.get(name, ">f8") for name in fields}


def _native(records: NDArray[np.void], name: str) -> NDArray[Any]:
    column = records[name]
    return column.astype(np.int64 if column.dtype.kind == "i" else np.float64)


def _days(records: NDArray[np.void]) -> Days:
    return _EPOCH + records["date"].astype("timedelta64[D]")
