"""The outbox: one message per event and receiver, quiet hours, digest, retries; two machines send nothing twice."""

from __future__ import annotations

import uuid
from datetime import datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from pytest_django import Settings

from config.hidden import Hidden
from importer.models import ImportTask, Kind, Status
from importer.notify import outbox
from importer.notify.events import record, task_ended
from importer.notify.models import Delivery, DeliveryState, Event, Notice
from importer.notify.receivers import key_of
from importer.notify.words import message_of
from marketdata.texts import Text
from marketdata.trading_days import EXCHANGE_TIME
from tests.importer.factories import make_task

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 17, 0, tzinfo=EXCHANGE_TIME)
MAIL, HOOK = "mailtos://somebody:secret@example.com", "json://127.0.0.1:9/token"
ERROR = Text("It is down.")


@pytest.fixture(autouse=True)
def two_receivers(settings: Settings) -> None:
    settings.NOTIFY_URLS = [Hidden(MAIL), Hidden(HOOK)]


def happened(event: Event = Event.COMPLETED, at: datetime = NOW, key: str = "") -> Notice:
    assert record(key or f"{event}:{at}", event, [Text("Something happened.")])
    notice = Notice.objects.latest("id")
    Notice.objects.filter(pk=notice.pk).update(created_at=at)
    return notice


def waiting() -> list[tuple[str, datetime]]:
    rows = Delivery.objects.filter(state=DeliveryState.WAITING).order_by("id")
    return [(each.label, each.next_try_at) for each in rows]


def test_each_receiver_gets_each_notice_once() -> None:
    happened()
    assert outbox.hand_out(NOW) == 1
    assert outbox.hand_out(NOW) == 0
    assert waiting() == [("1: mailtos", NOW), ("2: json", NOW)]


def test_no_row_holds_an_address() -> None:
    happened()
    outbox.hand_out(NOW)
    rows = [*Notice.objects.values(), *Delivery.objects.values()]
    for part in ("somebody", "secret", "example.com", "127.0.0.1", 'token"', MAIL, HOOK):
        assert part not in str(rows)


def test_only_the_events_that_are_wanted_are_sent(settings: Settings) -> None:
    settings.NOTIFY_EVENTS = frozenset({Event.FAILED})
    happened(Event.COMPLETED)
    happened(Event.FAILED)
    outbox.hand_out(NOW)
    assert set(Delivery.objects.values_list("notice__event", flat=True)) == {Event.FAILED}
    assert not Notice.objects.filter(shared_at=None).exists()


def test_without_a_receiver_a_notice_is_left_to_another_machine_until_it_is_stale(settings: Settings) -> None:
    settings.NOTIFY_URLS = []
    happened()
    assert outbox.hand_out(NOW) == 0
    settings.NOTIFY_URLS = [Hidden(MAIL)]
    assert outbox.hand_out(NOW + timedelta(hours=49)) == 1
    assert waiting() == []


def test_what_happens_in_quiet_hours_waits_for_their_end(settings: Settings) -> None:
    settings.NOTIFY_QUIET = (time(16), time(18))
    happened()
    outbox.hand_out(NOW)
    assert {at for _label, at in waiting()} == {NOW + timedelta(hours=1)}
    Delivery.objects.update(next_try_at=NOW)
    assert outbox.claim_due(NOW) == []
    assert len(outbox.claim_due(NOW + timedelta(hours=1))) == 2


def test_two_machines_claim_a_delivery_once_and_a_dead_one_s_lease_ends() -> None:
    happened()
    outbox.hand_out(NOW)
    assert len(outbox.claim_due(NOW)) == 2
    assert outbox.claim_due(NOW + timedelta(seconds=1)) == []
    assert len(outbox.claim_due(NOW + outbox.LEASE + timedelta(seconds=1))) == 2


def test_of_two_machines_that_saw_the_same_delivery_one_sends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    happened()
    outbox.hand_out(NOW)
    others: list[outbox.Claimed] = []

    def uuid_after_the_other() -> uuid.UUID:
        monkeypatch.undo()
        others.extend(outbox.claim_due(NOW))
        return uuid.uuid4()

    monkeypatch.setattr(uuid, "uuid4", uuid_after_the_other)
    assert outbox.claim_due(NOW) == []
    assert len(others) == 2


def test_of_two_machines_that_saw_the_same_notice_one_hands_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    happened()
    seen = list(Notice.objects.all())
    outbox.hand_out(NOW)
    assert outbox._share(seen[0], [], NOW) == 0
    assert Delivery.objects.count() == 2


def test_of_a_receiver_one_message_is_on_its_way_at_a_time() -> None:
    happened(key="first")
    happened(key="second")
    outbox.hand_out(NOW)
    first = outbox.claim_due(NOW, busy=frozenset({key_of(HOOK)}))
    assert [(each.receiver.label, each.delivery.notice.key) for each in first] == [("1: mailtos", "first")]


def test_a_receiver_that_is_down_holds_up_no_other_and_is_tried_again() -> None:
    happened()
    outbox.hand_out(NOW)
    mail, hook = outbox.claim_due(NOW)
    outbox.settle(mail.delivery, None, NOW)
    outbox.settle(hook.delivery, ERROR, NOW)
    assert waiting() == [("2: json", NOW + timedelta(minutes=1))]
    (again,) = outbox.claim_due(NOW + timedelta(minutes=1))
    outbox.settle(again.delivery, ERROR, NOW + timedelta(minutes=1))
    assert waiting() == [("2: json", NOW + timedelta(minutes=3))]
    assert Delivery.objects.get(label="2: json").said == "It is down."


def test_after_a_day_a_message_is_given_up() -> None:
    happened()
    outbox.hand_out(NOW)
    moment, tries = NOW, 0
    while Delivery.objects.filter(label="2: json", state=DeliveryState.WAITING).exists():
        for claimed in outbox.claim_due(moment):
            tries += 1
            outbox.settle(claimed.delivery, ERROR if claimed.receiver.label == "2: json" else None, moment)
        moment = max([moment, *(at for _label, at in waiting())])
    given_up = Delivery.objects.get(label="2: json")
    assert given_up.state == DeliveryState.GIVEN_UP
    assert timedelta(hours=22) < moment - NOW <= timedelta(hours=24)
    assert 25 <= tries <= 32


def test_a_receiver_that_was_taken_out_of_the_setting_is_given_up_in_time(settings: Settings) -> None:
    happened()
    outbox.hand_out(NOW)
    settings.NOTIFY_URLS = [Hidden(MAIL)]
    outbox.give_up_old(NOW + timedelta(hours=23))
    assert len(waiting()) == 2
    outbox.give_up_old(NOW + timedelta(hours=25))
    assert Delivery.objects.get(label="2: json").said == "This receiver is not configured any more."


def test_what_was_never_tried_because_the_machine_was_off_is_tried_once_before_it_is_given_up() -> None:
    happened()
    outbox.hand_out(NOW)
    monday = NOW + timedelta(days=3)
    assert outbox.give_up_old(monday) == 0
    for claimed in outbox.claim_due(monday):
        outbox.settle(claimed.delivery, ERROR if claimed.receiver.label == "2: json" else None, monday)
    assert Delivery.objects.get(label="1: mailtos").state == DeliveryState.SENT
    assert Delivery.objects.get(label="2: json").state == DeliveryState.GIVEN_UP


def test_why_a_delivery_failed_is_read_in_the_reader_s_language() -> None:
    happened()
    outbox.hand_out(NOW)
    mail, hook = outbox.claim_due(NOW)
    outbox.settle(mail.delivery, outbox.NOT_CONFIGURED, NOW)
    outbox.settle(hook.delivery, Text("%(error)s", {"error": "403 Forbidden"}), NOW)
    with translation.override("zh-hans"):
        assert Delivery.objects.get(label="1: mailtos").said == "该接收方已不在配置中。"
        assert Delivery.objects.get(label="2: json").said == "403 Forbidden"
    Delivery.objects.update(error="As an earlier version kept it.")
    assert Delivery.objects.get(label="2: json").said == "As an earlier version kept it."


def test_a_dead_man_s_switch_that_is_configured_is_not_said_to_be_gone(settings: Settings) -> None:
    settings.PING_URL = Hidden("https://hc.example/uuid")
    task_ended(make_task(kind=Kind.UPDATE, status=Status.COMPLETED, total=3, done=3, message_id="Done."))
    outbox.hand_out(NOW)
    outbox.give_up_old(NOW + timedelta(hours=25))
    assert Delivery.objects.get(label="ping").state == DeliveryState.GIVEN_UP
    assert Delivery.objects.get(label="ping").said == ""


def test_while_nothing_is_late_nothing_is_written(settings: Settings) -> None:
    happened()
    outbox.hand_out(NOW)
    outbox.claim_due(NOW)
    with CaptureQueriesContext(connection) as asked:
        outbox.hand_out(NOW)
        outbox.give_up_old(NOW)
        assert outbox.claim_due(NOW) == []
    assert [query["sql"][:6] for query in asked] == ["SELECT"] * len(asked)


def test_who_lost_a_claim_settles_nothing() -> None:
    happened()
    outbox.hand_out(NOW)
    old, _hook = outbox.claim_due(NOW)
    later = NOW + outbox.LEASE + timedelta(seconds=1)
    outbox.claim_due(later)
    outbox.settle(old.delivery, ERROR, later)
    assert Delivery.objects.get(label="1: mailtos").said == ""


def test_a_digest_gathers_a_day_and_alarms_do_not_wait_for_it(settings: Settings) -> None:
    settings.NOTIFY_DIGEST = time(18, 30)
    happened(Event.COMPLETED, NOW)
    happened(Event.SOURCE, NOW)
    happened(Event.MISSING, NOW)
    outbox.hand_out(NOW)
    assert set(Delivery.objects.values_list("notice__event", flat=True)) == {Event.MISSING}
    evening = datetime(2026, 11, 24, 18, 31, tzinfo=EXCHANGE_TIME)
    happened(Event.COMPLETED, evening)
    outbox.hand_out(evening)
    digest = Notice.objects.get(event=Event.DIGEST)
    assert len(digest.lines) == 2
    assert digest.deliveries.count() == 2
    assert outbox.hand_out(evening + timedelta(minutes=1)) == 0


def test_a_digest_tells_on_monday_what_happened_on_friday_evening(settings: Settings) -> None:
    settings.NOTIFY_DIGEST = time(18, 30)
    friday, monday = (datetime(2026, 11, day, 19, 0, tzinfo=EXCHANGE_TIME) for day in (20, 23))
    happened(Event.FAILURES, friday)
    outbox.hand_out(friday)
    outbox.hand_out(monday)
    assert Notice.objects.get(event=Event.DIGEST).deliveries.count() == 2


def test_a_sign_of_life_goes_to_the_switch_alone_and_at_once(settings: Settings) -> None:
    settings.PING_URL = Hidden("https://hc.example/uuid")
    settings.NOTIFY_QUIET = (time(0), time(23, 59))
    task = make_task(kind=Kind.UPDATE, status=Status.COMPLETED, total=3, done=3, message_id="Done.")
    task_ended(task)
    outbox.hand_out(NOW)
    (claimed,) = outbox.claim_due(NOW)
    assert (claimed.receiver.label, claimed.delivery.notice.event) == ("ping", Event.PING_GOOD)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_message_is_in_the_user_s_language_with_figures_and_a_link(settings: Settings, language: str) -> None:
    settings.COMMAND_LANGUAGE, settings.BASE_URL = language, "https://bars.example"
    task = ended_update()
    message = message_of(Notice.objects.get(task=task, event=Event.FAILURES))
    assert f"https://bars.example/data/tasks/{task.pk}/" in message.body
    assert "5,388" in message.body
    assert (
        message.title
        == {
            "en": "Barvault: Update: completed, 12 stocks failed",
            "zh-hans": "Barvault: 增量更新：已完成，12 只失败",
        }[language]
    )


def test_a_message_names_no_folder_of_this_machine(settings: Settings) -> None:
    settings.COMMAND_LANGUAGE = "en"
    task = make_task(
        status=Status.FAILED, message_id="%(path)s is not there.", message_values={"path": "/folder/of/mine/vipdoc"},
        parameters={"path": "/folder/of/mine/vipdoc", "source": "tdx"},
    )  # fmt: skip
    task_ended(task)
    assert "/folder/of/mine" not in message_of(Notice.objects.get()).body


def ended_update() -> ImportTask:
    task = make_task(
        kind=Kind.UPDATE, status=Status.COMPLETED, total=5400, done=5388, failed=12,
        message_id="Completed: %(done)s imported, %(skipped)s skipped, %(rows)s written in %(elapsed)s.",
        message_values={"done": 5388, "skipped": 0, "rows": 5388, "elapsed": {"seconds": 71}},
    )  # fmt: skip
    task_ended(task)
    return task
