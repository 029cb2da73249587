"""Whether this machine reaches any data site: what fails everywhere at once is no source's fault.

A request that failed before its connection stood (no name, no way there, a proxy that is gone, somebody else's
certificate) may be its site's trouble or this machine's. Then a website of each operator is knocked at, all together:
a connection with TLS, through the same proxy and trusting the same authorities, over which nothing is sent. When none
of them opens, this machine is offline, behind a login page, or has a wrong clock: no source is blamed.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from http.client import HTTPException
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from importer.dbtime import db_now
from importer.exceptions import StopRequested
from importer.outages import OutageLog
from importer.sources.base import NetworkDown, SourceError
from importer.sources.connecting import RacingConnection
from importer.sources.gate_signs import is_unusable

logger = logging.getLogger(__name__)

# One of each operator: what ails one of them does not ail the others.
WITNESSES = ("push2his.eastmoney.com", "finance.sina.com.cn", "web.ifzq.gtimg.cn")
# A door that does not open within this time is taken for closed.
PATIENCE = 4.0
# So long after it was found to be down the network is looked at again.
LOOK_AGAIN = 20.0
# So long what was found is believed without another look: doors are not to be knocked at for each request.
DOWN_BELIEVED = 10.0
UP_BELIEVED = 3.0
_LOOK_EVERY = 0.1


class _Found:
    """What this process found at its last look. Safe for threads; who comes while another one looks waits for him."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.lock = threading.Lock()
        self.believed_until = 0.0
        # What failed, and when to look again; None when the network is there.
        self.down: tuple[SourceError, datetime] | None = None
        self.log = OutageLog(logger, "The data sites")


_found = _Found()
os.register_at_fork(after_in_child=_found.forget)


def forget() -> None:
    """Forget what was found."""
    _found.forget()


def refuse_if_down() -> None:
    """Raise NetworkDown when the network was found to be down a few seconds ago: nothing has to be tried then."""
    down = _found.down
    if down is not None and time.monotonic() < _found.believed_until:
        raise NetworkDown(*down)


def look(failure: SourceError, should_stop: Callable[[], bool]) -> None:
    """Find out whether ``failure``, by which a host was not reached, is this machine's.

    Raises NetworkDown when no website can be reached, or StopRequested.
    """
    with _found.lock:
        if time.monotonic() >= _found.believed_until:
            _knock_and_remember(failure, should_stop)
        down = _found.down
    if down is not None:
        raise NetworkDown(*down)


def note_answer() -> None:
    """Note that a website answered: the network is there."""
    if _found.down is not None:
        _found.down = None
        _found.log.worked()


def _knock_and_remember(failure: SourceError, should_stop: Callable[[], bool]) -> None:
    if any_opens(WITNESSES, should_stop):
        note_answer()
        _found.believed_until = time.monotonic() + UP_BELIEVED
        return
    _found.down = failure, db_now() + timedelta(seconds=LOOK_AGAIN)
    _found.believed_until = time.monotonic() + DOWN_BELIEVED
    _found.log.failed(NetworkDown(*_found.down))


def any_opens(hosts: Sequence[str], should_stop: Callable[[], bool]) -> bool:
    """Say whether one of ``hosts`` completes a TLS handshake within PATIENCE seconds. Raises StopRequested.

    Each is knocked at in a thread that nobody waits for: a look-up of a name cannot be cut short.
    """
    opened: SimpleQueue[bool] = SimpleQueue()
    for host in hosts:
        threading.Thread(target=lambda host=host: opened.put(_opens(host)), name=f"knock {host}", daemon=True).start()
    ends, waiting = time.monotonic() + PATIENCE, len(hosts)
    while waiting and time.monotonic() < ends:
        if should_stop():
            raise StopRequested
        try:
            if opened.get(timeout=_LOOK_EVERY):
                return True
            waiting -= 1
        except Empty:
            continue
    return False


def _opens(host: str) -> bool:
    url = f"https://{host}/"
    with requests.Session() as session:
        chosen = session.merge_environment_settings(url, {}, False, None, None)
    proxy, authorities = select_proxy(url, chosen["proxies"]), chosen["verify"]
    if proxy is not None and is_unusable(proxy):
        return False
    if proxy is not None and urlsplit(proxy).scheme not in ("", "http"):
        # Through such a proxy nobody can be knocked at from here: who fails behind it is blamed by himself.
        return True
    place = authorities if isinstance(authorities, str) else DEFAULT_CA_BUNDLE_PATH
    try:
        folder = os.path.isdir(place)
        trust = ssl.create_default_context(cafile=None if folder else place, capath=place if folder else None)
        connection = _connection(host, proxy, trust)
        try:
            connection.connect()
        finally:
            connection.close()
    except (OSError, ValueError, HTTPException, urllib3.exceptions.HTTPError) as error:
        logger.debug("%s does not open: %s", host, error)
        return False
    return True


def _connection(host: str, proxy: str | None, trust: ssl.SSLContext) -> RacingConnection:
    if proxy is None:
        return RacingConnection(host, timeout=PATIENCE, ssl_context=trust)
    parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    if not parts.hostname:
        raise ValueError(f"the proxy {parts.scheme} has no host")
    connection = RacingConnection(parts.hostname, parts.port or 80, timeout=PATIENCE, ssl_context=trust)
    # With the name and the password that requests would send.
    connection.set_tunnel(host, 443, HTTPAdapter().proxy_headers(proxy))
    return connection
