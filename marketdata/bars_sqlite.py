"""Bars between SQLite and numpy, through the driver's own connection: Django's cursor costs a third of the speed.

Callers are inside ``connection.wrap_database_errors`` and, for the writing functions, inside the transaction of
``store.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import chain
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketdata import queries
from marketdata.bar_columns import VALUES, BarColumns, Days, iso_dates

_VALUES_PER_ROW = 7
_JULIAN_DAY_OF_1970 = 2440587.5


def read_bars(driver: Connection, stock_id: int, start: date, end: date) -> BarColumns:
    """Return the stock's bars with start <= date <= end."""
    rows = driver.execute(queries.READ_BARS_SQLITE, (stock_id, start.isoformat(), end.isoformat()))
    days, *values = _columns(rows, 1 + len(VALUES))
    return BarColumns(_days(days), *_typed(VALUES, values))


def insert_bars(driver: Connection, stock_id: int, source: str, bars: BarColumns) -> None:
    """Insert bars of days that are not stored yet."""
    columns = [iso_dates(bars.days), *(column.tolist() for column in bars.values())]
    in_groups = len(bars) - len(bars) % queries.ROWS_PER_INSERT
    flat = list(chain.from_iterable(zip(*(column[:in_groups] for column in columns), strict=True)))
    step = queries.ROWS_PER_INSERT * _VALUES_PER_ROW
    for begin in range(0, len(flat), step):
        driver.execute(queries.INSERT_ROWS_SQLITE, (stock_id, source, *flat[begin : begin + step]))
    rest = zip(*(column[in_groups:] for column in columns), strict=True)
    driver.executemany(queries.INSERT_BAR_SQLITE, ((stock_id, source, *row) for row in rest))


def insert_day(driver: Connection, stock_ids: Sequence[int], source: str, bars: BarColumns) -> None:
    """Insert a bar for each stock, none of which is stored yet."""
    rows = zip(stock_ids, iso_dates(bars.days), *(column.tolist() for column in bars.values()), strict=True)
    driver.executemany(queries.INSERT_BAR_SQLITE, ((stock_id, source, *row) for stock_id, *row in rows))


def delete_bars(driver: Connection, stock_id: int, days: Days) -> None:
    """Delete the bars of these days."""
    driver.executemany(queries.DELETE_BAR_SQLITE, [(stock_id, day) for day in iso_dates(days)])


def read_panel(
    driver: Connection, stock_ids: Sequence[int], start: date, end: date, fields: Sequence[str]
) -> list[NDArray[Any]]:
    """Return a panel as columns: stock id, day, then the fields. Rows come in any order."""
    statement = queries.READ_PANEL_SQLITE.format(fields="".join(f", {name}" for name in fields))
    rows = driver.execute(statement, (json.dumps(list(stock_ids)), start.isoformat(), end.isoformat()))
    ids, days, *values = _columns(rows, 2 + len(fields))
    return [ids.astype(np.int64), _days(days), *_typed(fields, values)]


def _columns(rows: Iterable[tuple[float, ...]], number: int) -> NDArray[np.float64]:
    # A float holds whole numbers to 9e15 exactly: no stock has traded as many shares in a day.
    table = np.fromiter(chain.from_iterable(rows), np.float64).reshape(-1, number)
    return np.ascontiguousarray(table.T)


def _days(julian_days: NDArray[np.float64]) -> Days:
    return (julian_days - _JULIAN_DAY_OF_1970).astype(np.int64).view("datetime64[D]")


def _typed(fields: Sequence[str], values: Sequence[NDArray[np.float64]]) -> list[NDArray[Any]]:
    return [
        column.astype(np.int64) if name == "volume" else column for name, column in zip(fields, values, strict=True)
    ]
