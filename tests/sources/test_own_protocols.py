"""What holds for every source that speaks a protocol of its own, whichever it is."""

from __future__ import annotations

import os
import threading
import time
from datetime import date
from typing import Any

import pandas as pd
import pytest

from importer.exceptions import StopRequested
from importer.pacing import SourceResting
from importer.sources.baostock import Baostock
from importer.sources.base import Banned, Source, UnknownSymbol
from importer.sources.fetching import FetchContext, fetching
from importer.sources.tdxquotes import TdxQuotes
from tests.sources.standin import StandIn

START, END = date(2024, 6, 1), date(2024, 6, 28)
# A part of the path of the requests that bring bars, not of those that greet.
PATHS = {"baostock": "query", "tdxquotes": "bars"}


@pytest.fixture(params=[Baostock, TdxQuotes], ids=lambda each: each.name)
def source(request: pytest.FixtureRequest) -> Source:
    made: Source = request.param()
    return made


def bars(source: Source, symbol: str = "600519.SH") -> pd.DataFrame:
    return source.daily_bars(symbol, START, END)


def test_it_keeps_the_protocol_of_sources(source: Source) -> None:
    assert isinstance(source, Source)


def test_beijing_is_not_asked_for(standin: StandIn, source: Source) -> None:
    with pytest.raises(UnknownSymbol):
        bars(source, "430047.BJ")
    assert standin.arrivals() == []


def test_a_fetch_that_has_to_give_way_ends_at_once(standin: StandIn, settings: Any, source: Source) -> None:
    bars(source)
    # What ends it is the stop.
    settings.REQUEST_TIMEOUT = 100
    standin.fault("silence", host=source.name)
    began, stop = time.monotonic(), threading.Event()
    threading.Timer(0.3, stop.set).start()
    with fetching(FetchContext(began + 200, stop.is_set)), pytest.raises(StopRequested):
        bars(source)
    assert time.monotonic() - began < 60


def test_a_forked_process_makes_a_connection_of_its_own(
    standin: StandIn, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars(source)
    own = os.getpid()
    monkeypatch.setattr("importer.sources.tcp.os.getpid", lambda: own + 1)
    bars(source)
    assert len({each.connection for each in standin.arrivals(source.name)}) == 2


def test_who_greets_and_then_refuses_is_found_to_refuse(standin: StandIn, source: Source) -> None:
    standin.fault("reset", host=source.name, path=PATHS[source.name])
    for _ in range(5):
        with pytest.raises(Banned):
            bars(source)
    with pytest.raises(SourceResting):
        bars(source)


def test_requests_come_at_the_pace_and_never_in_a_burst(standin: StandIn, settings: Any, source: Source) -> None:
    settings.PACE_MIN = settings.PACE_MAX = 0.2
    for symbol in ("600519.SH", "000001.SZ", "300750.SZ", "688981.SH"):
        bars(source, symbol)
    gaps = standin.gaps(source.name)
    assert len(gaps) >= 4
    # Half of it is room for a machine that is busy.
    assert min(gaps) >= 0.1
