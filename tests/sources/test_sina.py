from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import date, timedelta
from typing import Any

import akshare
import pandas as pd
import pytest

from importer.exceptions import StopRequested
from importer.sources.akshare import sina
from importer.sources.akshare.calls import asking
from importer.sources.akshare.sina import Sina, published_trading_days
from importer.sources.base import BAR_COLUMNS, BadData, Source, SourceUnavailable, UnknownSymbol
from importer.sources.fetching import FetchContext, fetching
from marketdata.trading_days import extend_calendar
from tests.sources.expected import expected_bars, same_bars
from tests.sources.standin import StandIn
from tests.sources.standin.exchange_days import open_days_of, published_days

START, END = date(2024, 1, 1), date(2024, 6, 28)


def bars(symbol: str = "600519.SH", start: date | None = START, end: date | None = END) -> pd.DataFrame:
    return Sina().daily_bars(symbol, start, end)


def test_it_keeps_the_protocol_of_sources() -> None:
    assert isinstance(Sina(), Source)


@pytest.mark.parametrize("symbol", ["600519.SH", "000001.SZ", "300750.SZ", "688981.SH", "689009.SH", "920001.BJ"])
def test_the_range_is_cut_out_of_the_whole_history(standin: StandIn, symbol: str) -> None:
    assert same_bars(bars(symbol), expected_bars(standin, symbol, START, END))


def test_without_bounds_the_whole_history_comes(standin: StandIn) -> None:
    assert same_bars(bars("688981.SH", None, None), expected_bars(standin, "688981.SH"))


def test_a_stock_takes_two_requests_and_never_asks_for_factors(standin: StandIn) -> None:
    bars()
    assert [arrival.path.rpartition("/")[2] for arrival in standin.arrivals()] == [
        "klc_kl.js",
        "StockService.getAmountBySymbol",
    ]


def test_akshare_makes_a_bar_of_a_record_of_share_capital(standin: StandIn) -> None:
    """What is guarded against: should AKShare mend it, the guard can go."""
    saturday = record_of_share_capital(standin)
    with asking("sina", "600519.SH"):
        raw = akshare.stock_zh_a_daily("sh600519", start_date=saturday.strftime("%Y%m%d"))
    assert raw["date"].iloc[0] == saturday


def test_no_bar_is_made_of_a_record_of_share_capital(standin: StandIn) -> None:
    saturday = record_of_share_capital(standin)
    assert bars(start=saturday, end=saturday + timedelta(days=1)).empty
    assert bars(start=saturday, end=saturday + timedelta(days=4))["date"].iloc[0].date() > saturday


def record_of_share_capital(standin: StandIn) -> date:
    first = standin.market.bars("600519.SH")[0].day
    return first + timedelta(days=5 - first.weekday() + 70)


def test_a_day_on_which_the_exchange_was_closed_is_dropped(standin: StandIn) -> None:
    standin.fault("weekend_day")
    assert same_bars(bars(end=None), expected_bars(standin, "600519.SH", START, None))


def test_an_unknown_stock_is_named(standin: StandIn) -> None:
    with pytest.raises(UnknownSymbol, match=r"601999\.SH"):
        bars("601999.SH")


def test_a_range_before_the_listing_is_an_empty_frame(standin: StandIn) -> None:
    frame = bars("301999.SZ")
    assert frame.empty
    assert tuple(frame.columns) == BAR_COLUMNS


def test_the_answer_of_another_stock_is_refused(standin: StandIn) -> None:
    standin.fault("wrong_symbol")
    with pytest.raises(BadData, match="answered with sh600999"):
        bars()


@pytest.mark.parametrize("kind", ["truncated", "changed_columns"])
def test_an_answer_that_cannot_be_read_is_bad_data(standin: StandIn, kind: str) -> None:
    standin.fault(kind, host="finance.sina.com.cn", path="klc_kl.js")
    with pytest.raises(BadData):
        bars()


def test_the_share_capital_may_fail_too(standin: StandIn) -> None:
    standin.fault("502", host="stock.finance.sina.com.cn")
    with pytest.raises(SourceUnavailable):
        bars()


def test_two_threads_never_decode_at_the_same_time(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0
    decode = akshare.stock_zh_a_daily

    def counted(**arguments: Any) -> pd.DataFrame:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        answer = decode(**arguments)
        inside -= 1
        return answer

    monkeypatch.setattr(akshare, "stock_zh_a_daily", counted)
    threads = [threading.Thread(target=in_thread) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def in_thread() -> None:
    from django.db import connection

    try:
        bars()
    finally:
        connection.close()


def test_who_waits_for_the_decoder_can_be_stopped(standin: StandIn) -> None:
    with sina._one_engine, fetching(FetchContext(float("inf"), lambda: True)), pytest.raises(StopRequested):
        bars()


def test_who_waits_for_the_decoder_does_not_wait_for_ever(standin: StandIn) -> None:
    with sina._one_engine, fetching(FetchContext(0.0, lambda: False)), pytest.raises(SourceUnavailable):
        bars()


def test_the_published_calendar_is_the_exchanges(standin: StandIn) -> None:
    published = published_trading_days()
    # AKShare adds a day that Sina's list lacks.
    assert published == published_days()
    assert extend_calendar(published) == len(open_days_of(2027))


def test_a_truncated_calendar_is_wrong_without_an_error_and_not_stored(standin: StandIn) -> None:
    from marketdata.exceptions import BadCalendar

    standin.fault("truncated", path="klc_td_sh")
    days = published_trading_days()
    assert days != published_days()
    with pytest.raises(BadCalendar):
        extend_calendar(days)


def test_akshare_draws_no_progress_bars() -> None:
    script = (
        "import django; django.setup(); import importer.sources.akshare.sina\n"
        "from akshare.utils.tqdm import get_tqdm\n"
        "list(get_tqdm()(range(3)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], env=dict(os.environ), capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stderr == ""


def test_an_error_inside_the_decoder_is_bad_data() -> None:
    from akshare.stock.stock_zh_a_sina import py_mini_racer

    with pytest.raises(BadData, match="AKShare cannot read"), asking("sina", "600519.SH"):
        py_mini_racer.MiniRacer().eval("nothing.of.the.kind")
