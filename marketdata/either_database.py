"""Statements that are written differently for SQLite and PostgreSQL, with the same parameters and rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db import connection

Row = tuple[Any, ...]
Parameter = date | Sequence[int] | Sequence[str]


def fetch_rows(on_sqlite: str, on_postgresql: str, parameters: Sequence[Parameter]) -> list[Row]:
    """Return all rows of the statement for the database in use.

    A list of ids or symbols is one parameter: for ``json_each`` on SQLite, for ``ANY`` on PostgreSQL. Dates may come
    back as ISO texts: ``as_date`` makes them dates.
    """
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(
            on_postgresql if postgresql else on_sqlite,
            [_parameter(value, postgresql) for value in parameters],
        )
        rows: list[Row] = cursor.fetchall()
    return rows


def as_date(value: date | str | None) -> date | None:
    """Return a date as a row has it, which may be an ISO text, as a date."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def _parameter(value: Parameter, postgresql: bool) -> date | str | list[Any]:
    if isinstance(value, date):
        return value if postgresql else value.isoformat()
    return list(value) if postgresql else json.dumps(list(value))
