"""What a test holds in its hands: a stand-in that runs as a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

from tests.sources.standin.bars import Market, newest_finished_session
from tests.sources.standin.faults import HOSTS_OF_SOURCE, Fault
from tests.sources.standin.server import Arrival
from tests.sources.standin.site.standin_names import redirecting, tcp_ports

_SITE = Path(__file__).parent / "site"
_PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class StandIn:
    port: int
    control: int
    ca: str
    market: Market
    # Of the services that have a port of their own: port there -> port here, as the environment carries it.
    tcp: str = ""

    def fault(self, kind: str, **where: Any) -> None:
        """Ask for a fault from now on: see ``Fault`` for its kinds and what else can be said."""
        self._control("POST", "/faults", Fault(kind, **where).as_json())

    def clear_faults(self) -> None:
        self._control("DELETE", "/faults")

    def arrivals(self, source: str = "", path: str = "") -> list[Arrival]:
        """Return who came to the door of ``source`` ("" for all; a host or a source's name), in order."""
        domains = HOSTS_OF_SOURCE.get(source, source).split()
        found = [Arrival(**values) for values in self._control("GET", "/door")]
        at_door = [each for each in found if not domains or any(each.host.endswith(domain) for domain in domains)]
        return sorted((each for each in at_door if path in each.path), key=lambda each: each.at)

    def gaps(self, source: str = "") -> list[float]:
        """Return the seconds between arrivals at the door of ``source``."""
        return [after.at - before.at for before, after in pairwise(self.arrivals(source))]

    def clear_door(self) -> None:
        self._control("DELETE", "/door")

    def environment(self) -> dict[str, str]:
        """Return what the environment of a process needs so that its requests, and its children's, come here."""
        path = os.pathsep.join(filter(None, [str(_SITE), os.environ.get("PYTHONPATH")]))
        return {
            "PYTHONPATH": path,
            "BARVAULT_TEST_STANDIN_PORT": str(self.port),
            "BARVAULT_TEST_STANDIN_TCP": self.tcp,
            "REQUESTS_CA_BUNDLE": self.ca,
        }

    @contextmanager
    def redirected(self) -> Iterator[None]:
        """Lead the requests of this process here, inside the block."""
        with (
            mock.patch.object(socket, "getaddrinfo", redirecting(self.port, tcp_ports(self.tcp))),
            mock.patch.dict(os.environ, {"REQUESTS_CA_BUNDLE": self.ca}),
        ):
            yield

    def _control(self, method: str, path: str, value: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.control, timeout=30)
        try:
            connection.request(method, path, body=json.dumps(value) if value is not None else None)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def running_standin(
    folder: Path, *, port: int = 0, stocks: int = 60, until: date | None = None, real: Path | None = None
) -> Iterator[StandIn]:
    """Start a stand-in for ``stocks`` stocks with bars up to ``until``; its certificate is written into ``folder``."""
    market = Market(stocks, until or newest_finished_session(), real)
    command = [sys.executable, "-m", "tests.sources.standin", "--folder", str(folder), "--port", str(port)]
    command += ["--stocks", str(stocks), "--until", market.until.isoformat()]
    if real is not None:
        command += ["--real", str(real)]
    environment = {name: value for name, value in os.environ.items() if name != "BARVAULT_TEST_STANDIN_PORT"}
    process = subprocess.Popen(
        command, cwd=_PROJECT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in did not start (exit status {process.wait(10)})")
        yield StandIn(market=market, **json.loads(line))
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
