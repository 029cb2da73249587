"""How the requests that AKShare makes come to the gate: below ``requests``, for known hosts, inside ``passing()``.

``requests`` asks each session for the adapter that carries a URL. Inside ``passing()`` that is the gate's; any other
request of the process, also to the same hosts, keeps its own. Nothing is disguised: where AKShare would claim to be
a browser, the request says what it is.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from django.utils.translation import gettext_noop
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.utils import default_user_agent, select_proxy
from urllib3 import PoolManager
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from importer import pacing
from importer.sources import network
from importer.sources.base import SourceUnavailable
from importer.sources.bounds import BoundedSocket, Bounds, OutOfTime, current_bounds
from importer.sources.connecting import CONNECT_LIMIT, RacingConnection
from importer.sources.gate import StaleConnection, one_request
from importer.sources.gate_signs import (
    TRANSPORT_ERRORS,
    InformationalAnswer,
    error_of_body,
    error_of_status,
    sent_elsewhere,
    sent_in_circles,
    too_large,
    was_reset,
)
from importer.sources.gzipped import Unpacking
from importer.sources.labels import label_of
from marketdata.texts import word

_SOURCE_OF_DOMAIN = {
    # Corporate actions: another host with another guard than the quotes.
    "datacenter-web.eastmoney.com": "datacenter",
    "eastmoney.com": "eastmoney",
    "sina.com.cn": "sina",
    "gtimg.cn": "tencent",
    "qq.com": "tencent",
    "sse.com.cn": "exchanges",
    "szse.cn": "exchanges",
    "bse.cn": "exchanges",
}
LARGEST_ANSWER = 32_000_000
SHORT_ANSWER = 65_536
# requests alone would follow thirty of them, each of them an answer.
MOST_SENT_ON = 2
_HEAD = 400

_UNKNOWN_HOST = gettext_noop(
    "AKShare asks %(host)s, which is not known here, so nothing was sent. "
    "The installed AKShare does not fit this version of Barvault."
)


@dataclass
class Passage:
    """What went through the gate inside one ``passing()``: for each answer its URL and its first bytes."""

    source: str
    # How often in a row an answer said where to ask instead.
    sent_on: int = 0
    heads: list[tuple[str, bytes]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


_passage: ContextVar[Passage | None] = ContextVar("passage", default=None)


@contextmanager
def passing(source: str) -> Iterator[Passage]:
    """Let the requests that this thread makes inside the block pass the gate; ``source`` is who is asked.

    The pace and the breaker are those of the host that a request goes to: the exchanges' lists have their own.
    """
    _install()
    passage = Passage(source)
    token = _passage.set(passage)
    try:
        yield passage
    finally:
        _passage.reset(token)


def source_of_host(host: str) -> str | None:
    """Return the source whose pace a host shares; None for a host that the gate does not know."""
    labels = host.lower().split(".")
    return next(
        (_SOURCE_OF_DOMAIN[name] for n in range(len(labels)) if (name := ".".join(labels[n:])) in _SOURCE_OF_DOMAIN),
        None,
    )


class _Connection(RacingConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        bounds = current_bounds()
        if bounds is not None:
            bounds.before_sending()
        super().request(*args, **kwargs)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class GateAdapter(HTTPAdapter):
    """Carries one process's requests to the known hosts on connections that are kept. Safe for threads."""

    def __init__(self) -> None:
        self._tls = create_urllib3_context()
        self._tls.sslsocket_class = BoundedSocket
        # Hosts that have answered on the connections that are kept now.
        self._answered: set[str] = set()
        self._authorities: set[tuple[str | None, str | None]] = set()
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._tls, **kwargs)
        _use_own_connections(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._tls, **kwargs)
        _use_own_connections(manager)
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Check certificates as requests does, but read the file of authorities once, not for each connection."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        authorities = (conn.ca_certs, conn.ca_cert_dir)
        with _lock:
            if authorities not in self._authorities and any(authorities):
                self._tls.load_verify_locations(*authorities)
                self._authorities.add(authorities)
        conn.ca_certs = conn.ca_cert_dir = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request in a slot of its own and return its whole answer.

        The caller's time limit is replaced by the gate's. A kept connection that turns out to be closed says
        nothing: the request is sent once more, on a new one and in a new slot.
        """
        host = urlsplit(request.url or "").hostname or ""
        source = source_of_host(host)
        assert source is not None
        # AKShare names an address or two without TLS: what anybody on the way can change is no price.
        request.url = re.sub(r"^http:", "https:", request.url or "")
        # What is packed in another way is not known to be whole when it ends.
        request.headers["Accept-Encoding"] = "gzip"
        if "Mozilla" in str(request.headers.get("User-Agent", "")):
            request.headers["User-Agent"] = default_user_agent()
        proxy = select_proxy(str(request.url), proxies)
        network.refuse_if_down()
        while True:
            try:
                with one_request(source, host, proxy=proxy) as bounds:
                    return self._exchange(request, source, host, bounds, verify, cert, proxies)
            except StaleConnection:
                continue

    def _exchange(
        self,
        request: requests.PreparedRequest,
        source: str,
        host: str,
        bounds: Bounds,
        verify: bool | str,
        cert: Any,
        proxies: Any,
    ) -> requests.Response:
        left = bounds.check()
        try:
            response = super().send(
                request,
                stream=True,
                timeout=(min(CONNECT_LIMIT, left), left),
                verify=verify,
                cert=cert,
                proxies=proxies,
            )
            if response.status_code < 200:
                # Only that an answer is coming: on a connection that is kept the next request would be given it.
                raise InformationalAnswer
            error = error_of_status(source, response.status_code, response.headers, datetime.now(UTC))
            body = _read(response, source, bounds) if error is None else _drain(response)
        except Exception as failure:
            kept = host in self._answered
            self.close()
            if kept and was_reset(failure):
                raise StaleConnection from failure
            raise
        self._answered.add(host)
        network.note_answer()
        if error is None and _is_sent_on(response, bounds):
            error = sent_in_circles(source)
        if error is None and response.status_code < 300:
            error = error_of_body(source, body)
        if error is not None:
            raise error
        # As requests itself keeps the answer of a call that does not stream.
        response._content = body
        response._content_consumed = True  # type: ignore[attr-defined]
        passage = _passage.get()
        if passage is not None:
            passage.heads.append((str(request.url), body[:_HEAD]))
        return response

    def close(self) -> None:
        """Close the kept connections; the next request makes new ones."""
        self._answered.clear()
        super().close()


def _use_own_connections(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}


_adapters: dict[int, GateAdapter] = {}
_lock = threading.Lock()


def _adapter() -> GateAdapter:
    """Return this process's adapter: connections must not be shared with a forked child."""
    with _lock:
        if os.getpid() not in _adapters:
            _adapters[os.getpid()] = GateAdapter()
        return _adapters[os.getpid()]


def close_connections() -> None:
    """Close the connections that this process keeps."""
    with _lock:
        adapter = _adapters.pop(os.getpid(), None)
    if adapter is not None:
        adapter.close()


def _install() -> None:
    with _lock:
        if requests.Session.get_adapter is not _choose_adapter:
            requests.Session.get_adapter = _choose_adapter  # type: ignore[method-assign,assignment]


_own_choice = requests.Session.get_adapter


def _choose_adapter(session: requests.Session, url: str) -> BaseAdapter:
    passage = _passage.get()
    if passage is None:
        return _own_choice(session, url)
    host = urlsplit(url).hostname or ""
    if source_of_host(host) is not None:
        passage.hosts.append(host)
        return _adapter()
    if not passage.hosts:
        raise SourceUnavailable(_UNKNOWN_HOST, source=word(label_of(passage.source)), host=host)
    source = source_of_host(passage.hosts[-1]) or passage.source
    error = sent_elsewhere(source, host)
    pacing.report_trouble(source, error)
    raise error


def _is_sent_on(response: requests.Response, bounds: Bounds) -> bool:
    """Note that an answer only says where to ask instead; say whether that has been so too often in a row."""
    passage = _passage.get()
    bounds.half_way = response.is_redirect
    if passage is not None:
        passage.sent_on = passage.sent_on + 1 if response.is_redirect else 0
    return passage is not None and passage.sent_on > MOST_SENT_ON


def _drain(response: requests.Response) -> bytes:
    """Read the page of a refusal, so that its connection can be kept; close the connection of a long one."""
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) <= SHORT_ANSWER:
        with suppress(*TRANSPORT_ERRORS, OutOfTime):
            response.raw.read()
            return b""
    response.close()
    return b""


def _read(response: requests.Response, source: str, bounds: Bounds) -> bytes:
    """Return the whole body, unpacked. urllib3 would take a packed one that ends too early for whole."""
    chunks: list[bytes] = []
    size = 0
    unpacking = Unpacking(LARGEST_ANSWER) if response.headers.get("Content-Encoding", "").lower() == "gzip" else None
    for sent in response.raw.stream(65536, decode_content=unpacking is None):
        chunk = sent if unpacking is None else unpacking.unpack(sent)
        size += len(chunk)
        if size > LARGEST_ANSWER:
            response.close()
            raise too_large(source, LARGEST_ANSWER)
        chunks.append(chunk)
        bounds.check()
    if unpacking is not None:
        unpacking.require_end()
    return b"".join(chunks)
