"""The same import into an empty database and into one that has grown: is a full database as quick as a new one?"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, Run, benchmark, median_ratio
from benchmarks.installations import Installation
from benchmarks.market import write_vipdoc

ROWS = 1000
LANES = 2
# The imported stocks lie between the others, as new bars of old stocks do: nothing is merely appended.
FIRST_ID = 1_000_000


@benchmark("growth", "import from TDX files into a database of 20 M rows against an empty one")
def growth(run: Run) -> Iterator[Figure]:
    stocks = 60 if run.quick else 600
    others = 200 if run.quick else 20_000
    vipdoc = write_vipdoc(run.folder, stocks, ROWS)
    grown_file = run.folder / "grown.sqlite3"
    seconds: dict[str, list[float]] = {"empty": [], "grown": []}
    # The grown database belongs to the first key that opens it, and each round has a folder of its own.
    environment = {"SECRET_KEY": secrets.token_urlsafe(50)}
    for number in range(min(run.rounds, 3)):
        for name in ("empty", "grown") if number % 2 == 0 else ("grown", "empty"):
            url = f"sqlite:///{grown_file}" if name == "grown" else ""
            with Installation(run.folder / f"var-{number}-{name}", url, environment) as installation:
                if name == "grown":
                    _prepare(installation, grown_file, stocks, others)
                seconds[name].append(installation.timed_import("--source", "tdx", "--path", str(vipdoc), lanes=LANES))
    yield Figure(
        "growth_sqlite",
        median_ratio(seconds["empty"], seconds["grown"]),
        "x empty",
        0.8,
        ">=",
        f"{stocks * ROWS / median(seconds['grown']) / 1000:.0f} krows/s at {others * ROWS / 1e6:g} M rows against "
        f"{stocks * ROWS / median(seconds['empty']) / 1000:.0f}; {LANES} lanes",
    )


def _prepare(installation: Installation, file: Path, stocks: int, others: int) -> None:
    """Fill the database with ``others`` stocks of ROWS bars the first time; later take out what was imported."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")
        imported = (FIRST_ID, FIRST_ID + stocks)
        database.execute("DELETE FROM marketdata_bar WHERE stock_id >= ? AND stock_id < ?", imported)
        if not database.execute("SELECT 1 FROM marketdata_bar LIMIT 1").fetchone():
            for first in (1, 2 * FIRST_ID):
                _fill(database, first, others // 2)
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    installation.python(
        "from importer.models import ImportTask; from marketdata.models import Stock; "
        "ImportTask.objects.all().delete(); Stock.objects.all()._raw_delete('default'); "
        f"Stock.objects.bulk_create(Stock(id={FIRST_ID} + each, symbol=f'{{600000 + each}}.SH', "
        f"code=str(600000 + each), exchange='SH') for each in range({stocks}))"
    )


def _fill(database: sqlite3.Connection, first: int, stocks: int) -> None:
    database.execute(
        """
        WITH RECURSIVE
            stock(id) AS (SELECT ? UNION ALL SELECT id + 1 FROM stock LIMIT ?),
            day(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM day LIMIT ?)
        INSERT INTO marketdata_bar (stock_id, date, open, high, low, close, volume, amount, source)
        SELECT id, date('2020-01-01', '+' || number || ' days'), 10.01 + number % 7, 18.5, 9.5, 11.23 + number % 5,
            1000000 + number * 100, 12345678.9 + number, 'tdx'
        FROM stock CROSS JOIN day
        """,
        (first, stocks, ROWS),
    )
