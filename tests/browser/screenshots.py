"""``make screenshots``: every page in each state, width, theme and language, into var/screenshots.

    python -m tests.browser.screenshots [PART OF A NAME ...]

The server runs in this process, on a database of its own; nothing of the user's is read.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.environment import isolate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

    from tests.browser.scenes import Scene

T = TypeVar("T")
OUT = Path(__file__).resolve().parents[2] / "var" / "screenshots"
WIDTHS = (360, 1440)
THEMES = ("light", "dark")
LANGUAGES = ("zh-CN", "en")


def main(wanted: list[str]) -> int:
    from tests.browser import chromium

    if not chromium.is_there():
        sys.stderr.write(f"{chromium.MISSING}\n")
        return 2
    isolate("barvault-screenshots-")
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ["BARVAULT_LOG_LEVEL"] = "ERROR"
    from config.translations import compile_stale_catalogues

    # Before Django is loaded: it keeps the catalogues that it has read.
    compile_stale_catalogues()
    import django

    django.setup()
    from tests.browser.scenes import SCENES

    OUT.mkdir(parents=True, exist_ok=True)
    wide = 0
    with _server() as url, ThreadPoolExecutor(1) as database, chromium.chromium() as browser:
        # Django's database does not work beside Playwright's loop: it has a thread of its own.
        cookie = database.submit(_prepare).result()
        for scene in SCENES:
            wide += _shoot_scene(scene, wanted, browser, url, cookie, lambda act: database.submit(act).result())
    sys.stdout.write(f"{len(list(OUT.glob('*.png')))} pictures are in {OUT}\n")
    return 1 if wide else 0


def _shoot_scene(
    scene: Scene,
    wanted: list[str],
    browser: Browser,
    url: str,
    cookie: str,
    in_database: Callable[[Callable[[], T]], T],
) -> int:
    from tests.browser.scenes import play, refresh_hosts

    pages = in_database(lambda: play(scene))
    wide = 0
    for name, path in pages.items():
        if wanted and not any(part in name for part in wanted):
            continue
        for context, suffix in _contexts(browser):
            if scene.name == "admin":
                context.add_cookies([{"name": "barvault_session", "value": cookie, "url": url}])
            in_database(refresh_hosts)
            wide += _shoot(context, url + path, OUT / f"{name}-{suffix}.png")
            context.close()
    return wide


def _contexts(browser: Browser) -> Iterator[tuple[BrowserContext, str]]:
    for width in WIDTHS:
        for theme in THEMES:
            for language in LANGUAGES:
                context = browser.new_context(
                    viewport={"width": width, "height": 800}, color_scheme=theme, locale=language
                )
                yield context, f"{width}-{theme}-{language}"


def _shoot(context: BrowserContext, url: str, file: Path) -> bool:
    """Take the picture; say whether the page is wider than its window."""
    page = context.new_page()
    page.goto(url)
    page.evaluate("document.fonts.ready")
    page.screenshot(path=file, full_page=True)
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    if wide and "/admin/" not in url:
        sys.stderr.write(f"{file.name} scrolls sideways\n")
        return True
    return False


def _prepare() -> str:
    """Make the tables and somebody who is logged in; return the session's key."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command

    from tests.browser.scenes import make_admin

    call_command("migrate", verbosity=0)
    user = make_admin()
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


@contextmanager
def _server() -> Iterator[str]:
    from config.wsgi import application
    from importer.web_process import WebServer

    listener = socket.create_server(("127.0.0.1", 0))
    server = WebServer(application, listener)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        thread.join(10)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
