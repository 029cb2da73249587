"""No network, told apart from a site that refuses: nobody is blamed, the task waits, says why, and goes on."""

from __future__ import annotations

import threading
import time
from datetime import date
from typing import Any

import pytest
import requests
from django.db import connection
from django.utils import translation

from importer import run_import, stopping
from importer.asking import NoSourceAnswered, ask
from importer.dbtime import db_now
from importer.exceptions import StopRequested
from importer.models import Failure, ImportTask, SourceState
from importer.sources import network
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.akshare.sina import Sina
from importer.sources.akshare.tencent import Tencent
from importer.sources.baostock import Baostock
from importer.sources.base import Banned, NetworkDown, Source, SourceUnavailable
from importer.sources.fetching import FetchContext, fetching
from importer.sources.gate_adapter import passing
from importer.sources.tdxquotes import TdxQuotes
from importer.task_words import state_text
from importer.waiting import waits_for_network
from marketdata.models import Bar
from tests.sources.broken_network import close_doors, find_no_name, pulled_cable
from tests.sources.standin import StandIn

START, END = date(2024, 6, 1), date(2024, 6, 28)
KLINE = "https://push2his.eastmoney.com/api/qt/stock/kline/get?secid=1.600519&beg=20240101&end=20240110&klt=101&fqt=0"
ALL: list[Source] = [TdxQuotes(), Baostock(), Sina(), Eastmoney(), Tencent()]


@pytest.fixture(autouse=True)
def _english() -> Any:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LOOK_AGAIN", 0.5)
    monkeypatch.setattr(network, "DOWN_BELIEVED", 0.0)


def get() -> requests.Response:
    with passing("eastmoney"):
        return requests.get(KLINE)


def blamed() -> list[str]:
    return list(SourceState.objects.exclude(troubles=0).values_list("source", flat=True))


@pytest.mark.parametrize("source", ALL, ids=lambda each: each.name)
def test_nobody_is_blamed_when_no_name_is_found(standin: StandIn, settings: Any, source: Source) -> None:
    settings.TDX_SERVERS = [("quotes.example", 7709)]
    with pulled_cable(), pytest.raises(NetworkDown, match="is this machine online"):
        source.daily_bars("600519.SH", START, END)
    assert blamed() == []


@pytest.mark.parametrize("source", ALL, ids=lambda each: each.name)
def test_nobody_is_blamed_when_no_door_opens(
    standin: StandIn, settings: Any, monkeypatch: pytest.MonkeyPatch, source: Source
) -> None:
    settings.TDX_SERVERS = [("quotes.example", 7709)]
    close_doors(monkeypatch)
    with pytest.raises(NetworkDown, match="Connection refused"):
        source.daily_bars("600519.SH", START, END)
    assert blamed() == []


@pytest.mark.parametrize("source", [Baostock(), TdxQuotes()], ids=lambda each: each.name)
def test_a_service_that_cannot_be_reached_is_blamed_when_websites_can(
    standin: StandIn, settings: Any, monkeypatch: pytest.MonkeyPatch, source: Source
) -> None:
    settings.TDX_SERVERS = [("quotes.example", 7709)]
    close_doors(monkeypatch, "baostock.com" if source.name == "baostock" else "quotes.example")
    with pytest.raises(SourceUnavailable, match="Connection refused"):
        source.daily_bars("600519.SH", START, END)
    assert blamed() == [source.name]


def test_a_website_that_cannot_be_found_is_blamed_when_others_can(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_no_name(monkeypatch, "eastmoney.com")
    with pytest.raises(SourceUnavailable, match="cannot be found"):
        get()
    assert blamed() == ["eastmoney"]


def test_a_login_page_in_front_of_everything_is_nobodys_fault(standin: StandIn) -> None:
    standin.fault("certificate")
    with pytest.raises(NetworkDown, match=r"wants a login, a proxy that reads along, or a wrong clock"):
        get()
    assert blamed() == []


def test_a_proxy_that_takes_connections_and_leads_nowhere_is_no_ban(standin: StandIn) -> None:
    standin.fault("no_handshake")
    with pytest.raises(NetworkDown, match=r"did not answer \(it closed the connection without an answer\)"):
        get()
    assert blamed() == []


def test_a_proxy_that_cannot_be_used_is_named_and_no_website_blamed(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://me:secret@127.0.0.1:9")
    with pytest.raises(NetworkDown) as caught:
        get()
    assert "proxy socks5h://127.0.0.1:9 (a SOCKS proxy cannot be used here" in str(caught.value)
    assert blamed() == []


def test_a_proxy_that_is_gone_is_named_and_no_website_blamed(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@127.0.0.1:9")
    with pytest.raises(NetworkDown) as caught:
        get()
    assert "http://127.0.0.1:9" in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert blamed() == []


def test_who_is_asked_past_the_proxy_answers_when_the_proxy_is_gone(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    answer = ask([Sina(), Baostock()], "600519.SH", START, END, today=END, has_history=False)
    assert answer.source == "baostock"


def test_a_stock_that_only_websites_have_is_put_off_when_the_proxy_is_gone(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(NoSourceAnswered) as caught:
        ask(ALL, "430047.BJ", START, END, today=END, has_history=False)
    assert caught.value.next_try(put_off=1000) is not None
    assert blamed() == []


def test_a_refusal_is_a_refusal_while_there_is_a_network(standin: StandIn) -> None:
    standin.fault("reset")
    with pytest.raises(Banned):
        get()
    assert blamed() == ["eastmoney"]


def test_over_a_connection_that_is_only_tried_nothing_is_sent(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_no_name(monkeypatch, "eastmoney.com")
    with pytest.raises(SourceUnavailable):
        get()
    assert standin.arrivals() == []


def test_websites_are_not_asked_again_right_after_no_network_was_found(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "DOWN_BELIEVED", 60.0)
    with pulled_cable() as cable:
        with pytest.raises(NetworkDown):
            get()
        looked_up = len(cable.asked)
        with pytest.raises(NetworkDown):
            get()
        assert len(cable.asked) == looked_up


def test_the_time_to_look_again_is_soon(standin: StandIn) -> None:
    with pulled_cable(), pytest.raises(NetworkDown) as caught:
        ask(ALL, "600519.SH", START, END, today=END, has_history=False)
    assert (caught.value.until - db_now()).total_seconds() < 1


def test_a_source_that_rests_for_long_does_not_prolong_the_wait_for_the_network(standin: StandIn) -> None:
    standin.fault("429", host="eastmoney", seconds=3600)
    with pytest.raises(Banned):
        get()
    with pulled_cable(), pytest.raises(NetworkDown):
        ask([Eastmoney(), Sina()], "600519.SH", START, END, today=END, has_history=False)


def test_a_look_at_the_network_ends_when_the_lane_has_to_stop(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_no_name(monkeypatch, "eastmoney.com")
    for host in ("sina", "tencent"):
        standin.fault("slow_handshake", host=host, seconds=3)
    began = time.monotonic()
    with (
        fetching(FetchContext(began + 30, lambda: time.monotonic() > began + 0.5)),
        pytest.raises(StopRequested),
    ):
        get()


def test_an_import_waits_for_the_network_says_so_and_loses_nothing(standin: StandIn) -> None:
    stopping.reset()
    said: list[str] = []
    with pulled_cable() as cable:

        def plug_in() -> None:
            ends = time.monotonic() + 60
            while not said and time.monotonic() < ends:
                time.sleep(0.05)
                task = ImportTask.objects.first()
                if task is not None and waits_for_network(task):
                    with translation.override("en"):
                        said.extend([task.message, str(state_text(task))])
            connection.close()
            cable.pulled = False

        waiter = threading.Thread(target=plug_in)
        waiter.start()
        task = run_import("import", source="auto", start=START, end=END, symbols="600519")
        waiter.join()
    assert "is this machine online" in said[0]
    assert "goes on by itself" in said[0]
    assert said[1] == "running, waits for the network"
    assert (task.status, task.done, task.failed) == ("completed", 1, 0)
    assert Bar.objects.count() == len(standin.market.bars("600519.SH", START, END))
    # Corporate actions were waited for as well.
    assert not Failure.objects.exists()
    assert blamed() == []
