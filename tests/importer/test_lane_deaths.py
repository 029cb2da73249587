"""Lanes that die in a row: a task whose every stock kills its worker ends with a sentence, one that moves does not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from importer import lifecycle
from importer.dbtime import db_now
from importer.dispatch import dispatch
from importer.lane_deaths import count_deaths, deaths_allowed
from importer.models import Action, ImportChunk, ImportTask, LaneSlot, Status
from tests.importer.factories import make_chunk, make_task

pytestmark = pytest.mark.django_db

ALLOWED = deaths_allowed(1)


def make_running(*, planned: bool = True) -> ImportTask:
    task = make_task(status=Status.RUNNING, planned_at=db_now() if planned else None)
    if planned:
        make_chunk(task, ["600001.SH", "600002.SH"])
    return task


def die(task: ImportTask, times: int) -> None:
    for _time in range(times):
        count_deaths(task.pk, 1, lanes=1)
    task.refresh_from_db()


@pytest.mark.parametrize("planned", [True, False])
def test_too_many_deaths_in_a_row_end_the_task_with_a_sentence(planned: bool) -> None:
    task = make_running(planned=planned)
    die(task, ALLOWED)
    assert task.status == Status.RUNNING
    die(task, 1)
    assert task.status == Status.FAILED
    assert f"died {ALLOWED + 1} times in a row" in task.message


@pytest.mark.parametrize("counter", ["done", "failed", "skipped"])
def test_a_stock_that_was_finished_in_between_starts_the_count_anew(counter: str) -> None:
    task = make_running()
    die(task, ALLOWED)
    ImportChunk.objects.update(cursor=F("cursor") + 1, **{counter: 1})
    die(task, ALLOWED)
    assert task.status == Status.RUNNING


def test_a_plan_starts_the_count_anew() -> None:
    task = make_running(planned=False)
    die(task, ALLOWED)
    ImportTask.objects.update(planned_at=db_now())
    make_chunk(task, ["600001.SH"])
    die(task, ALLOWED)
    assert task.status == Status.RUNNING


def test_more_lanes_may_die_at_once() -> None:
    task = make_running()
    count_deaths(task.pk, 64, lanes=64)
    count_deaths(task.pk, 64, lanes=64)
    task.refresh_from_db()
    assert task.status == Status.RUNNING


def test_a_resumed_task_is_given_as_much_patience_again() -> None:
    task = make_running()
    die(task, ALLOWED + 1)
    lifecycle.resume(task.pk)
    lifecycle.start(task.pk)
    die(task, ALLOWED)
    assert task.status == Status.RUNNING


def test_what_was_asked_goes_before() -> None:
    task = make_running()
    ImportTask.objects.update(requested_action=Action.PAUSE)
    die(task, ALLOWED + 1)
    assert task.status == Status.RUNNING


def test_the_dispatcher_counts_the_lanes_that_it_buries() -> None:
    task = make_running()
    for _time in range(ALLOWED + 1):
        dispatch(bell=lambda *_message: None, lanes=lambda: 1)
        LaneSlot.objects.update(pid=4711, leased_until=db_now() - timedelta(seconds=1))
    dispatch(bell=lambda *_message: None, lanes=lambda: 1)
    task.refresh_from_db()
    assert task.status == Status.FAILED
    assert not LaneSlot.objects.exists()
