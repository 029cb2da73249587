"""One message to a real receiver on 127.0.0.1, and what is told when it does not take it."""

from __future__ import annotations

import json
import logging

import pytest

from config.hidden import Hidden
from importer.notify import sending
from importer.notify.models import Event
from importer.notify.receivers import PING_LABEL, Receiver, key_of
from importer.notify.sending import send
from importer.notify.words import Message
from tests.importer.notify.servers import PASSWORD, mail_server, web_hook

MESSAGE = Message(Event.COMPLETED, "Barvault: 增量更新：已完成", "第一行\n第二行\n\nhttp://127.0.0.1:5000/data/")


def to(url: str, label: str = "1: json") -> Receiver:
    return Receiver(key_of(url), label, Hidden(url))


def said(url: str, message: Message = MESSAGE) -> str | None:
    error = send(to(url), message)
    return None if error is None else str(error)


def test_a_mail_arrives_by_smtp_as_it_was_written() -> None:
    with mail_server() as server:
        assert said(server.url()) is None
        ((subject, text),) = server.texts()
        assert subject == MESSAGE.title
        assert [line in text for line in MESSAGE.body.split("\n")] == [True] * 4


def test_a_wrong_password_is_told_without_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with mail_server() as server:
        error = said(server.url(password="not-the-password"))
    assert error is not None
    assert "535" in error
    for secret in ("not-the-password", PASSWORD, "somebody", "example.com", str(server.port) + "?"):
        assert secret not in error + caplog.text


def test_a_web_hook_gets_title_and_text() -> None:
    with web_hook() as hook:
        assert said(hook.url()) is None
        content = json.loads(hook.bodies[0])
        assert (content["title"], content["message"]) == (MESSAGE.title, MESSAGE.body)


def test_what_a_refusing_web_hook_answers_is_told_without_its_address() -> None:
    with web_hook() as hook:
        hook.status, hook.answer = 403, b"no such token: token-of-ours"
        error = said(hook.url())
        hook.answer = "机器人不存在".encode()
        in_chinese = said(hook.url())
    assert error is not None
    assert "403" in error
    assert "no such token: ****" in error
    assert in_chinese is not None
    assert in_chinese.endswith("Response Details: 机器人不存在")


def test_a_service_that_answers_200_and_took_nothing_is_found_out() -> None:
    with web_hook() as hook:
        hook.answer = b'{"errcode": 93000, "errmsg": "invalid webhook url"}'
        assert said(hook.url()) == "93000 invalid webhook url"
        hook.answer = b'{"code": 0, "message": "ok"}'
        assert said(hook.url()) is None


def test_a_receiver_that_is_down_is_told_with_the_cause() -> None:
    with web_hook() as hook:
        url = hook.url()
    error = said(url)
    assert error is not None
    assert "Connection refused" in error
    assert "token-of-ours" not in error


def test_a_receiver_that_is_too_slow_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LIMIT", 1)
    with web_hook() as hook:
        hook.delay = 3
        assert said(hook.url()) == "The receiver did not answer within 1 s."


def test_an_address_that_cannot_be_read_is_told_without_it() -> None:
    error = said("nosuchthing://secret-token")
    assert error is not None
    assert error.startswith("apprise cannot read this address")
    assert "secret-token" not in error


def test_a_dead_man_s_switch_is_asked_and_told_of_a_failure() -> None:
    with web_hook() as hook:
        switch = to(f"http://127.0.0.1:{hook.port}/uuid-of-ours?create=1", PING_LABEL)
        assert send(switch, Message(Event.PING_GOOD, "title", "all well")) is None
        assert send(switch, Message(Event.PING_FAILED, "title", "not well")) is None
        assert hook.paths == ["/uuid-of-ours?create=1", "/uuid-of-ours/fail?create=1"]
        assert hook.bodies == ["all well", "not well"]
        hook.status = 404
        error = send(switch, Message(Event.PING_GOOD, "title", "all well"))
        assert str(error).startswith("HTTP 404")
