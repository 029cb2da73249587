from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from django.utils import translation

from importer import pacing
from importer.dbtime import db_now
from importer.exceptions import StopRequested
from importer.models import Breaker, SourceState
from importer.pacing import SourceResting
from importer.sources import gate_adapter
from importer.sources.base import BadData, Banned, SourceUnavailable, UnknownSymbol
from importer.sources.fetching import FetchContext, fetching
from importer.sources.gate import one_request
from importer.sources.gate_adapter import GateAdapter, passing
from importer.sources.gate_signs import NotThere
from tests.sources.broken_network import close_doors
from tests.sources.slots_given import slots_of
from tests.sources.standin import StandIn

KLINE = "https://push2his.eastmoney.com/api/qt/stock/kline/get?secid=1.600519&beg=20240101&end=20240110&klt=101&fqt=0"


def ask(url: str = KLINE) -> requests.Response:
    with passing("eastmoney"):
        return requests.get(url)


def state() -> SourceState:
    return SourceState.objects.get(pk="eastmoney")


def english(error: BaseException) -> str:
    with translation.override("en"):
        return str(error)


@contextmanager
def fetch(seconds: float = 30.0, should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    with fetching(FetchContext(time.monotonic() + seconds, should_stop)):
        yield


def test_an_answer_comes_through_whole(standin: StandIn) -> None:
    assert ask().json()["data"]["code"] == "600519"


def test_requests_share_one_connection(standin: StandIn) -> None:
    for _ in range(4):
        ask()
    assert [arrival.connection - standin.arrivals()[0].connection for arrival in standin.arrivals()] == [0] * 4


def test_a_request_whose_connection_took_long_is_sent_in_another_slot(
    standin: StandIn, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PACE_MIN = settings.PACE_MAX = 0.1
    caplog.set_level(logging.DEBUG, "importer.pacing")
    standin.fault("slow_handshake", seconds=0.3)
    ask()
    # At least: a busy machine may miss another one.
    assert len(slots_of(caplog.text, "eastmoney")) >= 2
    assert state().requests == len(standin.arrivals()) == 1


def test_a_refusal_keeps_its_connection(standin: StandIn) -> None:
    standin.fault("403", times=1)
    with pytest.raises(Banned):
        ask()
    ask()
    first, second = standin.arrivals()
    assert first.connection == second.connection


def test_each_request_is_counted(standin: StandIn) -> None:
    ask()
    ask()
    pacing.flush()
    # At least: a busy machine misses slots, and each of them counts.
    assert state().requests >= 2
    assert (state().successes, state().troubles) == (2, 0)


def test_a_request_outside_the_block_keeps_the_adapter_of_its_session(standin: StandIn) -> None:
    ask()
    assert not isinstance(requests.Session().get_adapter(KLINE), GateAdapter)


def test_a_request_of_another_thread_keeps_its_own_adapter(standin: StandIn) -> None:
    chosen: list[Any] = []
    with passing("eastmoney"):
        other = threading.Thread(target=lambda: chosen.append(requests.Session().get_adapter(KLINE)))
        other.start()
        other.join()
        assert isinstance(requests.Session().get_adapter(KLINE), GateAdapter)
    assert not isinstance(chosen[0], GateAdapter)


def test_a_host_that_is_not_known_is_not_asked(standin: StandIn) -> None:
    with pytest.raises(SourceUnavailable, match=r"example\.net"):
        ask("https://example.net/data")


def test_being_sent_to_another_site_is_a_refusal(standin: StandIn) -> None:
    standin.fault("redirect")
    with pytest.raises(Banned, match=r"passport\.example\.net"):
        ask()
    assert state().troubles == 1


@pytest.mark.parametrize("status", ["403", "418", "429", "456"])
def test_a_status_that_refuses_is_a_ban(standin: StandIn, status: str) -> None:
    standin.fault(status)
    with pytest.raises(Banned, match=status):
        ask()


@pytest.mark.parametrize("status", ["500", "502", "503"])
def test_a_server_error_is_no_ban(standin: StandIn, status: str) -> None:
    standin.fault(status)
    with pytest.raises(SourceUnavailable, match=status):
        ask()


def test_what_is_not_there_is_an_answer(standin: StandIn) -> None:
    standin.fault("404")
    with pytest.raises(NotThere):
        ask()
    pacing.flush()
    assert (state().successes, state().troubles) == (1, 0)


@pytest.mark.parametrize("status", ["429", "503"])
def test_retry_after_is_kept_by_the_breaker(standin: StandIn, status: str) -> None:
    standin.fault(status, seconds=600)
    with pytest.raises(Banned) as caught:
        ask()
    assert caught.value.retry_after == 600
    until = state().open_until
    assert until is not None
    assert (until - db_now()).total_seconds() > 500


def test_a_web_page_where_data_belong_is_a_ban(standin: StandIn) -> None:
    standin.fault("html")
    with pytest.raises(Banned, match="web page"):
        ask()


def test_an_empty_answer_is_no_answer(standin: StandIn) -> None:
    standin.fault("empty")
    with pytest.raises(SourceUnavailable, match="empty"):
        ask()


@pytest.mark.parametrize("kind", ["reset", "close"])
def test_a_closed_connection_is_a_ban(standin: StandIn, kind: str) -> None:
    standin.fault(kind)
    with pytest.raises(Banned, match="closed the connection"):
        ask()
    assert len(standin.arrivals()) == 1


@pytest.mark.parametrize("kind", ["reset", "close"])
def test_a_kept_connection_that_was_closed_is_no_sign_of_a_ban(standin: StandIn, kind: str) -> None:
    standin.fault(kind, after=1, times=1)
    ask()
    assert ask().status_code == 200
    assert state().troubles == 0


def test_a_request_is_sent_again_only_once(standin: StandIn) -> None:
    standin.fault("reset", after=1)
    ask()
    with pytest.raises(Banned):
        ask()
    assert len(standin.arrivals()) == 3
    assert state().troubles == 1


@pytest.mark.parametrize("kind", ["silence", "drip", "drip_headers"])
def test_an_answer_that_does_not_end_is_ended_by_the_clock(standin: StandIn, settings: Any, kind: str) -> None:
    settings.REQUEST_TIMEOUT = 0.4
    standin.fault(kind)
    with pytest.raises(SourceUnavailable, match=r"within 0\.4 s"):
        ask()
    assert state().troubles == 1


def test_an_answer_that_breaks_off_is_no_answer(standin: StandIn) -> None:
    standin.fault("broken_off")
    with pytest.raises(SourceUnavailable, match="broke off"):
        ask()


def test_a_packed_answer_comes_through_whole(standin: StandIn) -> None:
    standin.fault("gzip")
    assert ask().json()["data"]["code"] == "600519"


def test_a_packed_answer_that_ends_too_early_is_no_answer(standin: StandIn) -> None:
    standin.fault("gzip_cut")
    with pytest.raises(SourceUnavailable, match="broke off"):
        ask()
    assert (state().troubles, state().successes) == (1, 0)


def test_being_sent_in_circles_is_a_refusal_and_ends_soon(standin: StandIn) -> None:
    standin.fault("redirect_loop")
    with pytest.raises(Banned, match="from one address to the next"):
        ask()
    assert len(standin.arrivals()) == 3


def test_who_sends_every_request_in_circles_is_left_alone(standin: StandIn) -> None:
    standin.fault("redirect_loop")
    for _ in range(5):
        with pytest.raises(Banned):
            ask()
    assert state().breaker == Breaker.OPEN


def test_an_answer_that_was_only_announced_is_given_to_nobody_else(standin: StandIn) -> None:
    standin.fault("103", times=1)
    with pytest.raises(SourceUnavailable) as caught:
        ask()
    assert "no answer in its protocol" in english(caught.value)
    assert ask(KLINE.replace("600519", "600000")).json()["data"]["code"] == "600000"
    first, second = standin.arrivals()
    assert first.connection != second.connection


def test_an_answer_without_end_is_cut(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_adapter, "LARGEST_ANSWER", 100)
    with pytest.raises(SourceUnavailable, match="larger than"):
        ask()


def test_a_certificate_that_is_not_to_be_trusted_is_named(standin: StandIn) -> None:
    standin.fault("certificate", host="eastmoney")
    with pytest.raises(SourceUnavailable, match=r"certificate of push2his\.eastmoney\.com is not to be trusted"):
        ask()
    assert standin.arrivals() == []


def test_a_refused_connection_is_no_ban(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    close_doors(monkeypatch, "eastmoney.com")
    with pytest.raises(SourceUnavailable, match="Connection refused"):
        ask()


def test_no_request_is_sent_once_the_lane_has_to_stop(standin: StandIn) -> None:
    with fetch(should_stop=lambda: True), pytest.raises(StopRequested):
        ask()
    assert standin.arrivals() == []


def test_a_silent_source_does_not_hold_up_a_stop(standin: StandIn) -> None:
    standin.fault("silence")
    looks = iter([False] * 6)
    with fetch(should_stop=lambda: next(looks, True)), pytest.raises(StopRequested):
        ask()
    assert state().troubles == 0


def test_a_request_ends_with_the_time_of_its_stock_and_the_source_is_not_blamed(standin: StandIn) -> None:
    standin.fault("silence")
    with fetch(seconds=0.3), pytest.raises(SourceUnavailable):
        ask()
    assert state().troubles == 0


def test_nothing_is_sent_after_the_time_of_a_stock(standin: StandIn) -> None:
    with fetch(seconds=-1), pytest.raises(SourceUnavailable):
        ask()
    assert standin.arrivals() == []


def test_five_refusals_in_a_row_end_the_asking(standin: StandIn) -> None:
    standin.fault("403")
    for _ in range(5):
        with pytest.raises(Banned):
            ask()
    with pytest.raises(SourceResting):
        ask()
    assert len(standin.arrivals()) == 5


def test_the_probe_closes_the_breaker_when_the_source_answers_again(standin: StandIn, settings: Any) -> None:
    settings.BREAKER_FIRST_REST = 0.0
    standin.fault("reset", times=5)
    for _ in range(5):
        with pytest.raises(Banned):
            ask()
    assert state().breaker == Breaker.OPEN
    ask()
    assert state().breaker == Breaker.CLOSED


@pytest.mark.parametrize("kind", ["403", "reset", "502", "html"])
def test_akshare_neither_catches_the_errors_of_the_gate_nor_tries_again(standin: StandIn, kind: str) -> None:
    import akshare

    standin.fault(kind)
    with passing("eastmoney"), pytest.raises((Banned, SourceUnavailable)) as caught:
        akshare.stock_bj_a_spot_em()
    assert not isinstance(caught.value, requests.RequestException | ValueError | OSError)
    assert len(standin.arrivals()) == 1


def test_nobody_claims_to_be_a_browser(standin: StandIn) -> None:
    import akshare

    akshare.stock_info_sh_name_code.cache_clear()
    with passing("exchanges"):
        akshare.stock_info_sh_name_code()
    assert [arrival.user_agent.partition("/")[0] for arrival in standin.arrivals()] == ["python-requests"]


def test_the_exchanges_have_a_pace_and_a_breaker_of_their_own(standin: StandIn) -> None:
    import akshare

    akshare.stock_info_sh_name_code.cache_clear()
    standin.fault("403", host="exchanges")
    with passing("eastmoney"), pytest.raises(Banned):
        akshare.stock_info_sh_name_code()
    assert SourceState.objects.get().source == "exchanges"


def test_the_first_bytes_of_each_answer_are_kept(standin: StandIn) -> None:
    with passing("eastmoney") as passage:
        requests.get(KLINE)
    url, head = passage.heads[0]
    assert url == KLINE
    assert b'"code": "600519"' in head


def test_a_source_of_another_protocol_passes_the_gate_too(standin: StandIn) -> None:
    with one_request("baostock", "host") as bounds:
        assert bounds.check() > 5
    assert SourceState.objects.get(pk="baostock").requests == 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ConnectionResetError(), Banned),
        (EOFError(), Banned),
        (TimeoutError(), SourceUnavailable),
        (OSError("no route"), SourceUnavailable),
        (UnknownSymbol(source="x", symbol="y"), UnknownSymbol),
        (BadData(source="x", symbol="y", detail=""), BadData),
    ],
)
def test_what_goes_wrong_with_another_protocol_gets_the_same_names(
    standin: StandIn, raised: Exception, expected: type[Exception]
) -> None:
    with pytest.raises(expected), one_request("baostock", "host"):
        raise raised
    pacing.flush()
    answered = int(expected in (UnknownSymbol, BadData))
    row = SourceState.objects.get(pk="baostock")
    assert (row.successes, row.troubles) == (answered, 1 - answered)


def test_a_mistake_in_a_source_travels_up_as_it_is(standin: StandIn) -> None:
    with pytest.raises(ZeroDivisionError), one_request("baostock", "host"):
        raise ZeroDivisionError


def test_a_child_process_gets_connections_of_its_own(standin: StandIn) -> None:
    ask()
    ours = gate_adapter._adapter()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"new" if gate_adapter._adapter() is not ours else b"old")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 3) == b"new"
    os.close(read)
    os.close(write)
