"""A real browser that shows another web site while our server runs: the site starts nothing and reads nothing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, sync_playwright

from tests.importer.processes import Installation

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Each tries in its own way to get at the server; what it could read ends up in ``window.read``.
ATTACKS = {
    "fetch": "fetch(SERVER + '/api/data/status').then(r => r.text()).then(t => read.push(t))",
    "fetch without asking": "fetch(SERVER + '/api/data/status', {mode: 'no-cors'}).then(r => r.text()).then(t => read.push(t))",  # noqa: E501
    "post of text": "fetch(SERVER + '/api/data/import', {method: 'POST', mode: 'no-cors', body: '{}'})",
    "post of nothing": "fetch(SERVER + '/api/data/import', {method: 'POST', mode: 'no-cors'})",
    "post of JSON": "fetch(SERVER + '/api/data/import', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'})",  # noqa: E501
    "beacon": "navigator.sendBeacon(SERVER + '/api/data/import', new Blob(['{}'], {type: 'application/json'}))",
    "hidden origin": "fetch(SERVER + '/api/data/import', {method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer', body: '{}'})",  # noqa: E501
    "script": "var s = document.createElement('script'); s.src = SERVER + '/api/data/status'; s.onload = () => read.push('script ran'); document.body.append(s)",  # noqa: E501
    "image": "var i = new Image(); i.src = SERVER + '/static/ninja/favicon.png'; i.onload = () => read.push('image shown')",  # noqa: E501
}
FORM = """
var form = document.createElement('form');
form.method = 'post'; form.action = SERVER + '/api/data/import'; form.enctype = 'text/plain'; form.target = TARGET;
var field = document.createElement('input'); field.name = '{"refresh": true, "x'; field.value = '": 1}';
form.append(field); document.body.append(form); form.submit();
"""


class _OtherSite(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = b"<!DOCTYPE html><title>Another site</title><body><iframe name=inside></iframe>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    installation = Installation(tmp_path_factory.mktemp("server"))
    try:
        installation.migrate()
        yield installation.start_serve()[1].rstrip("/").replace("127.0.0.1", "localhost")
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    site = ThreadingHTTPServer(("127.0.0.1", 0), _OtherSite)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    try:
        yield site.server_address[1]
    finally:
        site.shutdown()
        site.server_close()


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Needs Chromium: it is not on the PATH.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page()
        yield page
        browser.close()


# The same host under another port is the same site to a browser, under another name it is not.
@pytest.fixture(params=["localhost", "127.0.0.1"])
def other_site(request: pytest.FixtureRequest, browser_page: Page, server: str, other_port: int) -> Page:
    browser_page.goto(f"http://{request.param}:{other_port}/")
    browser_page.evaluate("server => { window.SERVER = server; window.read = [] }", server)
    return browser_page


def task_count(server: str) -> int:
    return int(requests.get(f"{server}/api/data/tasks", timeout=60).json()["total"])


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_script_of_another_site_starts_nothing_and_reads_nothing(other_site: Page, server: str, attack: str) -> None:
    other_site.evaluate(
        f"async () => {{ try {{ await ({{run: async () => {{ {ATTACKS[attack]} }} }}).run() }} catch (e) {{}} }}"
    )
    other_site.wait_for_timeout(500)
    assert other_site.evaluate("window.read.filter(text => text !== '')") == []
    assert task_count(server) == 0


@pytest.mark.parametrize("target", ["inside", "_self"])
def test_a_form_of_another_site_starts_nothing(other_site: Page, server: str, target: str) -> None:
    other_site.evaluate(f"() => {{ var TARGET = '{target}'; {FORM} }}")
    other_site.wait_for_timeout(500)
    assert task_count(server) == 0


def test_another_site_cannot_show_our_page_inside_its_own(other_site: Page, server: str) -> None:
    other_site.evaluate("document.querySelector('iframe').src = SERVER + '/login/'")
    other_site.wait_for_timeout(1000)
    assert "Barvault" not in "".join(frame.content() for frame in other_site.frames)


def test_a_link_on_another_site_opens_our_page(other_site: Page, server: str) -> None:
    other_site.evaluate("document.body.innerHTML = `<a href='${SERVER}/login/'>there</a>`")
    other_site.get_by_role("link", name="there").click()
    other_site.wait_for_url(f"{server}/login/")
    assert "Barvault" in other_site.title()


def test_the_manual_of_the_api_works_under_the_policy_without_another_host(
    browser_page: Page, server: str, tmp_path: Path
) -> None:
    asked: set[str] = set()
    complaints: list[str] = []
    browser_page.on("request", lambda request: asked.add(request.url.split("/")[2]))
    browser_page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    browser_page.goto(f"{server}/api/docs")
    browser_page.locator("#operations-data-show_status").click()
    browser_page.get_by_role("button", name="Try it out").click()
    with browser_page.expect_response("**/api/data/status") as answered:
        browser_page.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    assert asked == {server.removeprefix("http://")}
    assert complaints == []
