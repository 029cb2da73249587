"""The state machine: every pair of (state, action), races, and what each change leaves behind."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from importer import lifecycle, progress
from importer.dbtime import db_now
from importer.exceptions import NotAllowedNow, UnknownTask
from importer.models import ACTIVE, Action, Failure, ImportTask, LaneSlot, Status, Transition
from marketdata.texts import Text
from tests.importer.factories import make_chunk, make_task

ACTIONS: dict[str, Callable[[uuid.UUID], object]] = {
    "cancel": lambda task_id: lifecycle.cancel(task_id, by="test"),
    "pause": lambda task_id: lifecycle.pause(task_id, by="test"),
    "resume": lambda task_id: lifecycle.resume(task_id, by="test"),
    "priority": lambda task_id: lifecycle.set_priority(task_id, 5, by="test"),
}
REFUSED = None
# (state, action) -> the state afterwards; REFUSED: the caller gets NotAllowedNow and nothing changes.
TABLE: dict[tuple[Status, str], Status | None] = {
    (Status.PENDING, "cancel"): Status.CANCELLED,
    (Status.PENDING, "pause"): Status.PAUSED,
    (Status.PENDING, "resume"): REFUSED,
    (Status.PENDING, "priority"): Status.PENDING,
    (Status.RUNNING, "cancel"): Status.CANCELLED,
    (Status.RUNNING, "pause"): Status.PAUSED,
    (Status.RUNNING, "resume"): REFUSED,
    (Status.RUNNING, "priority"): Status.RUNNING,
    (Status.PAUSED, "cancel"): Status.CANCELLED,
    (Status.PAUSED, "pause"): REFUSED,
    (Status.PAUSED, "resume"): Status.PENDING,
    (Status.PAUSED, "priority"): Status.PAUSED,
    (Status.COMPLETED, "cancel"): REFUSED,
    (Status.COMPLETED, "pause"): REFUSED,
    (Status.COMPLETED, "resume"): REFUSED,
    (Status.COMPLETED, "priority"): REFUSED,
    (Status.FAILED, "cancel"): REFUSED,
    (Status.FAILED, "pause"): REFUSED,
    (Status.FAILED, "resume"): Status.PENDING,
    (Status.FAILED, "priority"): REFUSED,
    (Status.CANCELLED, "cancel"): REFUSED,
    (Status.CANCELLED, "pause"): REFUSED,
    (Status.CANCELLED, "resume"): REFUSED,
    (Status.CANCELLED, "priority"): REFUSED,
}


def test_the_table_names_every_pair() -> None:
    assert set(TABLE) == {(status, action) for status in Status for action in ACTIONS}


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "action"), list(TABLE))
def test_each_action_in_each_state(status: Status, action: str) -> None:
    task = make_task(status=status)
    expected = TABLE[status, action]
    if expected is REFUSED:
        with pytest.raises(NotAllowedNow) as refusal:
            ACTIONS[action](task.pk)
        assert str(refusal.value)
        expected = status
    else:
        ACTIONS[action](task.pk)
    task.refresh_from_db()
    assert task.status == expected
    moved = list(Transition.objects.filter(task=task).values_list("old", "new", "by"))
    if action == "priority" and status in ACTIVE:
        assert moved == [(status, status, "test")]
    elif expected == status:
        assert moved == []
    else:
        assert len(moved) == 1
        assert moved[0][:2] == (status, expected)


@pytest.mark.django_db
def test_an_unknown_id_is_an_unknown_task() -> None:
    for strange in (uuid.uuid4(), "not-an-id", ""):
        with pytest.raises(UnknownTask):
            lifecycle.cancel(strange)


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_a_running_task_whose_lanes_work_is_only_asked(action: str) -> None:
    task = running_with_a_lane()
    asked = ACTIONS[action](task.pk)
    assert isinstance(asked, ImportTask)
    assert (asked.status, asked.requested_action) == (Status.RUNNING, action)
    ACTIONS[action](task.pk)
    assert lifecycle.settle(task.pk) is False
    LaneSlot.objects.all().delete()
    assert lifecycle.settle(task.pk) is True
    task.refresh_from_db()
    assert task.status == (Status.CANCELLED if action == "cancel" else Status.PAUSED)
    assert task.requested_action == Action.NONE


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_what_takes_effect_later_is_done_in_the_name_of_who_asked_first(action: str) -> None:
    task = make_task(status=Status.RUNNING)
    slot = LaneSlot.objects.create(task=task, number=0, token="t", pid=1, leased_until=db_now() + timedelta(seconds=8))
    ask = getattr(lifecycle, action)
    ask(task.pk, by="page: 192.0.2.1")
    ask(task.pk, by="api: 192.0.2.2")
    slot.delete()
    assert lifecycle.settle(task.pk)
    assert Transition.objects.get(task=task).by == "page: 192.0.2.1"
    assert lifecycle.get_task(task.pk).action_by == ""


@pytest.mark.django_db
def test_a_cancel_in_place_of_a_pause_is_done_in_the_name_of_who_cancelled() -> None:
    task = make_task(status=Status.RUNNING)
    slot = LaneSlot.objects.create(task=task, number=0, token="t", pid=1, leased_until=db_now() + timedelta(seconds=8))
    lifecycle.pause(task.pk, by="page: 192.0.2.1")
    lifecycle.cancel(task.pk, by="api: 192.0.2.2")
    slot.delete()
    assert lifecycle.settle(task.pk)
    assert Transition.objects.get(task=task).by == "api: 192.0.2.2"


@pytest.mark.django_db
def test_a_cancel_goes_before_a_pause_that_was_asked_and_not_the_other_way_round() -> None:
    task = running_with_a_lane()
    lifecycle.pause(task.pk)
    assert lifecycle.cancel(task.pk).requested_action == Action.CANCEL
    with pytest.raises(NotAllowedNow):
        lifecycle.pause(task.pk)
    assert lifecycle.get_task(task.pk).requested_action == Action.CANCEL


@pytest.mark.django_db
def test_resume_takes_back_a_pause_that_has_not_taken_effect() -> None:
    task = running_with_a_lane()
    lifecycle.pause(task.pk)
    resumed = lifecycle.resume(task.pk)
    assert (resumed.status, resumed.requested_action) == (Status.RUNNING, Action.NONE)


@pytest.mark.django_db
def test_a_dead_lane_does_not_hold_up_a_cancel() -> None:
    task = running_with_a_lane()
    LaneSlot.objects.update(leased_until=db_now() - timedelta(seconds=1))
    assert lifecycle.cancel(task.pk).status == Status.CANCELLED


@pytest.mark.django_db
def test_only_one_task_runs() -> None:
    first, second = make_task(), make_task()
    assert lifecycle.start(first.pk) is True
    assert lifecycle.start(second.pk) is False
    assert lifecycle.start(first.pk) is False
    assert lifecycle.get_task(second.pk).status == Status.PENDING
    assert not Transition.objects.filter(task=second).exists()


@pytest.mark.django_db
def test_resuming_beside_the_same_request_is_refused() -> None:
    failed = make_task(status=Status.FAILED, fingerprint="same")
    make_task(status=Status.PENDING, fingerprint="same")
    with pytest.raises(NotAllowedNow):
        lifecycle.resume(failed.pk)
    assert lifecycle.get_task(failed.pk).status == Status.FAILED


@pytest.mark.django_db
def test_a_task_that_leaves_running_fences_the_lanes_that_still_work() -> None:
    task = running_with_a_lane()
    chunk = make_chunk(task, ["600001.SH"], lane=0, generation=4)
    assert lifecycle.fail(task.pk, Text("The disk is full.")) is True
    chunk.refresh_from_db()
    assert (chunk.generation, chunk.lane) == (5, None)
    assert not LaneSlot.objects.exists()


@pytest.mark.django_db
def test_a_task_that_failed_half_way_goes_on_where_it_was() -> None:
    task = make_task(status=Status.FAILED)
    chunk = make_chunk(task, ["600001.SH", "600002.SH"], cursor=1, done=1)
    lifecycle.resume(task.pk)
    chunk.refresh_from_db()
    assert (chunk.cursor, chunk.done) == (1, 1)


@pytest.mark.django_db
def test_a_task_whose_every_stock_failed_tries_all_of_them_again() -> None:
    task = make_task(status=Status.FAILED, total=2, failed=2)
    chunk = make_chunk(task, ["600001.SH", "600002.SH"], cursor=2, failed=2)
    Failure.objects.create(task=task, symbol="600001.SH", code="banned")
    lifecycle.resume(task.pk)
    chunk.refresh_from_db()
    assert (chunk.cursor, chunk.failed) == (0, 0)
    assert not Failure.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("aside", [{"isolated": True}, {"not_before": datetime(2026, 3, 2, tzinfo=UTC), "put_off": 1}])
def test_a_stock_that_was_set_aside_and_failed_is_tried_again_once(aside: dict[str, Any]) -> None:
    task = make_task(status=Status.FAILED, total=2, failed=2)
    make_chunk(task, ["600001.SH", "600002.SH"], cursor=2, failed=1, set_aside=1)
    make_chunk(task, ["600002.SH"], cursor=1, failed=1, **aside)
    lifecycle.resume(task.pk)
    assert progress.sum_chunks(task.pk).total == 2
    assert [chunk.symbols for chunk in task.chunks.all()] == [["600001.SH", "600002.SH"]]


@pytest.mark.django_db
def test_a_name_that_is_too_long_for_the_history_is_cut() -> None:
    task = make_task(status=Status.PAUSED)
    lifecycle.set_priority(task.pk, 3, by="n" * 81)
    lifecycle.resume(task.pk, by="n" * 81)
    assert [change.by for change in task.transitions.all()] == ["n" * 80] * 2


@pytest.mark.django_db(transaction=True)
def test_of_many_cancels_at_once_one_changes_the_state() -> None:
    task = make_task(status=Status.PAUSED)
    outcomes: list[str] = []
    barrier = threading.Barrier(6)

    def cancel() -> None:
        barrier.wait()
        try:
            lifecycle.cancel(task.pk)
            outcomes.append("won")
        except NotAllowedNow:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=cancel) for _number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 5 + ["won"]
    assert Transition.objects.filter(task=task).count() == 1


def running_with_a_lane() -> ImportTask:
    task = make_task(status=Status.RUNNING)
    LaneSlot.objects.create(
        task=task, number=0, token="held", pid=1, host="here", leased_until=db_now() + timedelta(seconds=8)
    )
    return task


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_a_task_that_is_stopped_shows_the_last_figures_of_its_chunks(action: str) -> None:
    task = running_with_a_lane()
    ImportTask.objects.filter(pk=task.pk).update(planned_at=db_now(), done=1)
    make_chunk(task, ["600001.SH", "600002.SH", "600003.SH"], cursor=2, done=2, rows=7)
    LaneSlot.objects.all().delete()
    ACTIONS[action](task.pk)
    task.refresh_from_db()
    assert (task.total, task.done, task.rows_written) == (3, 2, 7)
