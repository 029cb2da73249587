"""The whole pipeline: from .day files through lanes into the database, and a network-bound import against its pace."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import psycopg

from benchmarks.figures import Figure, Run, benchmark, median_ratio
from benchmarks.installations import Installation, empty_postgresql
from benchmarks.market import DAY_RECORD, write_vipdoc

ROWS = 1000
# Enough that the start of a task, a few tenths of a second, is the small part that it is of a whole market.
STOCKS = 2000


@benchmark("tdx", "import from TDX files, the whole pipeline, against raw executemany of the same rows")
def tdx(run: Run) -> Iterator[Figure]:
    stocks = 60 if run.quick else STOCKS
    vipdoc = write_vipdoc(run.folder, stocks, ROWS)
    rows = parsed(vipdoc)
    seconds: dict[str, list[float]] = {"raw": [], "1": [], "2": [], "4": []}
    memory: list[float] = []
    for number in range(run.rounds):
        seconds["raw"].append(raw_sqlite(run.folder / f"raw-{number}.sqlite3", rows))
        for lanes in ("1", "2", "4"):
            with Installation(run.folder / f"var-{number}-{lanes}") as installation:
                seconds[lanes].append(
                    installation.timed_import("--source", "tdx", "--path", str(vipdoc), lanes=int(lanes))
                )
                memory.append(installation.worker_peak_mb)
        seconds["raw"][-1] = (seconds["raw"][-1] + raw_sqlite(run.folder / f"again-{number}.sqlite3", rows)) / 2
    for lanes, bar in (("1", 0.6), ("2", 0.7), ("4", 0.7)):
        yield Figure(
            f"tdx_{lanes}_lanes",
            median_ratio(seconds["raw"], seconds[lanes]),
            "x raw executemany",
            bar,
            ">=",
            f"{stocks * ROWS / median(seconds[lanes]) / 1000:.0f} krows/s against "
            f"{stocks * ROWS / median(seconds['raw']) / 1000:.0f}",
        )
    yield Figure("tdx_worker_memory", max(memory), "MB", 300, "<=", f"peak of one worker over {stocks} stocks")


@benchmark("tdx_postgresql", "the same import on PostgreSQL, against plain COPY")
def tdx_postgresql(run: Run) -> Iterator[Figure]:
    stocks = 60 if run.quick else STOCKS
    vipdoc = write_vipdoc(run.folder, stocks, ROWS)
    rows = parsed(vipdoc)
    ours: dict[int, list[float]] = {1: [], 2: [], 4: []}
    plain: list[float] = []
    for number in range(run.rounds):
        with (
            empty_postgresql() as url,
            Installation(run.folder / f"plain-{number}", url),
            psycopg.connect(url) as server,
        ):
            plain.append(copy_postgresql(server, rows))
        for lanes, seconds in ours.items():
            with empty_postgresql() as url, Installation(run.folder / f"var-{number}-{lanes}", url) as installation:
                seconds.append(installation.timed_import("--source", "tdx", "--path", str(vipdoc), lanes=lanes))
    for lanes, seconds in ours.items():
        yield Figure(
            f"tdx_postgresql_{lanes}_lanes",
            median_ratio(plain, seconds),
            "x plain COPY",
            0.6,
            ">=",
            f"{stocks * ROWS / median(seconds) / 1000:.0f} krows/s against {stocks * ROWS / median(plain) / 1000:.0f}",
        )


@benchmark("pace", "network-bound import: requests per second against the configured pace, 4 lanes, 0.15 s latency")
def pace(run: Run) -> Figure:
    """The simulated market at the pace of a data site: the same slots, breaker and lanes as a real one."""
    stocks = 40 if run.quick else 240
    environment = {
        "BARVAULT_SIMULATED_STOCKS": str(stocks),
        "BARVAULT_SIMULATED_LATENCY": "0.15",
        "BARVAULT_PACE_FLOORS": "simulated=0.1",
        "BARVAULT_PACE_MIN": "0.1",
        "BARVAULT_PACE_MAX": "0.3",
    }
    shares = []
    for number in range(1 if run.quick else min(run.rounds, 3)):
        with Installation(run.folder / f"var-{number}", environment=environment) as installation:
            installation.timed_import("--source", "simulated", lanes=4)
            requests, seconds = installation.requests_between_slots("simulated")
            shares.append(requests / seconds * 0.2)
    return Figure("pace", median(shares), "x pace", 0.97, ">=", f"{stocks} stocks; mean interval 0.2 s")


def parsed(vipdoc: Path) -> list[list[tuple[object, ...]]]:
    """Return each stock's rows as tuples, ready to be inserted."""
    stocks = []
    for number, file in enumerate(sorted(vipdoc.glob("sh/lday/*.day")), start=1):
        records = np.fromfile(file, DAY_RECORD)
        days = [f"{day // 10000:04}-{day // 100 % 100:02}-{day % 100:02}" for day in records["date"].tolist()]
        prices = [(records[name] / 100.0).tolist() for name in ("open", "high", "low", "close")]
        count = len(days)
        volume, amount = records["volume"].tolist(), records["amount"].astype(float).tolist()
        stocks.append(list(zip([number] * count, days, *prices, volume, amount, ["tdx"] * count, strict=True)))
    return stocks


def raw_sqlite(file: Path, stocks: list[list[tuple[object, ...]]]) -> float:
    """Insert the rows with ``sqlite3.executemany`` into our table: same schema, settings and commits."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'marketdata_bar'")
        schema = cursor.fetchone()[0]
    database = sqlite3.connect(file, isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
    database.execute(schema)
    columns = "stock_id, date, open, high, low, close, volume, amount, source"
    begin = time.perf_counter()
    for rows in stocks:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(f"INSERT INTO marketdata_bar ({columns}) VALUES (?,?,?,?,?,?,?,?,?)", rows)  # noqa: S608
        database.execute("COMMIT")
    seconds = time.perf_counter() - begin
    database.close()
    file.unlink()
    return seconds


def copy_postgresql(server: psycopg.Connection, stocks: list[list[tuple[object, ...]]]) -> float:
    """Insert the rows with a plain text ``COPY`` into our table, one commit per stock."""
    columns = "stock_id, date, open, high, low, close, volume, amount, source"
    begin = time.perf_counter()
    for rows in stocks:
        with server.cursor() as cursor, cursor.copy(f"COPY marketdata_bar ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        server.commit()
    return time.perf_counter() - begin
