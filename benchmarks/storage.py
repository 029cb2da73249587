"""Bars into and out of each database, against its plain driver: same rows, schema, settings and commits.

The baseline writes rows that are ready as tuples; ours starts from a frame and keeps summary, coverage and origin.
"""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import pandas as pd
import psycopg
from psycopg import sql

from benchmarks.figures import CannotMeasure, Figure, Run, benchmark, interleaved, median_ratio

Row = tuple[Any, ...]
ROWS = 1000
COVERED = (date(2020, 1, 1), date(2024, 12, 31))
COLUMNS = "stock_id, date, open, high, low, close, volume, amount, source"
INSERT = """
INSERT INTO marketdata_bar (stock_id, date, open, high, low, close, volume, amount, source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
READ = "SELECT date, open, high, low, close, volume, amount FROM {} WHERE stock_id = {} ORDER BY date"


class Plain(Protocol):
    """The database's driver, used in the plainest way that is fast."""

    name: str

    def write(self, rows: list[Row]) -> None:
        """Write one stock's rows and commit."""

    def read(self, stock_id: int) -> list[Row]:
        """Return one stock's rows."""


class PlainSqlite:
    name = "executemany"

    def __init__(self, file: Path, schema: str) -> None:
        self._driver = sqlite3.connect(file, isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", schema):
            self._driver.execute(statement)

    def write(self, rows: list[Row]) -> None:
        self._driver.execute("BEGIN IMMEDIATE")
        self._driver.executemany(INSERT, rows)
        self._driver.execute("COMMIT")

    def read(self, stock_id: int) -> list[Row]:
        return self._driver.execute(READ.format("marketdata_bar", "?"), (stock_id,)).fetchall()


class PlainPostgresql:
    name = "COPY"

    def __init__(self, url: str) -> None:
        self._driver = psycopg.connect(url)
        self._driver.execute("CREATE TABLE plain (LIKE marketdata_bar INCLUDING ALL)")
        self._driver.commit()

    def write(self, rows: list[Row]) -> None:
        with self._driver.cursor() as cursor, cursor.copy(f"COPY plain ({COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._driver.commit()

    def read(self, stock_id: int) -> list[Row]:
        rows = self._driver.execute(READ.format("plain", "%s"), (stock_id,)).fetchall()
        self._driver.commit()
        return rows


@benchmark("storage", "SQLite: bars stored and read, against sqlite3's executemany and fetchall")
def on_sqlite(run: Run) -> list[Figure]:
    from django.db import connection

    if connection.vendor != "sqlite":
        raise CannotMeasure("The database is not SQLite.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'marketdata_bar'")
        schema = cursor.fetchone()[0]
    return measure(run, PlainSqlite(run.folder / "plain.sqlite3", schema), write_bar=0.8)


@benchmark("storage-pg", "PostgreSQL: bars stored and read, against psycopg's COPY and fetchall")
def on_postgresql(run: Run) -> list[Figure]:
    with _new_database() as url:
        child = subprocess.run(
            [sys.executable, "-c", "from benchmarks.storage import main; main()", str(run.rounds), str(int(run.quick))],
            env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
        )
    if child.returncode:
        raise RuntimeError(child.stderr)
    return [Figure(**figure) for figure in json.loads(child.stdout.splitlines()[-1])]


def main() -> None:
    """Measure on the database of DATABASE_URL, in a process of its own, and print the figures as JSON."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    run = Run(Path(), rounds=int(sys.argv[1]), quick=bool(int(sys.argv[2])))
    figures = measure(run, PlainPostgresql(os.environ["DATABASE_URL"]), write_bar=0.8)
    print(json.dumps([asdict(figure) for figure in figures]))


def measure(run: Run, plain: Plain, *, write_bar: float) -> list[Figure]:
    """Return what storing and reading take in Django's default database, against the plain driver."""
    from django.db import transaction

    from marketdata.reading import load_bars
    from marketdata.store import ensure_stocks, store_bars

    batch = 5 if run.quick else 60
    frames = [_frame(seed) for seed in range(batch)]
    days = np.datetime_as_string(frames[0]["date"].to_numpy(), unit="D").tolist()
    values = [[frame[name].tolist() for name in frame.columns[1:]] for frame in frames]
    symbols = [f"{600000 + number}.SH" for number in range(batch * run.rounds)]
    ids = ensure_stocks(symbols)
    for_plain, for_ours = iter(symbols), iter(symbols)
    newest: list[str] = []

    def plainly() -> None:
        for columns in values:
            stock_id = ids[next(for_plain)]
            plain.write(list(zip([stock_id] * ROWS, days, *columns, ["tdx"] * ROWS, strict=True)))

    def store(symbol: str, frame: pd.DataFrame) -> None:
        # As a lane does it: inside a transaction that holds more.
        with transaction.atomic():
            store_bars(ids[symbol], frame, source="tdx", simulated=False, covered=COVERED)

    def ours() -> None:
        newest[:] = [next(for_ours) for _frame in frames]
        for symbol, frame in zip(newest, frames, strict=True):
            store(symbol, frame)

    def again() -> None:
        for symbol, frame in zip(newest, frames, strict=True):
            store(symbol, frame)

    written = interleaved({"plain": plainly, "ours": ours, "again": again}, run.rounds)
    read = interleaved(
        {
            "plain": lambda: [plain.read(ids[symbol]) for symbol in symbols[:batch]] and None,
            "ours": lambda: [load_bars(symbol) for symbol in symbols[:batch]] and None,
        },
        run.rounds,
    )
    rows = batch * ROWS
    return [
        _faster("new bars stored", written["plain"], written["ours"], rows, plain.name, write_bar),
        _faster("the same bars stored again", written["plain"], written["again"], rows, plain.name, write_bar),
        Figure(
            "1,000 bars to a typed frame: time",
            median_ratio(read["ours"], read["plain"]),
            "ratio",
            2.0,
            "<=",
            f"{1000 * min(read['ours']) / batch:.2f} ms, fetchall {1000 * min(read['plain']) / batch:.2f} ms",
        ),
    ]


def _faster(name: str, plain: list[float], ours: list[float], rows: int, baseline: str, bar: float) -> Figure:
    detail = f"{rows / min(ours) / 1000:.0f} against {baseline}'s {rows / min(plain) / 1000:.0f} krows/s"
    return Figure(f"{name}: speed", median_ratio(plain, ours), "ratio", bar, ">=", detail)


def _frame(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    low = np.round(random.uniform(5, 50, ROWS), 2)
    return pd.DataFrame(
        {
            "date": pd.bdate_range("2020-01-01", periods=ROWS),
            "open": low + 0.5,
            "high": low + 1,
            "low": low,
            "close": low + 0.25,
            "volume": random.integers(1, 10**8, ROWS),
            "amount": np.round(random.uniform(1e6, 1e9, ROWS), 2),
        }
    )


@contextmanager
def _new_database() -> Iterator[str]:
    server = os.environ.get("BARVAULT_TEST_POSTGRESQL_URL", f"postgres://{getpass.getuser()}@127.0.0.1:5432/test")
    name = f"barvault_bench_{uuid.uuid4().hex[:12]}"
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        raise CannotMeasure(f"PostgreSQL does not answer ({error}).") from error
    with connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
