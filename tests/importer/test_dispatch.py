"""The dispatcher: turns, priorities, missing and dead lanes; running it twice changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from importer import lifecycle, slots
from importer.dbtime import db_now
from importer.dispatch import dispatch
from importer.models import Action, ImportChunk, ImportTask, LaneSlot, Status
from tests.importer.factories import make_chunk, make_task

pytestmark = pytest.mark.django_db


class Bell:
    def __init__(self) -> None:
        self.messages: list[tuple[str, int, str]] = []

    def __call__(self, task_id: str, number: int, token: str) -> None:
        self.messages.append((task_id, number, token))


@pytest.fixture
def bell() -> Bell:
    return Bell()


def run(bell: Bell, lanes: int = 2) -> None:
    dispatch(bell=bell, lanes=lambda: lanes)


def planned(**values: object) -> ImportTask:
    task = make_task(planned_at=db_now(), **values)
    make_chunk(task, ["600001.SH", "600002.SH"])
    make_chunk(task, ["600003.SH"])
    make_chunk(task, ["600004.SH"])
    return task


def test_a_new_task_is_planned_by_one_lane(bell: Bell) -> None:
    task = make_task()
    run(bell)
    assert [message[:2] for message in bell.messages] == [(str(task.pk), 0)]
    task.refresh_from_db()
    assert task.status == Status.RUNNING


def test_the_highest_priority_comes_first_then_the_oldest(bell: Bell) -> None:
    make_task(priority=0)
    older = make_task(priority=3)
    make_task(priority=3)
    run(bell)
    assert ImportTask.objects.get(status=Status.RUNNING).pk == older.pk


def test_a_planned_task_gets_its_lanes_once(bell: Bell) -> None:
    planned(status=Status.RUNNING)
    run(bell)
    run(bell)
    assert sorted(number for _task, number, _token in bell.messages) == [0, 1]


def test_no_more_lanes_than_chunks_are_rung_for(bell: Bell) -> None:
    planned(status=Status.RUNNING)
    run(bell, lanes=9)
    assert len(bell.messages) == 3


def test_a_limit_of_lanes_holds(bell: Bell) -> None:
    planned(status=Status.RUNNING, parameters={"lanes": 1})
    run(bell, lanes=9)
    assert len(bell.messages) == 1


def test_a_lost_message_is_sent_again(bell: Bell) -> None:
    planned(status=Status.RUNNING)
    run(bell, lanes=1)
    LaneSlot.objects.update(leased_until=db_now() - timedelta(seconds=1))
    run(bell, lanes=1)
    assert len(bell.messages) == 2
    assert slots.take(ImportTask.objects.get().pk, 0, bell.messages[0][2], db_now()) is None


def test_a_dead_lane_is_replaced_and_its_chunk_freed(bell: Bell) -> None:
    task = planned(status=Status.RUNNING)
    run(bell, lanes=1)
    slots.take(task.pk, 0, bell.messages[0][2], db_now())
    ImportChunk.objects.filter(number=0).update(lane=0, generation=1, leased_until=db_now() + timedelta(seconds=8))
    LaneSlot.objects.update(leased_until=db_now() - timedelta(seconds=1))
    run(bell, lanes=1)
    chunk = ImportChunk.objects.get(number=0)
    assert (chunk.lane, chunk.generation, chunk.deaths) == (None, 2, 1)
    assert len(bell.messages) == 2


def test_a_lease_from_before_the_clock_was_set_back_counts_as_over(bell: Bell) -> None:
    task = planned(status=Status.RUNNING)
    run(bell, lanes=1)
    slots.take(task.pk, 0, bell.messages[0][2], db_now() + timedelta(hours=1))
    run(bell, lanes=1)
    assert len(bell.messages) == 2


def test_a_message_from_before_the_clock_was_set_back_is_sent_again(bell: Bell) -> None:
    planned(status=Status.RUNNING)
    run(bell, lanes=1)
    LaneSlot.objects.update(leased_until=db_now() + timedelta(hours=1))
    run(bell, lanes=1)
    assert len(bell.messages) == 2


def test_a_higher_priority_asks_the_running_task_to_step_aside_and_takes_its_place(bell: Bell) -> None:
    running = planned(status=Status.RUNNING)
    run(bell, lanes=1)
    hold = slots.take(running.pk, 0, bell.messages[0][2], db_now())
    assert hold is not None
    urgent = planned(priority=5)
    run(bell, lanes=1)
    running.refresh_from_db()
    assert (running.status, running.requested_action) == (Status.RUNNING, Action.STEP_ASIDE)
    slots.give_up(hold)
    run(bell, lanes=1)
    running.refresh_from_db()
    urgent.refresh_from_db()
    assert (running.status, urgent.status) == (Status.PENDING, Status.RUNNING)
    assert running.requested_action == Action.NONE


def test_raising_a_waiting_task_above_the_running_one_makes_that_step_aside(bell: Bell) -> None:
    running = planned(status=Status.RUNNING)
    waiting = planned()
    run(bell)
    assert ImportTask.objects.get(status=Status.RUNNING) == running
    lifecycle.set_priority(waiting.pk, 1)
    run(bell)
    assert ImportTask.objects.get(status=Status.RUNNING) == waiting
    assert lifecycle.get_task(running.pk).status == Status.PENDING


def test_an_equal_priority_waits(bell: Bell) -> None:
    running = planned(status=Status.RUNNING)
    make_task(priority=0)
    run(bell)
    running.refresh_from_db()
    assert running.requested_action == Action.NONE


def test_a_task_that_waits_for_its_sources_is_left_alone_until_then(bell: Bell) -> None:
    task = planned(status=Status.RUNNING, waiting_until=db_now() + timedelta(minutes=5))
    run(bell)
    assert bell.messages == []
    ImportTask.objects.update(waiting_until=db_now() - timedelta(seconds=1))
    run(bell)
    task.refresh_from_db()
    assert task.waiting_until is None
    assert len(bell.messages) == 2


def test_a_task_whose_chunks_are_finished_ends_and_the_next_one_starts(bell: Bell) -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now(), started_at=db_now())
    make_chunk(task, ["600001.SH", "600002.SH"], cursor=2, done=1, failed=1, rows=970)
    waiting = make_task()
    run(bell)
    task.refresh_from_db()
    waiting.refresh_from_db()
    assert (task.status, task.progress, task.rows_written) == (Status.COMPLETED, 100, 970)
    assert waiting.status == Status.RUNNING


def test_a_task_whose_every_stock_failed_has_failed(bell: Bell) -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now())
    make_chunk(task, ["600001.SH", "600002.SH"], cursor=2, failed=2)
    run(bell)
    task.refresh_from_db()
    assert task.status == Status.FAILED


def test_an_idle_dispatcher_changes_nothing(bell: Bell) -> None:
    make_task(status=Status.COMPLETED)
    run(bell)
    assert bell.messages == []
    assert not LaneSlot.objects.exists()
