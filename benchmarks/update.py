"""The daily update of the whole market from one snapshot: our own time for it, and what it asks of Eastmoney."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from statistics import median
from unittest import mock

import pandas as pd
import time_machine

from benchmarks.figures import Figure, Run, benchmark

EVENING = timedelta(hours=16, minutes=30)
FILLED_UNTIL = date(2024, 11, 18)


@benchmark("update", "daily update of 5,400 stocks from a snapshot: our own time, without making the market up")
def update(run: Run) -> Iterator[Figure]:
    from importer.models import ImportTask
    from importer.sources.simulated import Simulated
    from marketdata.store import bars_hash
    from marketdata.trading_days import trading_days

    stocks = 300 if run.quick else 5400
    rounds = 1 if run.quick else min(run.rounds, 3)
    days = trading_days(FILLED_UNTIL, FILLED_UNTIL + timedelta(days=20)).days[: rounds + 1]
    with market_of(stocks):
        perform(days[0], "import", start=days[0] - timedelta(days=10))
        seconds = []
        for day in days[1:]:
            # Made up beforehand: a website would only send it.
            shown = Simulated(seed=1, stocks=stocks).snapshot(day)
            with mock.patch.object(Simulated, "snapshot", lambda _self, _day, part="", shown=shown: shown):
                seconds.append(perform(day, "update"))
        task = ImportTask.objects.filter(kind="update").first()
        assert task is not None
        detail = f"the last day: {task.done:,} bars, {task.skipped} stocks without one; {rounds} days"
        yield Figure("update_own_time", median(seconds), "s", 10, "<=", detail)
        by_day = bars_hash()
        forget_everything()
        perform(days[-1], "import", start=days[0] - timedelta(days=10))
        same = bars_hash() == by_day
        yield Figure("update_hash", float(same), "", 1, ">=", "1: the bars are those of one import at the end")
        forget_everything()


@benchmark("update_pages", "the same through AKShare's own paging: requests, and our CPU time")
def update_pages(run: Run) -> Iterator[Figure]:
    from importer.models import ImportTask
    from importer.sources.gate_adapter import close_connections
    from tests.sources.standin import running_standin

    stocks, day, before = (330 if run.quick else 5400), date(2026, 11, 20), date(2026, 11, 19)
    with running_standin(run.folder, stocks=stocks, until=day) as standin:
        for symbol in standin.market.listed():
            store(symbol, list(standin.market.bars(symbol, before, before)))
        with standin.redirected(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"akshare\.")
            close_connections()
            begin = time.process_time()
            elapsed = perform(day, "update", source="eastmoney")
            cpu = time.process_time() - begin
            close_connections()
        task = ImportTask.objects.filter(kind="update").first()
        assert task is not None
        assert task.rows_written == len(standin.market.listed()), task.message
        requests = len(standin.arrivals("eastmoney"))
    detail = f"{task.rows_written:,} bars in {elapsed:.0f} s: AKShare's sleep, and the stand-in that makes its pages up"
    yield Figure("update_requests", requests, "", 90, "<=", detail)
    yield Figure("update_cpu_time", cpu, "s", 10, "<=", "of the process, AKShare's paging included")
    forget_everything()


@contextmanager
def market_of(stocks: int) -> Iterator[None]:
    from django.test import override_settings

    with override_settings(SIMULATED_STOCKS=stocks, SIMULATED_LATENCY=0.0, SIMULATED_ERROR_RATE=0.0):
        yield


def perform(day: date, kind: str, *, source: str = "simulated", start: date | None = None) -> float:
    """Import or update in the evening of ``day`` and return the seconds that it took."""
    from importer import run_import
    from marketdata.trading_days import EXCHANGE_TIME

    evening = datetime.combine(day, datetime.min.time(), EXCHANGE_TIME) + EVENING
    with time_machine.travel(evening, tick=True):
        begin = time.perf_counter()
        task = run_import(kind, source=source, start=start)
        seconds = time.perf_counter() - begin
    if task.status != "completed" or task.failed:
        raise RuntimeError(f"The {kind} of {day} ended with: {task.message}")
    return seconds


def store(symbol: str, bars: list) -> None:
    from marketdata.store import ensure_stocks, store_bars

    if not bars:
        return
    frame = pd.DataFrame(
        {
            "date": pd.to_datetime([bar.day for bar in bars]).astype("datetime64[s]"),
            **{name: [getattr(bar, name) / 100 for bar in bars] for name in ("open", "high", "low", "close")},
            "volume": [bar.volume // 100 * 100 for bar in bars],
            "amount": [bar.amount for bar in bars],
        }
    )
    days = (bars[0].day, bars[-1].day)
    store_bars(ensure_stocks([symbol])[symbol], frame, source="eastmoney", simulated=False, covered=days)


def forget_everything() -> None:
    """Empty the tables: the next benchmark has the database to itself."""
    from importer.models import ImportTask, SnapshotPart, SourceState
    from marketdata.models import Bar, CorporateAction, Origin, Stock

    for model in (Bar, CorporateAction, Stock, Origin, ImportTask, SnapshotPart, SourceState):
        model.objects.all().delete()
