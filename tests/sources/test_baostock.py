from __future__ import annotations

import threading
from datetime import date
from datetime import time as clock
from typing import Any

import baostock as package
import pandas as pd
import pytest
from baostock.util import socketutil

from importer import pacing
from importer.models import SourceState
from importer.pacing import SourceResting
from importer.sources.baostock import Baostock
from importer.sources.baostock_wire import text_of_answer
from importer.sources.base import BAR_COLUMNS, BadData, Banned, SourceUnavailable
from importer.sources.validation import validate_bars
from tests.importer.simulated_clock import at
from tests.sources.broken_network import find_no_name
from tests.sources.expected import expected_bars, same_bars
from tests.sources.standin import StandIn
from tests.sources.standin.bars import DELISTED, SUSPENDED, sessions

START, END = date(2024, 1, 2), date(2024, 6, 28)
# The answer of the real service to a login, as users have shown it.
REAL_LOGIN = (
    b"00.8.80\x0101\x0100000000430\x01success\x01login\x01anonymous\x0120231120162133118\x014058276909<![CDATA[]]>\n"
)


def bars(symbol: str = "600519.SH", start: date | None = START, end: date | None = END) -> pd.DataFrame:
    return Baostock().daily_bars(symbol, start, end)


def paths(standin: StandIn) -> list[str]:
    return [each.path for each in standin.arrivals("baostock")]


@pytest.mark.parametrize("symbol", ["600519.SH", "000001.SZ", "300750.SZ", "688981.SH"])
def test_bars_are_exact(standin: StandIn, symbol: str) -> None:
    found = bars(symbol)
    assert tuple(found.columns) == BAR_COLUMNS
    assert same_bars(found, expected_bars(standin, symbol, START, END))


def test_its_bars_pass_validation(standin: StandIn) -> None:
    checked = validate_bars(bars(), symbol="600519.SH", source="baostock", start=START, end=END, today=END)
    assert checked.findings == ()


def test_a_stock_takes_one_request_after_the_login(standin: StandIn) -> None:
    bars()
    bars("000001.SZ")
    assert paths(standin) == ["login", "query_history_k_data_plus", "query_history_k_data_plus"]
    assert len({each.connection for each in standin.arrivals("baostock")}) == 1


def test_days_of_a_suspension_are_no_bars(standin: StandIn) -> None:
    pause = SUSPENDED["000002.SZ"]
    days = bars("000002.SZ")["date"].dt.date
    assert len(days) > 100
    assert not days.between(*pause).any()


def test_without_bounds_the_whole_history_comes(standin: StandIn) -> None:
    assert same_bars(bars("688981.SH", None, None), expected_bars(standin, "688981.SH"))


def test_a_long_history_comes_page_by_page(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baostock.common.contants.BAOSTOCK_PER_PAGE_COUNT", 50)
    assert same_bars(bars(), expected_bars(standin, "600519.SH", START, END))
    assert paths(standin).count("query_history_k_data_plus") == 3


def test_a_page_that_fails_is_not_the_end_of_the_data(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baostock.common.contants.BAOSTOCK_PER_PAGE_COUNT", 50)
    standin.fault("refused", host="baostock", after=3)
    with pytest.raises(SourceUnavailable, match="10005001"):
        bars()


def test_a_range_without_bars_is_an_empty_frame(standin: StandIn) -> None:
    assert bars("301999.SZ").empty


def test_todays_bar_before_it_is_published_is_not_a_suspension(standin: StandIn) -> None:
    day = next(day for day in sessions() if day > standin.market.until)
    with at(day, clock(20)), pytest.raises(SourceUnavailable, match="in the evening"):
        bars(start=day, end=day)
    pacing.flush()
    assert SourceState.objects.get(pk="baostock").troubles == 0


def test_todays_bar_is_not_asked_for_before_the_evening(standin: StandIn) -> None:
    day = standin.market.until
    with at(day, clock(17, 45)), pytest.raises(SourceUnavailable, match="after 18:00"):
        bars(start=day, end=day)
    assert standin.arrivals() == []
    with at(day, clock(18, 1)):
        assert len(bars(start=day, end=day)) == 1


def test_the_list_has_listed_and_delisted_stocks_and_nothing_else(standin: StandIn) -> None:
    found = {stock.symbol: stock for stock in Baostock().stocks()}
    assert set(found) == {symbol for symbol in standin.market.symbols() if not symbol.endswith("BJ")}
    assert found["600519.SH"].name == "股票600519"
    assert found["600519.SH"].listed_on == standin.market.listed_on("600519.SH")
    assert found["600519.SH"].delisted_on is None
    assert found["000003.SZ"].delisted_on is not None
    assert found["000003.SZ"].delisted_on >= DELISTED["000003.SZ"]


def test_the_list_comes_page_by_page(standin: StandIn) -> None:
    list(Baostock().stocks())
    assert paths(standin) == ["login", "query_stock_basic", "query_stock_basic"]


def test_a_connection_that_grew_old_is_replaced_without_blame(standin: StandIn) -> None:
    bars()
    standin.fault("close", host="baostock", times=1)
    assert not bars("000001.SZ").empty
    assert paths(standin)[2:] == ["query_history_k_data_plus", "login", "query_history_k_data_plus"]
    assert SourceState.objects.get(pk="baostock").troubles == 0


def test_a_forgotten_login_is_made_again(standin: StandIn) -> None:
    bars()
    standin.fault("logged_out", host="baostock", times=1)
    assert not bars("000001.SZ").empty
    assert SourceState.objects.get(pk="baostock").troubles == 0


def test_a_server_that_hangs_up_after_each_login_refuses(standin: StandIn) -> None:
    standin.fault("close", host="baostock", path="query")
    with pytest.raises(Banned):
        bars()
    assert paths(standin) == ["login", "query_history_k_data_plus"]


def test_a_blacklisted_address_leaves_it_alone_for_an_hour(standin: StandIn) -> None:
    standin.fault("blacklisted", host="baostock")
    with pytest.raises(Banned, match="blacklist"):
        bars()
    standin.clear_door()
    with pytest.raises(SourceResting):
        bars()
    assert standin.arrivals() == []


def test_nothing_is_printed(standin: StandIn, capfd: pytest.CaptureFixture[str]) -> None:
    bars()
    standin.fault("blacklisted", host="baostock")
    with pytest.raises(Banned):
        bars()
    assert capfd.readouterr() == ("", "")


def test_two_threads_never_share_a_connection(standin: StandIn) -> None:
    bars()
    found: dict[str, pd.DataFrame] = {}
    symbols = ["600519.SH", "000001.SZ", "300750.SZ"]

    def fetch(symbol: str) -> None:
        from django.db import connection

        found[symbol] = bars(symbol)
        connection.close()

    standin.fault("slow", host="baostock", path="query", seconds=0.2)
    threads = [threading.Thread(target=fetch, args=(symbol,)) for symbol in symbols]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same_bars(found[symbol], expected_bars(standin, symbol, START, END)) for symbol in symbols)


def test_the_package_stays_as_it_is_for_others(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    bars()
    calls: list[str] = []
    monkeypatch.setattr("importer.sources.baostock_wire._own_send_msg", calls.append)
    socketutil.send_msg("a message of somebody else")
    assert calls == ["a message of somebody else"]
    assert package.query_history_k_data_plus.__module__.startswith("baostock")


def test_a_name_that_cannot_be_found_is_said_so(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    find_no_name(monkeypatch, "baostock.com")
    with pytest.raises(SourceUnavailable, match=r"public-api\.baostock\.com cannot be found"):
        bars()


def test_the_real_services_answer_fits_its_checksum() -> None:
    assert text_of_answer(REAL_LOGIN).startswith("00.8.80")
    with pytest.raises(SourceUnavailable, match="checksum"):
        text_of_answer(REAL_LOGIN.replace(b"success", b"succesS"))


@pytest.mark.parametrize("kind", ["garbage", "html", "truncated", "drip", "silence"])
def test_what_is_no_answer_ends_in_time_and_counts_against_it(standin: StandIn, settings: Any, kind: str) -> None:
    bars()
    settings.REQUEST_TIMEOUT = 0.4
    standin.fault(kind, host="baostock")
    with pytest.raises(SourceUnavailable):
        bars()
    assert SourceState.objects.get(pk="baostock").troubles == 1


@pytest.mark.parametrize("kind", ["checksum", "mixed_up"])
def test_an_answer_that_was_damaged_or_mixed_up_counts_against_it(standin: StandIn, kind: str) -> None:
    bars()
    standin.fault(kind, host="baostock", times=1)
    with pytest.raises(SourceUnavailable):
        bars()


def test_another_stocks_bars_are_refused(standin: StandIn) -> None:
    standin.fault("wrong_symbol", host="baostock")
    with pytest.raises(BadData, match=r"answered with sh\.600999"):
        bars()


def test_other_columns_are_refused(standin: StandIn) -> None:
    standin.fault("changed_columns", host="baostock")
    with pytest.raises(BadData, match="amount is missing"):
        bars()
