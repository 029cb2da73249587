"""The bars table as numpy columns, on whichever database is in use. Only ``store.py`` calls the writing functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Protocol, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections
from numpy.typing import NDArray

from marketdata import bars_postgresql, bars_sqlite
from marketdata.bar_columns import BarColumns, Days

FIRST_DATE, LAST_DATE = date.min, date.max


class _Transport(Protocol):
    """What ``bars_sqlite`` and ``bars_postgresql`` both offer; ``driver`` is the driver's own connection."""

    read_bars: Callable[[Any, int, date, date], BarColumns]
    insert_bars: Callable[[Any, int, str, BarColumns], None]
    insert_day: Callable[[Any, Sequence[int], str, BarColumns], None]
    delete_bars: Callable[[Any, int, Days], None]
    read_panel: Callable[[Any, Sequence[int], date, date, Sequence[str]], list[NDArray[Any]]]


def _transport(using: str = DEFAULT_DB_ALIAS) -> _Transport:
    return cast(_Transport, bars_postgresql if connections[using].vendor == "postgresql" else bars_sqlite)


def read_bars(
    stock_id: int, start: date | None = None, end: date | None = None, *, using: str = DEFAULT_DB_ALIAS
) -> BarColumns:
    """Return the stock's bars with start <= date <= end (None: no bound)."""
    driver = _checked_driver(using)
    with connections[using].wrap_database_errors:
        return _transport(using).read_bars(driver, stock_id, start or FIRST_DATE, end or LAST_DATE)


def read_panel(
    stock_ids: Sequence[int], start: date | None, end: date | None, fields: Sequence[str]
) -> list[NDArray[Any]]:
    """Return a panel in any order, as columns: stock id, day, then the fields (names of bar_columns.VALUES)."""
    driver = _checked_driver()
    with connection.wrap_database_errors:
        return _transport().read_panel(driver, stock_ids, start or FIRST_DATE, end or LAST_DATE, fields)


def insert_bars(stock_id: int, source: str, bars: BarColumns) -> None:
    """Insert bars of days that are not stored yet; inside a transaction that holds the stock."""
    with connection.wrap_database_errors:
        _transport().insert_bars(connection.connection, stock_id, source, bars)


def insert_day(stock_ids: Sequence[int], source: str, bars: BarColumns) -> None:
    """Insert a bar for each stock, none of which is stored yet; inside a transaction that holds the stocks."""
    with connection.wrap_database_errors:
        _transport().insert_day(connection.connection, stock_ids, source, bars)


def delete_bars(stock_id: int, days: Days) -> None:
    """Delete the bars of these days; inside a transaction that holds the stock."""
    with connection.wrap_database_errors:
        _transport().delete_bars(connection.connection, stock_id, days)


def _checked_driver(using: str = DEFAULT_DB_ALIAS) -> Any:
    # Asking for a cursor replaces a connection that the server has closed meanwhile.
    with connections[using].cursor():
        return connections[using].connection
