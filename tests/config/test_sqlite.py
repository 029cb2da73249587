"""How a writer waits for SQLite's one write lock."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections

from config.sqlite.base import DatabaseWrapper


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "turns.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE turn (id INTEGER PRIMARY KEY)")
    database.close()
    return path


@pytest.fixture
def connection(file: Path) -> Iterator[DatabaseWrapper]:
    made = connect(file, timeout=5)
    yield made
    made.close()


def connect(file: Path, timeout: float) -> DatabaseWrapper:
    settings: dict[str, Any] = {
        "ENGINE": "config.sqlite", "NAME": str(file), "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False,
        "CONN_HEALTH_CHECKS": False, "CONN_MAX_AGE": 0, "TIME_ZONE": None, "USER": "", "PASSWORD": "", "HOST": "",
        "PORT": "", "TEST": {}, "OPTIONS": {"timeout": timeout, "transaction_mode": "IMMEDIATE"},
    }  # fmt: skip
    return DatabaseWrapper(settings, alias="turns")


# pytest-django lets no connection be opened without it, our own included.
pytestmark = pytest.mark.django_db


class Holder:
    """Holds the write lock in another connection until told to let go."""

    def __init__(self, file: Path) -> None:
        self.driver = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self.driver.execute("BEGIN IMMEDIATE")

    def let_go_in(self, seconds: float) -> None:
        threading.Timer(seconds, self.let_go).start()

    def let_go(self) -> None:
        self.driver.execute("INSERT INTO turn DEFAULT VALUES")
        self.driver.execute("COMMIT")
        self.driver.close()


def begin(connection: DatabaseWrapper) -> None:
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


def rows(file: Path) -> int:
    database = sqlite3.connect(file)
    try:
        return int(database.execute("SELECT count(*) FROM turn").fetchone()[0])
    finally:
        database.close()


def test_a_transaction_begins_when_the_other_writer_is_done(file: Path, connection: DatabaseWrapper) -> None:
    connection.connect()
    Holder(file).let_go_in(0.2)
    begin(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM turn")
        assert cursor.fetchone() == (1,)
    connection.rollback()


def test_a_single_statement_waits_as_a_transaction_does(file: Path, connection: DatabaseWrapper) -> None:
    connection.connect()
    Holder(file).let_go_in(0.2)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO turn DEFAULT VALUES")
    assert rows(file) == 2


def test_many_rows_at_once_wait_and_are_written_once(file: Path, connection: DatabaseWrapper) -> None:
    connection.connect()
    Holder(file).let_go_in(0.2)
    begin(connection)
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO turn VALUES (%s)", ((number,) for number in range(10, 13)))
    connection.commit()
    assert rows(file) == 4


def test_who_waits_too_long_is_told_that_the_database_is_locked(file: Path) -> None:
    impatient = connect(file, timeout=0.1)
    impatient.connect()
    holder = Holder(file)
    try:
        with pytest.raises(OperationalError, match="locked"):
            begin(impatient)
    finally:
        holder.let_go()
        impatient.close()


def test_the_wait_of_everything_else_is_as_configured_afterwards(file: Path, connection: DatabaseWrapper) -> None:
    connection.connect()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO turn DEFAULT VALUES")
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone() == (5000,)


def test_an_error_that_is_no_wait_comes_at_once(connection: DatabaseWrapper) -> None:
    connection.connect()
    begun = time.monotonic()
    with pytest.raises(OperationalError, match="no such table"), connection.cursor() as cursor:
        cursor.execute("INSERT INTO nowhere DEFAULT VALUES")
    assert time.monotonic() - begun < 4


def test_the_product_writes_with_it() -> None:
    product = connections["default"]
    if product.vendor != "sqlite":
        pytest.skip("this run is on PostgreSQL")
    assert isinstance(product, DatabaseWrapper)
