"""Reading panels, days and adjusted bars, against the plain driver's ``fetchall`` of the same rows.

The database is filled inside itself, so that its size costs seconds: BARS_PER_STOCK days of each of STOCKS stocks, with
nine ex-dates each, as the real market has. ``--quick`` takes a hundredth.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import psycopg

from benchmarks.figures import CannotMeasure, Figure, Run, benchmark, interleaved, median_ratio
from benchmarks.installations import empty_postgresql

STOCKS, BARS_PER_STOCK = 5400, 3700
PANEL_STOCKS = 300
SINGLE_STOCKS = 60
SINGLE_BARS = 1000
VALUES = "open, high, low, close, volume, amount"

_STOCKS = """
INSERT INTO marketdata_stock (symbol, code, former_symbol, exchange, name, board, first_bar, last_bar, bar_count)
VALUES (%s, %s, '', %s, '', '', %s, %s, %s)
"""
_DAYS = "CREATE TEMPORARY TABLE benchmark_day (number INTEGER, date DATE)"
_DAY = "INSERT INTO benchmark_day VALUES (%s, %s)"
_BARS = """
INSERT INTO marketdata_bar (stock_id, date, open, high, low, close, volume, amount, source)
SELECT stock.id, day.date, 10.0 + (stock.id * 7 + day.number * 13) %% 997 / 100.0,
       20.5 + (stock.id * 7 + day.number * 13) %% 997 / 100.0, 9.5 + (stock.id * 7 + day.number * 13) %% 997 / 100.0,
       10.2 + (stock.id * 7 + day.number * 13) %% 997 / 100.0, 100000 + day.number * 1000 + stock.id, 1234567.89, 'tdx'
FROM marketdata_stock stock CROSS JOIN benchmark_day day ORDER BY stock.id, day.date
"""
_ACTIONS = """
INSERT INTO marketdata_corporateaction (stock_id, ex_date, cash_per_share, new_shares_per_share, rights_per_share,
                                        rights_price, source)
SELECT stock.id, day.date, 0.25, 0, 0, 0, 'tdx'
FROM marketdata_stock stock CROSS JOIN benchmark_day day WHERE day.number %% 420 = 419
"""


@dataclass(frozen=True)
class Market:
    """What was stored: symbols by id, and the trading days."""

    symbols: dict[int, str]
    days: Sequence[date]


class Plain(Protocol):
    """The database's driver, asked in the plainest way that is fast."""

    def bars(self, stock_id: int, start: date, end: date) -> list[Any]: ...
    def panel(self, stock_ids: Sequence[int], start: date, end: date, fields: str) -> list[Any]: ...
    def scanned_day(self, day: date) -> list[Any]:
        """Return a day's closes without the key: the whole table is read."""


class PlainSqlite:
    def __init__(self, file: str) -> None:
        self._driver = sqlite3.connect(file)

    def bars(self, stock_id: int, start: date, end: date) -> list[Any]:
        statement = (
            f"SELECT date, {VALUES} FROM marketdata_bar WHERE stock_id = ? AND date BETWEEN ? AND ? ORDER BY date"  # noqa: S608 - a constant
        )
        return self._driver.execute(statement, (stock_id, str(start), str(end))).fetchall()

    def panel(self, stock_ids: Sequence[int], start: date, end: date, fields: str) -> list[Any]:
        statement = (
            f"SELECT stock_id, date, {fields} FROM marketdata_bar "  # noqa: S608 - constants
            "WHERE stock_id IN (SELECT value FROM json_each(?)) AND date BETWEEN ? AND ?"
        )
        return self._driver.execute(statement, (json.dumps(stock_ids), str(start), str(end))).fetchall()

    def scanned_day(self, day: date) -> list[Any]:
        return self._driver.execute(
            "SELECT stock_id, date, close FROM marketdata_bar NOT INDEXED WHERE date = ?", (str(day),)
        ).fetchall()


class PlainPostgresql:
    def __init__(self, url: str) -> None:
        self._driver = psycopg.connect(url, autocommit=True)

    def bars(self, stock_id: int, start: date, end: date) -> list[Any]:
        statement = (
            f"SELECT date, {VALUES} FROM marketdata_bar WHERE stock_id = %s AND date BETWEEN %s AND %s ORDER BY date"  # noqa: S608 - a constant
        )
        return self._driver.execute(statement, (stock_id, start, end)).fetchall()

    def panel(self, stock_ids: Sequence[int], start: date, end: date, fields: str) -> list[Any]:
        statement = (
            f"SELECT stock_id, date, {fields} FROM marketdata_bar "  # noqa: S608 - constants
            "WHERE stock_id = ANY(%s) AND date BETWEEN %s AND %s"
        )
        return self._driver.execute(statement, (list(stock_ids), start, end)).fetchall()

    def scanned_day(self, day: date) -> list[Any]:
        return self._driver.execute(
            "SELECT stock_id, date, close FROM marketdata_bar WHERE date = %s", (day,)
        ).fetchall()


@benchmark("reading", "SQLite, 20 million bars: panels, a day and adjusted bars, against sqlite3's fetchall")
def on_sqlite(run: Run) -> list[Figure]:
    from django.db import connection

    if connection.vendor != "sqlite":
        raise CannotMeasure("The database is not SQLite.")
    market = fill(run)
    return measure(run, market, PlainSqlite(connection.settings_dict["NAME"]), panel_bar=2.0, market_bar=1.6)


@benchmark("reading_pg", "PostgreSQL, 20 million bars: the same, against psycopg's fetchall")
def on_postgresql(run: Run) -> list[Figure]:
    with empty_postgresql() as url:
        child = subprocess.run(
            [sys.executable, "-c", "from benchmarks.reading import main; main()", str(run.rounds), str(int(run.quick))],
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
    plain = PlainPostgresql(os.environ["DATABASE_URL"])
    figures = measure(run, fill(run), plain, panel_bar=1.0, market_bar=1.0)
    print(json.dumps([asdict(figure) for figure in figures]))


def fill(run: Run) -> Market:
    """Empty the tables of bars and fill them: the newest trading days up to the end of 2024."""
    from django.db import connection

    from marketdata.trading_days import trading_days

    stocks, count = (STOCKS // 10, BARS_PER_STOCK // 10) if run.quick else (STOCKS, BARS_PER_STOCK)
    days = trading_days(date(2000, 1, 4), date(2024, 12, 31)).days[-count:]
    codes = [f"{600000 + number}" if number < 4000 else f"{number - 3999:06}" for number in range(stocks)]
    listed = [(f"{code}.{_exchange(code)}", code, _exchange(code), days[0], days[-1], count) for code in codes]
    with connection.cursor() as cursor:
        for table in ("corporateaction", "bar", "stock"):
            cursor.execute(f"DELETE FROM marketdata_{table}")  # noqa: S608 - our own names
        cursor.executemany(_STOCKS, listed)
        cursor.execute(_DAYS)
        cursor.executemany(_DAY, list(enumerate(days)))
        for statement in (_BARS, _ACTIONS):
            # With parameters, if only an empty list, doubled percent signs are read as single ones.
            cursor.execute(statement, [])
        cursor.execute("ANALYZE")
        cursor.execute("SELECT id, symbol FROM marketdata_stock ORDER BY id")
        return Market(dict(cursor.fetchall()), days)


def _exchange(code: str) -> str:
    return "SH" if code.startswith("6") else "SZ"


def measure(run: Run, market: Market, plain: Plain, *, panel_bar: float, market_bar: float) -> list[Figure]:
    """Return what reading takes through ``marketdata.reading``, as a multiple of the plain driver's time."""
    from marketdata.reading import load_bars, load_panel

    ids = list(market.symbols)
    days = market.days
    year = days[-min(250, len(days))], days[-1]
    few = ids[:: max(1, len(ids) // PANEL_STOCKS)][:PANEL_STOCKS]
    names = [market.symbols[stock_id] for stock_id in few]
    singles = few[:SINGLE_STOCKS]
    single_range = days[-min(SINGLE_BARS, len(days))], days[-1]

    def each_single(adjust: str) -> None:
        for stock_id in singles:
            load_bars(market.symbols[stock_id], *single_range, adjust)

    def plain_singles() -> None:
        for stock_id in singles:
            plain.bars(stock_id, *single_range)

    def panel(of: list[str] | None, **wanted: Any) -> Callable[[], None]:
        return lambda: load_panel(of, *year, **wanted) is None

    everything = VALUES.split(", ")
    single = interleaved({"plain": plain_singles, "ours": lambda: each_single("qfq")}, run.rounds)
    small = interleaved(
        {
            "plain": lambda: plain.panel(few, *year, "close") is None,
            "ours": panel(names),
            "plain, all": lambda: plain.panel(few, *year, VALUES) is None,
            "ours, all": panel(names, fields=everything, layout="long"),
            "ours, adjusted": panel(names, fields=everything, layout="long", adjust="hfq"),
        },
        run.rounds,
    )
    whole = interleaved(
        {
            "plain": lambda: plain.panel(ids, *year, "close") is None,
            "ours": panel(None),
            "ours, adjusted": panel(None, adjust="hfq"),
        },
        run.rounds,
    )
    one_day = interleaved(
        {
            "scan": lambda: plain.scanned_day(days[-1]) is None,
            "ours": lambda: load_panel(None, days[-1], days[-1]) is None,
        },
        run.rounds,
        # A scan of two gigabytes leaves nothing of what it did not read in the processor's caches.
        warm=True,
    )
    size = f"{len(ids) * len(days) / 1e6:.1f} M bars"
    return [
        _figure(f"{len(few)} stocks × 1 year, close: time", small, "ours", "plain", panel_bar),
        _figure(f"{len(few)} stocks × 1 year, all fields: time", small, "ours, all", "plain, all", panel_bar),
        _figure(f"{len(few)} stocks × 1 year, all fields, hfq: time", small, "ours, adjusted", "plain, all", 3.0),
        _figure(f"all stocks × 1 year, close: time ({size})", whole, "ours", "plain", market_bar),
        _figure(f"all stocks × 1 year, close, hfq: time ({size})", whole, "ours, adjusted", "plain", 3.0),
        _figure("1,000 bars of one stock, qfq: time", single, "ours", "plain", 3.0, per=len(singles)),
        _figure(f"one day of all stocks: time of a full scan ({size})", one_day, "ours", "scan", 0.05),
    ]


def _figure(name: str, seconds: dict[str, list[float]], ours: str, plain: str, bar: float, *, per: int = 1) -> Figure:
    detail = f"{1000 * min(seconds[ours]) / per:.1f} ms, fetchall {1000 * min(seconds[plain]) / per:.1f} ms"
    return Figure(name, median_ratio(seconds[ours], seconds[plain]), "ratio", bar, "<=", detail)
