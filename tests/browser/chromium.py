"""Chromium as the tests start it: Debian's, without a sandbox, and silent: it asks nobody anything by itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

MISSING = "Needs Chromium: it is not on the PATH."
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)


def is_there() -> bool:
    return shutil.which("chromium") is not None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a running Chromium. Its pages know nothing of one another: each context has its own cookies."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
