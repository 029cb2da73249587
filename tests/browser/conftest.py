"""What the tests with a real browser ask for: a server with workers, a page, and whoever watches the page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, expect

from tests.browser import chromium
from tests.importer.processes import Installation, wait_until

# A slow machine under load is no failure.
TIMEOUT_MS = 90_000
# Who leaves a page while it asks something ends the request; a failed one says htmx:sendError.
LEFT = ("htmx:sendAbort", "htmx:afterRequest")
# Slow enough for somebody to look on: about eight stocks per second.
MARKET = {
    "BARVAULT_SOURCE": "simulated",
    "BARVAULT_SIMULATED_STOCKS": "600",
    "BARVAULT_SIMULATED_LATENCY": "0.25",
}


@dataclass
class Server:
    """A real ``serve`` with two workers on a database of its own."""

    installation: Installation
    url: str

    def api(self, method: str, path: str, **body: object) -> dict[str, object]:
        response = requests.request(method, f"{self.url}/api/data/{path}", json=body or None, timeout=60)
        answer: dict[str, object] = response.json()
        return answer

    def active(self) -> list[tuple[object, ...]]:
        return self.installation.sql(
            "SELECT id FROM importer_importtask WHERE status IN ('pending', 'running', 'paused')"
        )

    def be_quiet(self) -> None:
        """End whatever an earlier test has left."""
        for (task,) in self.active():
            self.api("POST", f"tasks/{task}/cancel")
        wait_until(lambda: not self.active(), "no task waits or runs")

    def newest_task(self) -> str:
        rows = self.installation.sql("SELECT id FROM importer_importtask ORDER BY created_at DESC LIMIT 1")
        found = str(rows[0][0])
        return found if "-" in found else re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", found)


@dataclass
class Watch:
    """What went wrong in a page, and which hosts it asked. ``forgiven`` are words of complaints that are expected."""

    own: str
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext) -> None:
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss"):
            self.hosts.add(urlsplit(request.url).netloc)

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.status} {response.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def judge(self) -> None:
        """Fail when another host was asked, a policy was violated, a script failed or the server did."""
        serious = [text for text in self.complaints if not any(words in text for words in (*LEFT, *self.forgiven))]
        assert serious == []
        assert self.hosts <= {self.own}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not chromium.is_there():
        pytest.skip(chromium.MISSING)
    expect.set_options(timeout=TIMEOUT_MS)
    with chromium.chromium() as running:
        yield running


@pytest.fixture(scope="module")
def module_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if sys.platform != "linux":
        pytest.skip("Needs Linux: processes are looked up in /proc.")
    folder: Path = tmp_path_factory.mktemp("browser")
    installation = Installation(folder / "var", environment=MARKET)
    try:
        installation.migrate()
        _command, url = installation.start_serve()
        yield Server(installation, url.rstrip("/"))
    finally:
        installation.stop()


@pytest.fixture
def server(module_server: Server) -> Server:
    """Return the module's server, with nothing that waits or runs."""
    module_server.be_quiet()
    return module_server


@pytest.fixture
def watch(server: Server) -> Iterator[Watch]:
    watching = Watch(urlsplit(server.url).netloc)
    yield watching
    watching.judge()


@pytest.fixture
def context(browser: Browser, server: Server, watch: Watch) -> Iterator[BrowserContext]:
    """Return the browser of somebody who reads English; what its pages do is watched."""
    opened = new_context(browser, watch)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Page:
    """Return the data page."""
    opened = context.new_page()
    opened.goto(f"{server.url}/data/")
    return opened


def new_context(browser: Browser, watch: Watch, **options: object) -> BrowserContext:
    values: dict[str, object] = {"locale": "en", "viewport": {"width": 1280, "height": 900}, **options}
    context = browser.new_context(**values)  # type: ignore[arg-type]
    context.set_default_timeout(TIMEOUT_MS)
    watch.follow(context)
    return context
