from __future__ import annotations

import struct
import time
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdxpy.helper import get_volume
from tdxpy.parser.std.get_security_bars import GetSecurityBarsCmd

from importer.models import SourceState
from importer.sources import tdx_servers
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.base import BAR_COLUMNS, BadData, Banned, SourceUnavailable, UnknownSymbol
from importer.sources.tdx_servers import server_list
from importer.sources.tdx_wire import HEAD, PREFIX, read_bars
from importer.sources.tdxquotes import TdxQuotes
from importer.sources.validation import validate_bars
from tests.importer.simulated_clock import at
from tests.sources.expected import expected_bars, same_bars
from tests.sources.standin import StandIn
from tests.sources.standin.bars import StandInBar, sessions
from tests.sources.standin.tdx_service import _bars as wire_bars

START, END = date(2024, 1, 2), date(2024, 6, 28)
# A float has seven digits: half a step at ten thousand million yuan.
STEP = 512.0
HELLO = ["greeting", "greeting", "index"]


def bars(symbol: str = "600519.SH", start: date | None = START, end: date | None = END) -> pd.DataFrame:
    return TdxQuotes().daily_bars(symbol, start, end)


def paths(standin: StandIn) -> list[str]:
    return [each.path for each in standin.arrivals("tdxquotes")]


def troubles() -> int:
    return SourceState.objects.get(pk="tdxquotes").troubles


@pytest.mark.parametrize("symbol", ["600519.SH", "000001.SZ", "300750.SZ", "688981.SH"])
def test_bars_are_those_of_the_exchange(standin: StandIn, symbol: str) -> None:
    found = bars(symbol)
    assert tuple(found.columns) == BAR_COLUMNS
    assert same_bars(found, expected_bars(standin, symbol, START, END, lots=True), amount_step=STEP)


def test_its_amounts_fit_within_their_precision(standin: StandIn) -> None:
    checked = validate_bars(
        bars(), symbol="600519.SH", source="tdxquotes", start=START, end=END, today=END, precision=TdxQuotes.precision
    )
    assert checked.findings == ()


def test_a_new_server_proves_itself_first(standin: StandIn) -> None:
    bars(start=date(2024, 6, 1))
    assert paths(standin) == [*HELLO, "bars"]


def test_the_next_stock_takes_one_request_on_the_same_connection(standin: StandIn) -> None:
    newest = standin.market.until
    bars(start=newest, end=newest)
    standin.clear_door()
    bars("000001.SZ", newest, newest)
    assert paths(standin) == ["bars"]


def test_five_years_take_two_requests(standin: StandIn) -> None:
    found = bars(start=date(2021, 6, 1), end=standin.market.until)
    assert same_bars(found, expected_bars(standin, "600519.SH", date(2021, 6, 1)), amount_step=STEP)
    assert paths(standin) == [*HELLO, "bars", "bars"]


def test_without_bounds_the_whole_history_comes(standin: StandIn) -> None:
    assert same_bars(bars("688981.SH", None, None), expected_bars(standin, "688981.SH", lots=True), amount_step=STEP)


def test_a_range_without_bars_of_a_known_stock_is_an_empty_frame(standin: StandIn) -> None:
    assert bars("301999.SZ").empty


@pytest.mark.parametrize("symbol", ["601999.SH", "600001.SH"])
def test_a_stock_that_it_does_not_have_is_unknown(standin: StandIn, symbol: str) -> None:
    with pytest.raises(UnknownSymbol):
        bars(symbol)


def test_days_without_a_trade_are_no_bars(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    still = wire_bars([StandInBar(date(2024, 6, 27), 1000, 1000, 1000, 1000, 0, 0.0)])
    monkeypatch.setattr("importer.sources.tdx_wire.daily_bars", lambda *_, **__: read_bars(still))
    assert bars(start=date(2024, 6, 1)).empty


def test_volumes_in_shares_are_told_from_lots_by_the_rows(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    made = standin.market.bars("688981.SH", START, END)
    shares = read_bars(
        wire_bars([StandInBar(b.day, b.open, b.high, b.low, b.close, b.volume // 100 * 10_000, b.amount) for b in made])
    )
    monkeypatch.setattr("importer.sources.tdx_wire.daily_bars", lambda *_, **__: shares)
    found = bars("688981.SH")
    assert (abs(found["volume"] - expected_bars(standin, "688981.SH", START, END)["volume"]) < 100).all()


def test_the_list_has_the_listed_stocks_and_nothing_else(standin: StandIn) -> None:
    found = {stock.symbol: stock for stock in TdxQuotes().stocks()}
    assert set(found) == {symbol for symbol in standin.market.listed() if not symbol.endswith("BJ")}
    assert found["600519.SH"].name == "股600519"
    assert paths(standin)[3:] == ["count", "list", "list", "count", "list", "list"]


def test_a_list_that_ends_too_early_is_no_list(standin: StandIn) -> None:
    standin.fault("null", host="tdxquotes", path="list")
    with pytest.raises(BadData, match=r"ends after 1,?000 of"):
        TdxQuotes().stocks()


def test_a_list_whose_first_page_comes_again_is_no_list(standin: StandIn) -> None:
    standin.fault("same_page", host="tdxquotes", path="list")
    with pytest.raises(BadData, match=r"ends after 1,?000 of"):
        TdxQuotes().stocks()


def test_a_server_that_turns_strangers_away_is_passed_over_without_blame(standin: StandIn) -> None:
    standin.fault("count_only", host="tdxquotes", path="index", times=2)
    assert not bars(start=date(2024, 6, 1)).empty
    assert paths(standin) == [*HELLO, *HELLO, *HELLO, "bars"]
    assert troubles() == 0


def test_a_server_with_old_data_is_passed_over(standin: StandIn) -> None:
    late = next(day for day in sessions() if day > standin.market.until)
    with at(late), pytest.raises(SourceUnavailable, match="has no bars of"):
        bars()
    assert paths(standin) == HELLO * tdx_servers.TURNS
    assert troubles() == 1


def test_a_connection_from_before_the_close_is_asked_for_the_day_again(standin: StandIn) -> None:
    bars(start=date(2024, 6, 1))
    standin.clear_door()
    late = next(day for day in sessions() if day > standin.market.until)
    # Kept connections are for seconds; a clock that moves by days closes none of them.
    with at(late), pytest.raises(SourceUnavailable, match="has no bars of"):
        bars(start=late, end=late)
    assert paths(standin) == ["index"]


def test_servers_that_cannot_be_reached_are_passed_over(standin: StandIn, settings: Any) -> None:
    settings.TDX_SERVERS = [("127.0.0.1", 1), ("127.0.0.1", 2), ("192.0.2.1", 7709)]
    assert not bars(start=date(2024, 6, 1)).empty


def test_no_server_at_all_is_one_sentence(standin: StandIn, settings: Any) -> None:
    settings.TDX_SERVERS = [("127.0.0.1", 1), ("127.0.0.1", 2)]
    with pytest.raises(SourceUnavailable, match=r"no connection to 127\.0\.0\.1, 127\.0\.0\.1: Connection refused"):
        bars()


def test_the_next_request_goes_to_another_server_than_the_one_that_failed(standin: StandIn, settings: Any) -> None:
    settings.TDX_SERVERS = [("192.0.2.1", 7709), ("192.0.2.2", 7709)]
    bars(start=date(2024, 6, 1))
    first = tdx_servers._proven
    standin.fault("reset", host="tdxquotes", path="bars", times=2)
    with pytest.raises(Banned):
        bars("000001.SZ", date(2024, 6, 1))
    bars("000001.SZ", date(2024, 6, 1))
    assert first is not None
    assert tdx_servers._proven not in (None, first)


def test_a_connection_that_grew_old_is_replaced_without_blame(standin: StandIn) -> None:
    bars(start=date(2024, 6, 1))
    standin.fault("close", host="tdxquotes", times=1)
    assert not bars("000001.SZ", date(2024, 6, 1)).empty
    assert troubles() == 0


@pytest.mark.parametrize("kind", ["garbage", "html", "mixed_up", "checksum", "count_only", "broken_off"])
def test_what_is_no_answer_counts_against_it(standin: StandIn, kind: str) -> None:
    bars(start=date(2024, 6, 1))
    standin.fault(kind, host="tdxquotes", path="bars", times=1)
    with pytest.raises(SourceUnavailable):
        bars()
    assert troubles() == 1


@pytest.mark.parametrize("kind", ["truncated", "drip", "silence"])
def test_an_answer_that_does_not_end_ends_in_time(standin: StandIn, settings: Any, kind: str) -> None:
    bars(start=date(2024, 6, 1))
    settings.REQUEST_TIMEOUT = 0.4
    standin.fault(kind, host="tdxquotes", path="bars", times=1)
    with pytest.raises(SourceUnavailable, match="no complete answer"):
        bars()
    assert troubles() == 1


def test_the_servers_can_be_named(settings: Any) -> None:
    settings.TDX_SERVERS = [("192.0.2.1", 7709), ("tdx.example", 7711), ("192.0.2.1", 7709)]
    assert server_list() == [("192.0.2.1", 7709), ("tdx.example", 7711)]


def test_without_a_setting_the_servers_of_the_package_are_used() -> None:
    found = server_list()
    assert len(found) > 50
    assert len(found) == len(set(found))


def test_tdxpy_is_wrong_about_small_volumes_and_we_are_not() -> None:
    ten = read_bars(wire_bars([StandInBar(END, 1000, 1000, 1000, 1000, 1000, 10_000.0)]))
    assert ten.volumes[0] == 10
    assert get_volume(struct.unpack("<I", struct.pack("<f", 10.0))[0]) == 520


@given(
    st.lists(
        st.tuples(st.integers(1, 200_000), st.integers(0, 2_000), st.integers(1, 2_000), st.integers(150, 20_000_000)),
        min_size=1,
        max_size=5,
    )
)
def test_rows_are_read_as_tdxpy_reads_them(made: list[tuple[int, int, int, int]]) -> None:
    rows = [
        StandInBar(END, low + rise, low + rise + 5, low, low + more % (rise + 1), lots * 100, float(lots * low))
        for low, rise, more, lots in made
    ]
    body = wire_bars(rows)
    command = GetSecurityBarsCmd(None)
    command.setParams(9, 1, "600519", 0, len(rows))
    theirs, ours = pd.DataFrame(command.parseResponse(body)), read_bars(body)
    names = ["open", "high", "low", "close"]
    assert np.allclose(theirs[names].to_numpy(), ours.prices / 1000, rtol=0, atol=1e-9)
    assert np.allclose(theirs["vol"], ours.volumes)


def test_a_server_that_answers_again_ends_the_rest(standin: StandIn, settings: Any) -> None:
    settings.BREAKER_FIRST_REST = 0.1
    standin.fault("reset", host="tdxquotes", path="bars", times=5)
    for _ in range(5):
        with pytest.raises(Banned):
            bars(start=date(2024, 6, 1))
    time.sleep(0.2)
    assert not bars(start=date(2024, 6, 1)).empty
    assert SourceState.objects.get(pk="tdxquotes").breaker == "closed"


def test_corporate_actions_are_those_that_eastmoney_lists(standin: StandIn) -> None:
    symbols, since, today = ["300750.SZ", "600519.SH", "000002.SZ", "430047.BJ"], date(2024, 1, 1), standin.market.until
    found = TdxQuotes().market_actions(since, today=today, symbols=symbols)
    theirs = Eastmoney().market_actions(since, today=today, symbols=symbols)
    assert found == [each for each in theirs if not each.symbol.endswith("BJ")]
    assert any(each.action.rights_price == 5.0 for each in found)
    assert any(each.action.new_shares_per_share == 0.2 for each in found)
    assert paths(standin) == [*HELLO, "xdxr", "xdxr", "xdxr"]


def test_a_server_that_sends_the_newest_days_again_and_again_is_refused(
    standin: StandIn, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.sources.tdxquotes.BARS_AT_ONCE", 50)
    standin.fault("same_page", host="tdxquotes", path="bars")
    with pytest.raises(SourceUnavailable, match="answered another question"):
        bars()
    assert troubles() == 1


def test_a_number_that_no_memory_holds_is_damage_and_no_mistake_of_ours(standin: StandIn) -> None:
    standin.fault("overflow", host="tdxquotes", path="bars")
    with pytest.raises(SourceUnavailable, match="damaged"):
        bars()


def test_another_stocks_corporate_actions_are_refused(standin: StandIn) -> None:
    standin.fault("wrong_symbol", host="tdxquotes")
    with pytest.raises(BadData, match="answered with 600999"):
        TdxQuotes().market_actions(START, today=END, symbols=["600519.SH"])


def test_a_stock_without_records_has_no_actions(standin: StandIn) -> None:
    assert TdxQuotes().market_actions(START, today=END, symbols=["601999.SH"]) == []


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("0c0218930001", "b1cb74001c02189300000d004f00bd00"),
        ("0c0318990001", "b1cb74000c0318990000db0fb300b300"),
        ("0c0c186c0001", "b1cb74000c0c186c00004e0402000200"),
    ],
)
def test_a_real_servers_answer_repeats_the_number_of_its_request(asked: str, answered: str) -> None:
    """Heads of answers as users have recorded them."""
    prefix, _, number, *_ = HEAD.unpack(bytes.fromhex(answered))
    assert prefix == PREFIX
    assert number == struct.unpack_from("<I", bytes.fromhex(asked), 1)[0]
