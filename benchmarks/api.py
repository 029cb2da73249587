"""The web server while an import from files runs at full speed: how long a POST and the status page's call take.

Absolute times, as a person feels them, on the cores that the import uses as well.
"""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from statistics import median

import requests

from benchmarks.figures import Figure, Run, benchmark, percentile
from benchmarks.installations import Installation
from benchmarks.market import write_vipdoc

ROWS = 1000
LANES = 2
# What a script does between two calls, and the page for longer.
PAUSE = 0.03
FEWEST_CALLS = 100
_ROOT = Path(__file__).resolve().parent.parent
_STATUS_OF_TASK = "SELECT status FROM importer_importtask WHERE id = ?"


@benchmark("api_post", "POST /api/data/import on SQLite, while an import from TDX files runs at full speed")
def api_post(run: Run) -> Iterator[Figure]:
    """Each POST makes a task of its own, which waits: a row written while two lanes write theirs."""
    stocks = 150 if run.quick else 2400
    write_vipdoc(run.folder, stocks, ROWS)
    seconds: list[float] = []
    for number in range(min(run.rounds, 3)):
        with _served(run, f"var-{number}") as (installation, url):
            importing = _start_import(installation, url)
            symbols = (f"{600000 + place}.SH" for place in count())

            def post(session: requests.Session, url: str = url, symbols: Iterator[str] = symbols) -> None:
                body = {"source": "tdx", "path": "vipdoc", "symbols": [next(symbols)], "priority": -10}
                session.post(f"{url}/api/data/import", json=body, timeout=120).raise_for_status()

            seconds += _timed_while(lambda: _is_running(installation, importing), post)  # noqa: B023
    yield from _figures("post", seconds, p50=0.1, p99=1.0, enough=run.quick)


@benchmark("api_status", "GET /api/data/status on 5,400 stocks and 5 M bars, while an import runs")
def api_status(run: Run) -> Iterator[Figure]:
    stored_stocks, days = (540, 100) if run.quick else (5400, 926)
    write_vipdoc(run.folder, 150 if run.quick else 2400, ROWS)
    seconds: list[float] = []
    for number in range(min(run.rounds, 3)):
        with _served(run, f"var-{number}", lambda file: _fill(file, stored_stocks, days)) as (installation, url):
            importing = _start_import(installation, url)

            def get(session: requests.Session, url: str = url) -> None:
                session.get(f"{url}/api/data/status", timeout=120).raise_for_status()

            seconds += _timed_while(lambda: _is_running(installation, importing), get)  # noqa: B023
    yield from _figures("status", seconds, p50=None, p99=0.05, enough=run.quick)


def _figures(name: str, seconds: list[float], *, p50: float | None, p99: float, enough: bool) -> Iterator[Figure]:
    if len(seconds) < FEWEST_CALLS and not enough:
        raise RuntimeError(f"Only {len(seconds)} calls were answered while the import ran.")
    detail = f"{len(seconds)} calls, the longest {1000 * max(seconds):.0f} ms"
    if p50 is not None:
        yield Figure(f"api_{name}_p50", 1000 * median(seconds), "ms", 1000 * p50, "<=", detail)
    yield Figure(f"api_{name}_p99", 1000 * percentile(seconds, 0.99), "ms", 1000 * p99, "<=", detail)


def _timed_while(goes_on: Callable[[], bool], call: Callable[[requests.Session], None]) -> list[float]:
    """Call again and again, with a pause, and return the seconds of each call that ended while the import ran."""
    seconds: list[float] = []
    with requests.Session() as session:
        # An inherited proxy is no way to this machine.
        session.trust_env = False
        call(session)
        while True:
            begin = time.perf_counter()
            call(session)
            took = time.perf_counter() - begin
            if not goes_on():
                return seconds
            seconds.append(took)
            time.sleep(PAUSE)


def _start_import(installation: Installation, url: str) -> str:
    """Start an import of all files and return its id once stocks are being stored."""
    body = {"source": "tdx", "path": "vipdoc"}
    answer = requests.post(f"{url}/api/data/import", json=body, timeout=120)
    answer.raise_for_status()
    task_id = str(answer.json()["task_id"])
    until = time.monotonic() + 120
    while time.monotonic() < until:
        task = requests.get(f"{url}/api/data/tasks/{task_id}", timeout=120).json()["data"]
        if task["done"]:
            return task_id
        time.sleep(0.05)
    raise RuntimeError(f"The import does not start: {task['message']}")


def _is_running(installation: Installation, task_id: str) -> bool:
    with closing(sqlite3.connect(_file_of(installation), timeout=60)) as file:
        return bool(file.execute(_STATUS_OF_TASK, (task_id.replace("-", ""),)).fetchone()[0] == "running")


def _file_of(installation: Installation) -> str:
    return installation.environment["DATABASE_URL"].removeprefix("sqlite:///")


@contextmanager
def _served(
    run: Run, name: str, prepare: Callable[[str], None] = lambda file: None
) -> Iterator[tuple[Installation, str]]:
    """Yield an installation with ``serve`` on it, and its address."""
    environment = {"BARVAULT_FILES_ROOT": str(run.folder), "PYTHONUNBUFFERED": "1"}
    installation = Installation(run.folder / name, environment=environment)
    prepare(_file_of(installation))
    server = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", "0", "--workers", str(LANES)],
        cwd=_ROOT, env=installation.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield installation, _address(server)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"http://\S+:\d+", line):
            return found.group()
    raise RuntimeError("serve ended before it was ready.")


def _fill(file: str, stocks: int, days: int) -> None:
    """Store ``days`` made-up bars of each of ``stocks`` stocks, other ones than those of the files."""
    from marketdata.trading_days import installed_calendar

    known = [day.isoformat() for day in installed_calendar().days if day.isoformat() <= "2024-12-31"][-days:]
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO marketdata_stock (symbol, code, former_symbol, exchange, name, board, bar_count, first_bar,"
            " last_bar,"
            " covered_from, covered_until) VALUES (?, ?, '', 'SZ', '', 'main', ?, ?, ?, ?, ?)",
            (
                (f"{number:06}.SZ", f"{number:06}", days, known[0], known[-1], known[0], known[-1])
                for number in range(1, stocks + 1)
            ),
        )
        database.execute("CREATE TEMP TABLE day (date TEXT)")
        database.executemany("INSERT INTO day VALUES (?)", ((day,) for day in known))
        database.execute(
            "INSERT INTO marketdata_bar (stock_id, date, open, high, low, close, volume, amount, source)"
            " SELECT id, date, 10.0, 10.5, 9.5, 10.2, 1000000, 10000000.0, 'tdx'"
            " FROM marketdata_stock CROSS JOIN day ORDER BY id, date"
        )
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
