"""The daily update of the whole market from one snapshot: our own time for it, and what it asks of Eastmoney."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any
from unittest import mock

import pandas as pd
import time_machine

from benchmarks.figures import Figure, Run, benchmark

EVENING = timedelta(hours=16, minutes=30)
FILLED_UNTIL = date(2024, 11, 18)
# The day that the data sites' pages show, a Friday.
PAGES_DAY = date(2026, 11, 20)


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


@benchmark("update_month", "thirty days of 5,400 stocks by snapshot, disturbed in every way, against one import")
def update_month(run: Run) -> Iterator[Figure]:
    """Run twice a day here, at ten in the morning there, on a Sunday, with a skipped week and a refused snapshot."""
    from importer.models import ImportTask
    from importer.sources.base import Banned
    from importer.sources.simulated import Simulated
    from marketdata.store import bars_hash
    from marketdata.trading_days import trading_days

    stocks, count = (300, 12) if run.quick else (5400, 31)
    days = trading_days(date(2024, 5, 17), date(2024, 8, 1)).days[:count]
    skipped = days[5:8] if run.quick else days[12:17]
    start = days[0] - timedelta(days=10)

    def refuse(*_args: object) -> pd.DataFrame:
        raise Banned(source="simulated", detail="403")

    with market_of(stocks):
        perform(days[0], "import", start=start)
        for number, day in enumerate(days[1:]):
            if day in skipped:
                continue
            if number % 5 == 1:
                perform(day, "update", moment=timedelta(hours=10))
            if number == 3:
                with mock.patch.object(Simulated, "snapshot", refuse):
                    perform(day, "update")
            perform(day, "update")
            if number % 5 == 2:
                perform(day, "update")
            if day.weekday() == 4:
                perform(day + timedelta(days=2), "update")
        by_day, tasks = bars_hash(), ImportTask.objects.filter(kind="update").count()
        forget_everything()
        perform(days[-1], "import", start=start)
        same = bars_hash() == by_day
        forget_everything()
    detail = f"1: {tasks} updates on {len(days) - 1 - len(skipped)} days left the bars of one import at the end"
    yield Figure("update_month_hash", float(same), "", 1, ">=", detail)


@benchmark("update_pages", "the same through AKShare's own paging: requests, and our CPU time")
def update_pages(run: Run) -> Iterator[Figure]:
    from importer.models import ImportTask

    with standin_with_yesterday(run) as standin:
        with led_to(standin):
            begin = time.process_time()
            elapsed = perform(PAGES_DAY, "update", source="eastmoney")
            cpu = time.process_time() - begin
        task = ImportTask.objects.filter(kind="update").first()
        assert task is not None
        assert task.rows_written == len(standin.market.listed()), task.message
        requests = len(standin.arrivals("eastmoney"))
    detail = f"{task.rows_written:,} bars in {elapsed:.0f} s: AKShare's sleep, and the stand-in that makes its pages up"
    yield Figure("update_requests", requests, "", 90, "<=", detail)
    yield Figure("update_cpu_time", cpu, "s", 10, "<=", "of the process, AKShare's paging included")
    forget_everything()


@benchmark("update_ban", "the same when Eastmoney bans after a third of its pages: Sina's pages give the rest")
def update_ban(run: Run) -> Iterator[Figure]:
    from django.test import override_settings

    from marketdata.models import Bar

    day = PAGES_DAY
    with standin_with_yesterday(run) as standin:
        listed = standin.market.listed()
        standin.fault("reset", host="82.push2.eastmoney.com", after=3 if run.quick else 20)
        # Websites alone: what is measured is how one site's pages take over from another's.
        with led_to(standin), override_settings(AUTO_ORDER=["eastmoney", "sina", "tencent"]):
            perform(day, "update", source="auto")
        asked = {name: len(standin.arrivals(name)) for name in ("eastmoney", "sina")}
        true = {symbol: standin.market.bars(symbol, day, day)[0] for symbol in listed}
    rows = Bar.objects.filter(date=day).values_list("stock__symbol", "open", "high", "low", "close", "volume", "source")
    right, by_source = 0, dict.fromkeys(asked, 0)
    for symbol, *prices, volume, source in rows:
        bar, lot = true[symbol], 1 if source == "sina" else 100
        shown = [getattr(bar, name) / 100 for name in ("open", "high", "low", "close")]
        right += prices == shown and volume == bar.volume // lot * lot
        by_source[source] += 1
    detail = f"{right:,} of {len(listed):,} bars are the day's; bars {by_source}, requests {asked}"
    yield Figure("update_ban_right", right / len(listed), "", 1, ">=", detail)
    yield Figure("update_ban_requests", sum(asked.values()), "", 180, "<=", "of all sites, the actions' included")
    forget_everything()


@contextmanager
def standin_with_yesterday(run: Run) -> Iterator[Any]:
    """Yield a stand-in of the data sites until PAGES_DAY, whose day before is stored already."""
    from tests.sources.standin import running_standin

    with running_standin(run.folder, stocks=330 if run.quick else 5400, until=PAGES_DAY) as standin:
        before = PAGES_DAY - timedelta(days=1)
        for symbol in standin.market.listed():
            store(symbol, list(standin.market.bars(symbol, before, before)))
        yield standin


@contextmanager
def led_to(standin: Any) -> Iterator[None]:
    """Have this process ask the stand-in in place of the data sites, over connections of its own."""
    from importer.sources.gate_adapter import close_connections

    with standin.redirected(), warnings.catch_warnings():
        # What AKShare's own lines do is not ours to mend.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"akshare\.")
        close_connections()
        yield
        close_connections()


@contextmanager
def market_of(stocks: int) -> Iterator[None]:
    from django.test import override_settings

    with override_settings(SIMULATED_STOCKS=stocks, SIMULATED_LATENCY=0.0, SIMULATED_ERROR_RATE=0.0):
        yield


def perform(
    day: date, kind: str, *, source: str = "simulated", start: date | None = None, moment: timedelta = EVENING
) -> float:
    """Import or update at ``moment`` (in the evening) of ``day`` and return the seconds that it took."""
    from importer import run_import
    from marketdata.trading_days import EXCHANGE_TIME

    evening = datetime.combine(day, datetime.min.time(), EXCHANGE_TIME) + moment
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
