"""What tests of the pages share: a browser without scripts that sends the token of its forms."""

from __future__ import annotations

import re

from django.test import Client

from importer.dbtime import db_now
from importer.models import Host


def english_browser() -> Client:
    return Client(enforce_csrf_checks=True, headers={"accept-language": "en"})


def living_host(name: str = "here", workers: int = 4) -> Host:
    now = db_now()
    return Host.objects.create(name=name, workers=workers, pid=1, started_at=now, seen_at=now)


def post(browser: Client, url: str, /, **values: str) -> tuple[int, str]:
    """Send a form; return the status, and where it leads or the page that it shows."""
    page = browser.get("/data/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token is not None
    response = browser.post(url, {"csrfmiddlewaretoken": token[1], **values})
    return response.status_code, response.headers.get("Location", response.content.decode())


def shown(browser: Client, path: str = "/data/") -> str:
    """Return a page as one line of text."""
    response = browser.get(path)
    assert response.status_code in (200, 286)
    return " ".join(response.content.decode().split())
