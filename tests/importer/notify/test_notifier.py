"""The notifier's rounds with real receivers: down, slow, and back; nothing secret in a log or a row."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta

import django.db
import pytest
from pytest_django import Settings

from config.hidden import Hidden
from importer import lifecycle
from importer.dbtime import db_now
from importer.models import Failure, ImportTask, Kind, Status
from importer.notify import notifier as notifiers
from importer.notify import sending
from importer.notify.events import task_ended
from importer.notify.models import Delivery, DeliveryState, Notice
from importer.notify.notifier import Notifier
from importer.progress import Totals, final_text
from tests.importer.factories import make_task
from tests.importer.notify.servers import PASSWORD, mail_server, web_hook

pytestmark = pytest.mark.django_db

# The title, then the lines of the text.
TOLD = {
    "en": [
        "Barvault: Update: completed, 1 stock failed",
        "Update of all stocks until 2026-11-24, source: automatic",
        "Completed with 1 failed stock: 5,399 stocks imported, 0 skipped, 5,399 bars written in 1 min 11 s.",
        "No source could give it: 1 (600519.SH)",
    ],
    "zh-hans": [
        "Barvault: 增量更新：已完成，1 只失败",
        "增量更新：全部股票，截至 2026-11-24，来源：自动",
        "已完成，1 只失败：导入 5,399 只股票，跳过 0 只，写入 5,399 条日线，用时 1 分 11 秒。",
        "没有来源能提供：1（600519.SH）",
    ],
}


def quiet_notifier() -> Notifier:
    return Notifier(lambda seconds: None, lambda: False)


def ended(**values: object) -> None:
    task = make_task(
        status=Status.COMPLETED, total=3, done=3, message_id="Completed: nothing new, %(stocks)s up to date.",
        message_values={"stocks": 3}, **values,
    )  # fmt: skip
    task_ended(task)


def ended_with_a_failure() -> ImportTask:
    task = make_task(status=Status.RUNNING, kind=Kind.UPDATE, parameters={"end": "2026-11-24", "source": "auto"})
    Failure.objects.create(task=task, symbol="600519.SH", code="no_source")
    totals = Totals(total=5400, done=5399, failed=1, skipped=0, rows=5399)
    assert lifecycle.complete(task.pk, message=final_text(totals, 71.0), totals=totals.columns())
    return task


def rounds_until(notifier: Notifier, condition: Callable[[], object], patience: float = 60.0) -> None:
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until
        notifier.round(db_now())
        time.sleep(0.05)


def states() -> dict[str, str]:
    return {each.label: each.state for each in Delivery.objects.all()}


def retry_now() -> None:
    Delivery.objects.filter(state=DeliveryState.WAITING).update(next_try_at=db_now() - timedelta(seconds=1))


def test_a_receiver_that_is_down_delays_no_other_and_gets_its_message_when_it_is_back(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.COMMAND_LANGUAGE = "en"
    caplog.set_level(logging.DEBUG)
    notifier = quiet_notifier()
    with mail_server() as mails, web_hook() as hook:
        settings.NOTIFY_URLS = [Hidden(hook.url()), Hidden(mails.url())]
        hook.status = 503
        ended()
        rounds_until(notifier, lambda: mails.texts() and hook.bodies and not notifier._sending)
        assert states() == {"1: json": DeliveryState.WAITING, "2: mailto": DeliveryState.SENT}
        hook.status = 200
        retry_now()
        rounds_until(notifier, lambda: set(states().values()) == {DeliveryState.SENT})
        assert len(mails.texts()) == 1
        assert json.loads(hook.bodies[-1])["title"] == "Barvault: Full import: completed"
        assert mails.texts()[0][0] == "Barvault: Full import: completed"
        # What the mail server of the test says is its own affair.
        said = str([each.getMessage() for each in caplog.records if each.name.partition(".")[0] != "mail"])
        rows = str([*Notice.objects.values(), *Delivery.objects.values()])
        for secret in ("token-of-ours", PASSWORD, "somebody", "example.com", str(mails.port), str(hook.port)):
            assert secret not in said + rows


def test_a_web_hook_that_is_down_then_slow_then_back_gets_its_message(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COMMAND_LANGUAGE = "en"
    notifier = quiet_notifier()
    with web_hook() as hook:
        settings.NOTIFY_URLS = [Hidden(hook.url())]

    def said(words: str) -> bool:
        return not notifier._sending and words in Delivery.objects.get().said

    ended()
    rounds_until(notifier, lambda: Delivery.objects.exists() and said("Connection refused"))
    with web_hook(hook.port) as hook:
        hook.delay = 3.0
        retry_now()
        with monkeypatch.context() as impatient:
            impatient.setattr(sending, "LIMIT", 1.0)
            rounds_until(notifier, lambda: said("did not answer within 1 s"))
        hook.delay = 0.0
        retry_now()
        rounds_until(notifier, lambda: set(states().values()) == {DeliveryState.SENT})
        assert json.loads(hook.bodies[-1])["title"] == "Barvault: Full import: completed"
    delivery = Delivery.objects.get()
    assert (delivery.attempts, delivery.said) == (3, "")


def test_a_slow_receiver_keeps_nobody_waiting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LIMIT", 200.0)
    notifier = quiet_notifier()
    with web_hook() as slow, web_hook() as quick:
        # Until the other one has got its message, however long that takes.
        slow.delay = 600.0
        settings.NOTIFY_URLS = [Hidden(slow.url()), Hidden(quick.url("other"))]
        ended()
        rounds_until(notifier, lambda: quick.bodies)
        notifier.round(db_now())
        assert slow.bodies == []
        slow.hurry.set()
        rounds_until(notifier, lambda: set(states().values()) == {DeliveryState.SENT})


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_mail_and_a_web_hook_s_message_arrive_in_the_user_s_language(settings: Settings, language: str) -> None:
    settings.COMMAND_LANGUAGE, settings.BASE_URL = language, "https://bars.example"
    with mail_server() as mails, web_hook() as hook:
        settings.NOTIFY_URLS = [Hidden(hook.url()), Hidden(mails.url())]
        task = ended_with_a_failure()
        rounds_until(quiet_notifier(), lambda: mails.texts() and hook.bodies)
        ((subject, text),) = mails.texts()
        content = json.loads(hook.bodies[0])
    title, *lines = TOLD[language]
    lines += ["", f"https://bars.example/data/tasks/{task.pk}/"]
    assert (content["title"], content["message"].split("\n")) == (title, lines)
    assert (subject, text.splitlines()) == (title, lines)


def test_a_database_that_has_not_answered_for_long_is_told_past_the_outbox(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COMMAND_LANGUAGE = "en"
    monkeypatch.setattr(notifiers, "OUTAGE_PATIENCE", 0.0)
    monkeypatch.setattr(django.db.connections, "close_all", lambda: None)

    def broken(_self: Notifier, _now: object) -> None:
        raise django.db.OperationalError(str(sqlite3.OperationalError("unable to open database file")))

    monkeypatch.setattr(Notifier, "round", broken)
    with web_hook() as hook:
        settings.NOTIFY_URLS = [Hidden(hook.url())]
        until = time.monotonic() + 60
        stopped = lambda: bool(hook.bodies) or time.monotonic() > until  # noqa: E731
        Notifier(lambda seconds: time.sleep(0.05), stopped).run()
        (body,) = hook.bodies
    assert "unable to open database file" in json.loads(body)["message"]
