"""How a connection is made where the name service is silent, or some of a host's addresses lead nowhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from importer.exceptions import StopRequested
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.base import Source, SourceUnavailable
from importer.sources.connecting import Place, _by_turns, connected_socket, race
from importer.sources.fetching import FetchContext, fetching
from importer.sources.tdxquotes import TdxQuotes
from tests.sources.broken_network import CLOSED
from tests.sources.standin import StandIn


def place(address: tuple[str, int], family: int = socket.AF_INET) -> Place:
    return (family, socket.SOCK_STREAM, 6, "", address)


@pytest.fixture
def open_door() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture
def silent_door() -> Iterator[tuple[str, int]]:
    """An address that answers nobody: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()


@pytest.fixture
def silent_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A name service that does not answer for some hosts: those that it answered for in the end."""
    resolve, end = socket.getaddrinfo, threading.Event()
    answered: list[str] = []

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).endswith(("eastmoney.com", "quotes.example")):
            end.wait(20)
            answered.append(host)
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield answered
    end.set()


def soon() -> float:
    return time.monotonic() + 60


def test_an_address_that_is_silent_does_not_keep_the_next_one_from_answering(
    silent_door: tuple[str, int], open_door: tuple[str, int]
) -> None:
    with race([place(silent_door), place(open_door)], soon()) as connected:
        assert connected.getpeername() == open_door


def test_an_address_that_refuses_makes_room_for_the_next_one(open_door: tuple[str, int]) -> None:
    with race([place(CLOSED), place(open_door)], soon(), head_start=60) as connected:
        assert connected.getpeername() == open_door


def test_where_every_address_refuses_the_reason_is_said() -> None:
    with pytest.raises(OSError, match="Connection refused"):
        race([place(CLOSED), place(CLOSED)], soon())


def test_where_every_address_is_silent_it_ends_with_its_time(silent_door: tuple[str, int]) -> None:
    with pytest.raises(TimeoutError):
        race([place(silent_door)], time.monotonic() + 0.3)


def test_a_name_that_is_not_found_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(socket.gaierror):
        connected_socket("a..name", 443)


def test_the_families_are_tried_by_turns() -> None:
    six = [place((f"::{number}", 1), socket.AF_INET6) for number in range(3)]
    four = [place((f"10.0.0.{number}", 1)) for number in range(1)]
    assert _by_turns([*six, *four]) == [six[0], four[0], six[1], six[2]]


@pytest.mark.parametrize("source", [Eastmoney(), TdxQuotes()], ids=lambda each: each.name)
def test_a_name_service_that_is_silent_ends_with_the_request(
    standin: StandIn, settings: Any, silent_names: list[str], source: Source
) -> None:
    settings.REQUEST_TIMEOUT = 0.4
    settings.TDX_SERVERS = [("quotes.example", 7709)]
    with pytest.raises(SourceUnavailable):
        source.daily_bars("600519.SH", None, None)
    assert silent_names == []


def test_a_name_service_that_is_silent_does_not_hold_up_a_stop(standin: StandIn, silent_names: list[str]) -> None:
    began = time.monotonic()
    stop = FetchContext(began + 30, lambda: time.monotonic() > began + 0.3)
    with fetching(stop), pytest.raises(StopRequested):
        Eastmoney().daily_bars("600519.SH", None, None)
    assert silent_names == []
