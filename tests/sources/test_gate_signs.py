from __future__ import annotations

import ssl
from datetime import UTC, datetime
from http.client import BadStatusLine, HTTPException, IncompleteRead

import pytest
from django.utils import translation
from urllib3.exceptions import ProtocolError

from importer.sources.base import Banned, SourceUnavailable
from importer.sources.gate_adapter import source_of_host
from importer.sources.gate_signs import (
    error_of_body,
    error_of_failure,
    error_of_status,
    seconds_of_retry_after,
    without_password,
)

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 04:01:00 GMT", 60.0),
        ("Tue, 24 Nov 2026 03:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 04:01:00", 60.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_of_retry_after(header, NOW) == seconds


@pytest.mark.parametrize("status", [200, 204, 302])
def test_a_status_below_400_carries_an_answer(status: int) -> None:
    assert error_of_status("sina", status, {}, NOW) is None


def test_an_unknown_client_error_is_no_ban() -> None:
    assert type(error_of_status("sina", 400, {}, NOW)) is SourceUnavailable


@pytest.mark.parametrize("body", [b"<html>", b"\xef\xbb\xbf \n<!DOCTYPE html>", b"  <?xml"])
def test_markup_is_a_ban(body: bytes) -> None:
    assert isinstance(error_of_body("sina", body), Banned)


@pytest.mark.parametrize("body", [b"{}", b'var x="a<b";', b"PK\x03\x04", b"null([])"])
def test_data_are_no_ban(body: bytes) -> None:
    assert error_of_body("sina", body) is None


@pytest.mark.parametrize("error", [ssl.SSLEOFError(8, "EOF occurred"), ssl.SSLZeroReturnError(6, "closed")])
def test_a_handshake_that_is_cut_off_is_a_ban(error: Exception) -> None:
    assert isinstance(error_of_failure("sina", "finance.sina.com.cn", error, 10.0, None), Banned)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ProtocolError("Response ended prematurely"), "the answer broke off"),
        (ProtocolError("Connection broken", IncompleteRead(b"", 5)), "the answer broke off"),
        (ProtocolError("Connection aborted.", BadStatusLine("hello")), "no answer in its protocol"),
        (ProtocolError("Connection aborted.", HTTPException("got more than 100 headers")), "no answer in its protocol"),
        (
            ProtocolError("Connection aborted.", OSError(113, "No route to host")),
            "no connection to finance.sina.com.cn",
        ),
    ],
)
def test_what_is_wrong_with_an_answer_is_not_said_of_the_connection(error: Exception, words: str) -> None:
    with translation.override("en"):
        assert words in str(error_of_failure("sina", "finance.sina.com.cn", error, 10.0, None))


def test_behind_a_proxy_nobody_can_tell_who_closed_the_connection() -> None:
    error = error_of_failure("sina", "finance.sina.com.cn", ConnectionResetError(), 10.0, "http://127.0.0.1:8080")
    assert type(error) is SourceUnavailable


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://me:secret@proxy:8080", "http://proxy:8080"),
        ("proxy:8080", "http://proxy:8080"),
        ("socks5://me:se@cret@proxy", "socks5://proxy"),
    ],
)
def test_a_proxy_is_shown_without_its_password(proxy: str, shown: str) -> None:
    assert without_password(proxy) == shown


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("push2his.eastmoney.com", "eastmoney"),
        ("82.push2.EASTMONEY.com", "eastmoney"),
        ("vip.stock.finance.sina.com.cn", "sina"),
        ("web.ifzq.gtimg.cn", "tencent"),
        ("proxy.finance.qq.com", "tencent"),
        ("query.sse.com.cn", "exchanges"),
        ("notsse.com.cn", None),
        ("eastmoney.com.example.net", None),
        ("", None),
    ],
)
def test_a_host_belongs_to_the_source_of_its_domain(host: str, source: str | None) -> None:
    assert source_of_host(host) == source
