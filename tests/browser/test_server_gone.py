"""What an open page says when its server goes away, and when it is back."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import MARKET, Watch, new_context
from tests.importer.processes import Installation, free_port, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_page_says_so_and_goes_on_by_itself(browser: Browser, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("Needs Linux: processes are looked up in /proc.")
    installation = Installation(tmp_path / "var", environment=MARKET)
    try:
        installation.migrate()
        port = str(free_port())
        command, url = installation.start_serve("--port", port)
        watch = Watch(
            urlsplit(url).netloc, forgiven=["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY", "htmx:"]
        )
        context = new_context(browser, watch)
        page = context.new_page()
        page.goto(f"{url}data/")
        page.get_by_role("textbox", name="Stocks").fill("600519")
        command.send(signal.SIGTERM)
        command.wait()
        expect(page.get_by_role("alert").filter(has_text="The server does not answer")).to_be_visible()
        again = installation.start("serve", "--port", port, "--workers", "1")
        wait_until(lambda: "ready at" in again.text(), "the server is started again")
        expect(page.get_by_role("status").filter(has_text="The server is back")).to_be_visible()
        expect(page.get_by_text("The server does not answer")).to_have_count(0)
        expect(page.get_by_role("textbox", name="Stocks")).to_have_value("600519")
        expect(page.get_by_text("1 download lane online")).to_be_visible()
        context.close()
        watch.judge()
    finally:
        installation.stop()
