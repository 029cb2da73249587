"""Slots: a message is good once; a lost one is sent again; a lost hold is noticed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from importer import slots
from importer.dbtime import db_now
from importer.models import ImportTask, LaneSlot, Status
from tests.importer.factories import make_task

pytestmark = pytest.mark.django_db


class Bell:
    def __init__(self) -> None:
        self.messages: list[tuple[str, int, str]] = []

    def __call__(self, task_id: str, number: int, token: str) -> None:
        self.messages.append((task_id, number, token))


@pytest.fixture
def task() -> ImportTask:
    return make_task(status=Status.RUNNING)


def test_a_message_is_good_once(task: ImportTask) -> None:
    bell = Bell()
    assert slots.open_slot(task.pk, 0, bell, db_now())
    _task, number, token = bell.messages[0]
    assert slots.take(task.pk, number, token, db_now()) is not None
    assert slots.take(task.pk, number, token, db_now()) is None


def test_a_slot_is_opened_once(task: ImportTask) -> None:
    bell = Bell()
    assert slots.open_slot(task.pk, 0, bell, db_now())
    assert not slots.open_slot(task.pk, 0, bell, db_now())
    assert len(bell.messages) == 1


@pytest.mark.parametrize("status", [Status.PAUSED, Status.CANCELLED, Status.COMPLETED])
def test_no_slot_is_opened_for_a_task_that_has_left(task: ImportTask, status: Status) -> None:
    ImportTask.objects.update(status=status)
    bell = Bell()
    assert not slots.open_slot(task.pk, 0, bell, db_now())
    assert not bell.messages
    assert not LaneSlot.objects.exists()


def test_a_message_that_nobody_took_is_sent_again_and_the_first_one_is_void(task: ImportTask) -> None:
    bell = Bell()
    slots.open_slot(task.pk, 0, bell, db_now())
    assert not slots.replace(LaneSlot.objects.get(), bell, db_now()), "its lease is not over yet"
    LaneSlot.objects.update(leased_until=db_now() - timedelta(seconds=1))
    assert slots.replace(LaneSlot.objects.get(), bell, db_now())
    first, second = (token for _task, _number, token in bell.messages)
    assert slots.take(task.pk, 0, first, db_now()) is None
    assert slots.take(task.pk, 0, second, db_now()) is not None


def test_a_hold_is_renewed_until_it_is_lost(task: ImportTask) -> None:
    bell = Bell()
    slots.open_slot(task.pk, 0, bell, db_now())
    hold = slots.take(task.pk, 0, bell.messages[0][2], db_now())
    assert hold is not None
    assert slots.renew(hold, db_now(), doing="600001.SH")
    assert LaneSlot.objects.get().doing == "600001.SH"
    LaneSlot.objects.all().delete()
    assert not slots.renew(hold, db_now())
    assert not slots.pass_on(hold, bell, db_now())
    assert len(bell.messages) == 1


def test_the_slot_is_passed_on_with_a_new_message(task: ImportTask) -> None:
    bell = Bell()
    slots.open_slot(task.pk, 0, bell, db_now())
    hold = slots.take(task.pk, 0, bell.messages[0][2], db_now())
    assert hold is not None
    assert slots.pass_on(hold, bell, db_now())
    assert LaneSlot.objects.get().pid is None
    assert slots.take(task.pk, 0, bell.messages[1][2], db_now()) is not None


@pytest.mark.parametrize(("planned", "options"), [(False, {"timeout": slots.PLAN_TIMEOUT}), (True, {})])
def test_a_message_whose_lane_has_to_plan_may_take_longer(
    planned: bool,
    options: dict[str, int],
    task: ImportTask,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda *_args, q_options: sent.append(q_options))
    ImportTask.objects.update(planned_at=db_now() if planned else None)
    with django_capture_on_commit_callbacks(execute=True):
        slots.open_slot(task.pk, 0, slots.ring_by_queue, db_now())
    assert sent == [options]
