"""Checks of what is around: proxy, queue, who can reach us, the exchange's calendar."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit
from urllib.request import getproxies

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from config.safety import exposure_problem
from importer.doctor.facts import Fact, Verdict, finding, fine
from importer.exceptions import BadRequest
from importer.sources.gate_signs import is_unusable
from importer.sources.registry import auto_order
from importer.verdict import calendar_note
from marketdata.texts import listed
from marketdata.trading_days import last_known_day

PROXY_ANSWERS_WITHIN = 3.0
DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}
CALENDAR_PRESSING = timedelta(days=14)


def proxy() -> Iterator[Fact]:
    """An inherited proxy is honoured: a forgotten one is the commonest reason for 'no source reachable'."""
    proxies = getproxies()
    for kind in ("http", "https", "all"):
        if kind not in proxies:
            continue
        shown, address = _without_password(proxies[kind])
        values = {"name": f"{kind.upper()}_PROXY", "proxy": shown}
        if is_unusable(proxies[kind]):
            yield finding(
                gettext_noop(
                    "%(name)s names the proxy %(proxy)s: a SOCKS proxy cannot be used here. Name its HTTP port instead "
                    "(http://…), or take %(name)s out of the environment."
                ),
                **values,
            )
            continue
        trouble = _trouble_with(address)
        if trouble is None:
            yield fine(gettext_noop("Requests go through the proxy %(proxy)s (%(name)s), which answers."), **values)
        else:
            yield finding(
                gettext_noop(
                    "Requests go through the proxy %(proxy)s (%(name)s), which does not answer (%(error)s). Start it, "
                    "or take %(name)s out of the environment."
                ),
                **values,
                error=trouble,
            )
    if any(kind in proxies for kind in ("http", "https", "all")):
        yield fine(
            gettext_noop(
                "Baostock and the TDX quote servers are asked past the proxy, over TCP. Where only the proxy leads out "
                "they do not answer, and “auto” goes on with the websites."
            )
        )


def order_of_sources() -> Iterator[Fact]:
    """The order in which “auto” asks, which a setting may have got wrong."""
    try:
        names = auto_order()
    except BadRequest as error:
        yield finding(error.text.msgid, **error.text.values)
        return
    yield fine(gettext_noop("“auto” asks %(names)s, in this order."), names=listed(names))


def broker() -> Iterator[Fact]:
    """Redis answers, if it is the queue."""
    if not settings.BROKER_URL:
        yield fine(gettext_noop("The queue is in the database."))
        return
    from redis import Redis, RedisError

    shown, _address = _without_password(settings.BROKER_URL)
    try:
        with Redis.from_url(settings.BROKER_URL, socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        yield finding(
            gettext_noop(
                "Redis at %(url)s does not answer (%(error)s). Start it, or correct or remove BARVAULT_BROKER_URL."
            ),
            url=shown,
            error=str(error).rstrip("."),
        )
        return
    yield fine(gettext_noop("Redis at %(url)s answers."), url=shown)


def exposure() -> Iterator[Fact]:
    """Whoever can reach the server has to log in."""
    problem = exposure_problem(settings.HOST, settings.EXTRA_ALLOWED_HOSTS)
    if problem is not None:
        yield Fact(Verdict.FINDING, problem)
    elif settings.LOGIN_REQUIRED:
        yield fine(gettext_noop("Others can reach the page on %(host)s, with a login."), host=settings.HOST)
    else:
        yield fine(gettext_noop("The page listens on %(host)s: only this machine reaches it."), host=settings.HOST)


def calendar() -> Iterator[Fact]:
    """The exchange's open days are known for some time to come."""
    known = last_known_day()
    today = timezone.localdate()
    note = calendar_note(known, today)
    if note is not None:
        # Before the next year is published an update of the package brings nothing: worth knowing, and no finding yet.
        yield Fact(Verdict.FINDING if known < today + CALENDAR_PRESSING else Verdict.FINE, note)
    else:
        yield fine(gettext_noop("The exchange's calendar is known until %(day)s."), day=known.isoformat())


def _without_password(url: str) -> tuple[str, tuple[str, int] | None]:
    """Return a URL as it may be shown, and the address it names."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 80)
    except ValueError:
        return "?", None
    if not parts.hostname:
        return "?", None
    return f"{parts.scheme}://{parts.hostname}:{port}", (parts.hostname, port)


def _trouble_with(address: tuple[str, int] | None) -> str | None:
    """Return why nothing answers at ``address``; None when something does."""
    if address is None:
        return "not an address"
    try:
        socket.create_connection(address, timeout=PROXY_ANSWERS_WITHIN).close()
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    return None
