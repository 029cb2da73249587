"""Django's SQLite backend, except for how a writer waits for its turn.

SQLite's own busy handler sleeps longer and longer, up to 100 ms between two looks, inside C code. Where several
processes write one short transaction after another, the lock stands free while they sleep: two lanes were no faster
than one, and a request that meets them waited for most of a second. Here a writer looks again after a millisecond, in
Python, where a signal can end the wait. How long it waits in all is the ``timeout`` option, as before.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

T = TypeVar("T")

# Between two looks, at random, so that nobody keeps step with another's transactions.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.0003, 0.0015
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class WaitingCursor(base.SQLiteCursorWrapper):
    """Django's cursor; a statement that writes outside a transaction waits for its turn as a transaction does."""

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or not _is_write(query):
            return super().execute(query, params)
        return _at_its_turn(self.connection, lambda: super(WaitingCursor, self).execute(query, params))

    def executemany(self, query: str, param_list: Any) -> Any:
        if self.connection.in_transaction or not _is_write(query):
            return super().executemany(query, param_list)
        rows = list(param_list)
        return _at_its_turn(self.connection, lambda: super(WaitingCursor, self).executemany(query, rows))


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's connection, with cursors and transactions that wait as described above."""

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=WaitingCursor)

    def _start_transaction_under_autocommit(self) -> None:
        _at_its_turn(self.connection, super()._start_transaction_under_autocommit)  # type: ignore[misc]


def _at_its_turn(driver: sqlite3.Connection, action: Callable[[], T]) -> T:
    """Return what ``action`` returns once no other connection writes.

    Raises what SQLite raises when the connection's ``timeout`` is over, and every other error at once.
    """
    patience: int = driver.execute("PRAGMA busy_timeout").fetchone()[0]
    until = time.monotonic() + patience / 1000
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                return action()
            except (OperationalError, sqlite3.OperationalError) as error:
                if not _is_busy(error) or time.monotonic() >= until:
                    raise
            time.sleep(random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))
    finally:
        driver.execute(f"PRAGMA busy_timeout = {patience}")


def _is_busy(error: Exception) -> bool:
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    # The low byte is the error, the rest its particulars.
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _is_write(query: str) -> bool:
    return query.lstrip()[:7].upper().startswith(_WRITES)
