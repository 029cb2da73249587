"""The data sites through AKShare: CPU per stock, ours and AKShare's; and a market that bans, refuses and crawls."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from benchmarks.figures import Figure, Run, benchmark
from benchmarks.installations import Installation
from benchmarks.update import forget_everything, led_to

START, END = date(2021, 1, 4), date(2024, 12, 31)
# The function of each source, and what its plain call takes: the symbol, the first and the last day as it wants them.
FUNCTIONS = {
    "eastmoney": ("stock_zh_a_hist", lambda code, vendor: (code, "daily", f"{START:%Y%m%d}", f"{END:%Y%m%d}", "")),
    "sina": ("stock_zh_a_daily", lambda code, vendor: (vendor, f"{START:%Y%m%d}", f"{END:%Y%m%d}", "")),
    "tencent": ("stock_zh_a_hist_tx", lambda code, vendor: (vendor, START.isoformat(), END.isoformat(), "")),
}
HOSTILE_PACE, HOSTILE_LANES, BAN_AFTER = (0.1, 0.3), 4, 100
EASTMONEY = "push2his.eastmoney.com"


@benchmark("sources", "CPU per stock of four years: our whole way to the database against AKShare's plain call")
def sources(run: Run) -> Iterator[Figure]:
    from tests.sources.standin import running_standin

    stocks = 4 if run.quick else 20
    with running_standin(run.folder, stocks=60, until=END) as standin, asked_at(standin, run.folder):
        symbols = [each for each in standin.market.listed() if standin.market.listed_on(each) < START]
        symbols = [each for each in symbols if not each.endswith("BJ")][:stocks]
        for name in FUNCTIONS:
            rounds = 1 if run.quick else min(run.rounds, 3)
            # The first call of a process imports, and starts the JavaScript engine.
            import_them(name, symbols[:1])
            measured = [one_round(name, symbols, plain_first=bool(number % 2)) for number in range(rounds)]
            plain, whole, function, requests = (
                median(each[part] for each in measured) for part in ("plain", "whole", "function", "requests")
            )
            yield Figure(
                f"sources_{name}_cpu",
                median(each["whole"] / each["plain"] for each in measured),
                "x plain",
                1.0,
                "<=",
                f"{whole * 1000:.1f} ms: {(function - requests) * 1000:.1f} in {FUNCTIONS[name][0]}, "
                f"{requests * 1000:.1f} in its requests and the gate, {(whole - function) * 1000:.1f} in our code; "
                f"plain call {plain * 1000:.1f} ms",
            )
    forget_everything()


@benchmark("hostile", "500 stocks while Eastmoney bans, Sina refuses every third request and Tencent is slow")
def hostile(run: Run) -> Iterator[Figure]:
    """At the pace of the settings' defaults; about six minutes."""
    from tests.sources.slots_given import most_in_a_window
    from tests.sources.standin import running_standin

    shortest, longest = HOSTILE_PACE
    mean = (shortest + longest) / 2
    environment = {
        "BARVAULT_AUTO_ORDER": "eastmoney,sina,tencent",
        "BARVAULT_PACE_MIN": str(shortest),
        "BARVAULT_PACE_MAX": str(longest),
    }
    ban_after = 10 if run.quick else BAN_AFTER
    with running_standin(run.folder, stocks=60 if run.quick else 500, until=date(2021, 2, 26)) as standin:
        standin.fault("reset", host=EASTMONEY, after=ban_after)
        standin.fault("403", host="sina", every=3)
        standin.fault("slow", host="tencent", seconds=2)
        environment |= standin.environment()
        with Installation(run.folder / "var", environment=environment) as installation:
            options = ("--source", "auto", "--start", "2021-01-04", "--end", "2021-02-26")
            installation.timed_import(*options, lanes=HOSTILE_LANES)
            failed = installation.python(
                "from importer.models import ImportTask; print(ImportTask.objects.get().failed)"
            )
        at_door = {name: [each.at for each in standin.arrivals(name)] for name in (EASTMONEY, "sina", "tencent")}
    moments = sorted(moment for each in at_door.values() for moment in each)
    # Sina is asked only once Eastmoney bans: what both take at the mean pace, one after the other.
    allowed = (ban_after + len(at_door["sina"])) * mean
    detail = f"{len(moments)} requests in {moments[-1] - moments[0]:.0f} s; {failed.split()[-1]} stocks failed"
    yield Figure("hostile_time", (moments[-1] - moments[0]) / allowed, "x pace", 1.3, "<=", detail)
    gaps = {
        name: min((after - before for before, after in pairwise(each)), default=math.inf)
        for name, each in at_door.items()
    }
    closest = min(gaps, key=lambda name: gaps[name])
    too_short = sum(after - before < shortest - 0.02 for each in at_door.values() for before, after in pairwise(each))
    # On a busy machine a request, or the door that notes it, is late now and then.
    closest_detail = f"the shortest at a door, {closest}'s; {too_short} of {len(moments)} are below the bar"
    yield Figure("hostile_gap", gaps[closest], "s", shortest - 0.02, ">=", closest_detail)
    fullest = max(most_in_a_window(each, 10) for each in at_door.values())
    yield Figure("hostile_window", fullest, "", 10 / mean + 1, "<=", "requests of one source in 10 s")


@contextmanager
def asked_at(standin: Any, folder: Path) -> Iterator[None]:
    """Lead this process to the stand-in, without a pace, trusting as many authorities as usual besides its own."""
    import certifi
    from django.test import override_settings

    bundle = folder / "authorities.pem"
    bundle.write_text(Path(certifi.where()).read_text() + Path(standin.ca).read_text())
    with (
        led_to(standin),
        mock.patch.dict(os.environ, {"REQUESTS_CA_BUNDLE": str(bundle)}),
        override_settings(PACE_MIN=0.0, PACE_MAX=0.0001),
    ):
        yield


def one_round(name: str, symbols: list[str], *, plain_first: bool) -> dict[str, float]:
    """Return seconds of CPU per stock: the plain call, our whole way, and AKShare's function and requests within."""
    plain = cpu(lambda: plain_calls(name, symbols)) if plain_first else 0.0
    inside = {"function": 0.0, "requests": 0.0}
    with counted(name, inside):
        whole = cpu(lambda: import_them(name, symbols))
    plain = plain or cpu(lambda: plain_calls(name, symbols))
    return {part: seconds / len(symbols) for part, seconds in {"plain": plain, "whole": whole, **inside}.items()}


def plain_calls(name: str, symbols: list[str]) -> None:
    """Call AKShare as its documentation says: every request on a connection of its own."""
    import akshare

    function, arguments = FUNCTIONS[name]
    for symbol in symbols:
        code, exchange = symbol.split(".")
        frame = getattr(akshare, function)(*arguments(code, exchange.lower() + code))
        assert len(frame) > 900, f"{name} sent {len(frame)} rows for {symbol}"


def import_them(name: str, symbols: list[str]) -> None:
    """Fetch, check and store the stocks as a lane does."""
    from importer import pacing
    from importer.asking import ask
    from importer.sources.registry import get_source
    from marketdata.store import ensure_stocks, store_bars

    forget_everything()
    ids = ensure_stocks(symbols)
    for symbol in symbols:
        answer = ask([get_source(name)], symbol, START, END, today=END, has_history=False)
        assert len(answer.frame) > 900, f"{name} gave {len(answer.frame)} bars of {symbol}"
        store_bars(ids[symbol], answer.frame, source=name, simulated=False, covered=(START, END))
    pacing.flush()


def cpu(act: Callable[[], None]) -> float:
    begin = time.process_time()
    act()
    return time.process_time() - begin


@contextmanager
def counted(name: str, inside: dict[str, float]) -> Iterator[None]:
    """Add up the CPU of AKShare's function, and of the requests that it makes, inside the block."""
    import akshare

    from importer.sources.gate_adapter import GateAdapter

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            begin = time.thread_time()
            try:
                return function(*arguments, **more)
            finally:
                inside[part] += time.thread_time() - begin

        return call

    function = FUNCTIONS[name][0]
    with (
        mock.patch.object(akshare, function, timed("function", getattr(akshare, function))),
        mock.patch.object(GateAdapter, "send", timed("requests", GateAdapter.send)),
    ):
        yield
