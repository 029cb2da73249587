"""What the failure or the answer of a request means: our errors, each with a sentence. No network here."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import requests
import urllib3
from django.utils.translation import gettext_noop

from importer.sources.base import Banned, SourceError, SourceUnavailable
from importer.sources.bounds import BrokenOff, OutOfTime
from importer.sources.labels import label_of
from marketdata.texts import Text, sentence, word

# 456 is Sina's own, 418 a joke that several sites mean seriously.
BAN_STATUSES = frozenset({403, 418, 429, 456})
NOT_THERE_STATUSES = frozenset({404, 410})

_REFUSED = gettext_noop("HTTP status %(status)s")
_CLOSED = gettext_noop("it closed the connection without an answer")
_WEB_PAGE = gettext_noop("a web page came where data belong")
_ELSEWHERE = gettext_noop("it sent us on to %(host)s")
_IN_CIRCLES = gettext_noop("it sends us from one address to the next")
_SILENT = gettext_noop("no complete answer within %(limit)s s")
_BROKE_OFF = gettext_noop("the answer broke off")
_GARBAGE = gettext_noop("what it sent is no answer in its protocol")
_NO_NAME = gettext_noop("the name %(host)s cannot be found: is this machine online?")
_NO_CONNECTION = gettext_noop("no connection to %(host)s: %(detail)s")
_TOO_LARGE = gettext_noop("the answer is larger than %(limit)s MB")
_EMPTY = gettext_noop("an empty answer")

_CERTIFICATE = gettext_noop(
    "The certificate of %(host)s is not to be trusted (%(detail)s), so %(source)s was not asked. "
    "A network that wants a login, a proxy that reads along, or a wrong clock can be the reason."
)
_PROXY = gettext_noop(
    "%(source)s did not answer through the proxy %(proxy)s (%(detail)s). "
    "If no proxy is meant to be used, unset %(variable)s."
)
_SOCKS = gettext_noop("a SOCKS proxy cannot be used here; name its HTTP port instead")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


class InformationalAnswer(HTTPException):
    """HTTP status 103 or the like, which no library here waits behind."""


class NotThere(SourceUnavailable):
    """HTTP status 404 or 410: the host answers, but has nothing under this address."""


def banned(source: str, msgid: str, *, retry_after: float | None = None, **values: Any) -> Banned:
    return Banned(retry_after=retry_after, source=word(label_of(source)), detail=sentence(Text(msgid, values)))


def unavailable(source: str, msgid: str, **values: Any) -> SourceUnavailable:
    return SourceUnavailable(source=word(label_of(source)), detail=sentence(Text(msgid, values)))


def out_of_time(source: str, limit: float) -> SourceUnavailable:
    return unavailable(source, _SILENT, limit=f"{limit:g}")


def too_large(source: str, limit: int) -> SourceUnavailable:
    return unavailable(source, _TOO_LARGE, limit=limit // 1_000_000)


def sent_elsewhere(source: str, host: str) -> Banned:
    return banned(source, _ELSEWHERE, host=host)


def sent_in_circles(source: str) -> Banned:
    return banned(source, _IN_CIRCLES)


def error_of_status(source: str, status: int, headers: Mapping[str, str], now: datetime) -> SourceError | None:
    """Return what an HTTP status means; None for one that carries an answer."""
    if status < 400:
        return None
    retry_after = seconds_of_retry_after(headers.get("Retry-After"), now)
    if status in BAN_STATUSES or (status == 503 and retry_after is not None):
        return banned(source, _REFUSED, retry_after=retry_after, status=status)
    if status in NOT_THERE_STATUSES:
        return NotThere(source=word(label_of(source)), detail=sentence(Text(_REFUSED, {"status": status})))
    return unavailable(source, _REFUSED, status=status)


def error_of_body(source: str, body: bytes) -> SourceError | None:
    """Return what the body of a successful answer means; None for one that may be data."""
    start = body[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        return banned(source, _WEB_PAGE)
    if not start:
        return unavailable(source, _EMPTY)
    return None


def error_of_failure(source: str, host: str, error: BaseException, limit: float, proxy: str | None) -> SourceError:
    """Return what a request that failed on its way means.

    ``error`` is what requests, urllib3 or the socket raised; ``proxy`` is the proxy's URL when one was used.
    """
    chain = _chain(error)
    certificate = next((link for link in chain if isinstance(link, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return SourceUnavailable(
            _CERTIFICATE, source=word(label_of(source)), host=host, detail=certificate.verify_message
        )
    detail, is_ban = _meaning(chain, host, limit)
    if proxy and is_unusable(proxy):
        detail = Text(_SOCKS)
    if proxy:
        # Whether the proxy or the source closed the connection cannot be told.
        return SourceUnavailable(
            _PROXY,
            source=word(label_of(source)),
            proxy=without_password(proxy),
            variable=proxy_variable(),
            detail=sentence(detail),
        )
    return (banned if is_ban else unavailable)(source, detail.msgid, **detail.values)


def was_reset(error: BaseException) -> bool:
    """Say whether the other side closed the connection before it answered."""
    return _was_reset(_chain(error))


def seconds_of_retry_after(value: str | None, now: datetime) -> float | None:
    """Return a Retry-After header (seconds or an HTTP date) in seconds from ``now``; None when there is none."""
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def proxy_variable() -> str:
    """Return the environment variable that sets the proxy; else where the proxy is set."""
    for name in _PROXY_VARIABLES:
        if os.environ.get(name):
            return name
    return "the system's proxy settings" if getproxies() else ""


def is_unusable(proxy: str) -> bool:
    """Say whether requests cannot use this proxy: it needs a package for SOCKS that is not among ours."""
    return urlsplit(proxy).scheme.startswith("socks") and find_spec("socks") is None


def without_password(proxy: str) -> str:
    """Return a proxy's URL without the user and password in it."""
    parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _meaning(chain: list[BaseException], host: str, limit: float) -> tuple[Text, bool]:
    """Return why a request failed, and whether that is how sources refuse."""
    if any(isinstance(link, urllib3.exceptions.NameResolutionError | socket.gaierror) for link in chain):
        return Text(_NO_NAME, {"host": host}), False
    if any(_is_timeout(link) for link in chain):
        return Text(_SILENT, {"limit": f"{limit:g}"}), False
    if any(isinstance(link, _BROKEN_OFF) for link in chain):
        return Text(_BROKE_OFF), False
    if _was_reset(chain):
        return Text(_CLOSED), True
    if any(isinstance(link, HTTPException) for link in chain):
        return Text(_GARBAGE), False
    if any(_ended_early(link) for link in chain):
        return Text(_BROKE_OFF), False
    reason = next((link for link in reversed(chain) if isinstance(link, OSError)), chain[-1])
    detail = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return Text(_NO_CONNECTION, {"host": host, "detail": detail}), False


_BROKEN_OFF = (BrokenOff, IncompleteRead, urllib3.exceptions.DecodeError)


def _ended_early(link: BaseException) -> bool:
    """Say whether urllib3 missed the rest of an answer in chunks; with another error in it, that one is the reason."""
    alone = not any(isinstance(value, BaseException) for value in link.args)
    return isinstance(link, urllib3.exceptions.ProtocolError) and alone


def _is_timeout(link: BaseException) -> bool:
    # urllib3 derives "no connection could be made" from its time-out.
    timeouts = (TimeoutError, urllib3.exceptions.TimeoutError, OutOfTime)
    return isinstance(link, timeouts) and not isinstance(link, urllib3.exceptions.NewConnectionError)


def _was_reset(chain: list[BaseException]) -> bool:
    # During the TLS handshake a closed connection is an SSLEOFError; RemoteDisconnected is a ConnectionResetError.
    closed = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, EOFError)
    return any(isinstance(link, (*closed, ssl.SSLEOFError, ssl.SSLZeroReturnError)) for link in chain)


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and what it was made of: causes, contexts, and the errors that libraries wrap as arguments."""
    found: list[BaseException] = []
    queue: list[BaseException] = [error]
    while queue:
        link = queue.pop(0)
        if any(link is known for known in found):
            continue
        found.append(link)
        wrapped = [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
        queue.extend(candidate for candidate in wrapped if isinstance(candidate, BaseException))
    return found


TRANSPORT_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError)
