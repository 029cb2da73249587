"""Each invariant is seen broken once, and a healthy set of rows breaks none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from importer import lifecycle
from importer.chunks import claim, free_after_death
from importer.dbtime import db_now
from importer.invariants import lasting_violations, violations
from importer.models import Failure, ImportChunk, ImportTask, LaneSlot, Status, Transition
from tests.importer.factories import make_chunk, make_task

pytestmark = pytest.mark.django_db


def running_task() -> ImportTask:
    """Return a task as it is in the middle of its work, with one lane at one of two chunks."""
    now = db_now()
    task = make_task(status=Status.RUNNING, planned_at=now, started_at=now, progress=30, total=4, done=1)
    make_chunk(
        task, ["600001.SH", "600002.SH"], cursor=1, done=1, rows=3, lane=0, leased_until=now + timedelta(seconds=8)
    )
    make_chunk(task, ["600003.SH", "600004.SH"])
    LaneSlot.objects.create(
        task=task, number=0, token="held", pid=1, host="here", leased_until=now + timedelta(seconds=8)
    )
    return task


def sentences() -> list[str]:
    return [str(text) for text in violations()]


def test_an_empty_database_breaks_none() -> None:
    assert violations() == []


def test_a_task_in_the_middle_of_its_work_breaks_none() -> None:
    running_task()
    assert violations() == []


def test_the_whole_life_of_a_task_breaks_none() -> None:
    task = make_task()
    lifecycle.record_creation(task)
    lifecycle.start(task.pk)
    ImportTask.objects.update(planned_at=db_now(), progress=1, total=1)
    make_chunk(task, ["600001.SH"])
    for act in (lifecycle.pause, lifecycle.resume, lifecycle.cancel):
        act(task.pk)
        assert violations() == []


def test_a_stock_that_was_set_aside_after_deaths_breaks_none() -> None:
    task = running_task()
    ImportChunk.objects.filter(number=0).update(lane=None, leased_until=None)
    for _death in range(2):
        claimed = claim(task.pk, 0, db_now())
        assert claimed is not None
        free_after_death(task.pk, 0)
    assert ImportChunk.objects.filter(isolated=True).count() == 1
    assert violations() == []


def test_a_clock_that_was_set_back_breaks_no_history() -> None:
    task = make_task()
    lifecycle.record_creation(task)
    Transition.objects.update(at=db_now() + timedelta(hours=1))
    lifecycle.pause(task.pk)
    assert violations() == []


BROKEN: dict[str, tuple[Callable[[ImportTask], object], str]] = {
    "progress above its range": (lambda task: set_task(task, progress=100), "is running at 100 percent"),
    "a planned task at 0": (lambda task: set_task(task, progress=0), "is running at 0 percent"),
    "an end while it runs": (lambda task: set_task(task, finished_at=db_now()), "times of start and end"),
    "no start": (lambda task: set_task(task, started_at=None), "times of start and end"),
    "a gap in the history": (
        lambda task: Transition.objects.create(task=task, old="pending", new="paused"),
        "does not lead to its state",
    ),
    "a total that is too high": (lambda task: set_task(task, done=3), "but its chunks 4, 1, 0, 0, 3"),
    "two chunks under one lane": (
        lambda task: task.chunks.filter(number=1).update(lane=0, leased_until=db_now() + timedelta(seconds=8)),
        "holds 2 chunks at once",
    ),
    "a hold without a slot": (lambda _task: LaneSlot.objects.all().delete(), "but not its slot"),
    "a cursor that counts less": (lambda task: task.chunks.filter(number=1).update(cursor=1), "counts 0"),
    "a stock in two chunks": (lambda task: make_chunk(task, ["600003.SH"]), "600003.SH is in 2 chunks"),
    "a chunk of another size": (
        lambda task: task.chunks.filter(number=1).update(symbols=["600003.SH"]),
        "holds 1 stocks instead of 2",
    ),
    "a failure that is not counted": (
        lambda task: Failure.objects.create(task=task, symbol="600001.SH", code="banned"),
        "counts 0 failed stocks, but lists 1",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_named(what: str) -> None:
    task = running_task()
    break_it, words = BROKEN[what]
    break_it(task)
    assert any(words in sentence and str(task.pk) in sentence for sentence in sentences()), sentences()


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.PAUSED, Status.PENDING])
def test_a_task_that_does_not_run_has_no_lanes(status: Status) -> None:
    task = running_task()
    set_task(task, status=status)
    assert any("does not run, but has 1 lanes" in sentence for sentence in sentences())
    assert any("lanes hold 1 of its chunks" in sentence for sentence in sentences())


def test_the_figures_of_a_task_that_rests_are_exact() -> None:
    task = running_task()
    set_task(task, done=0)
    assert violations() == [], "a running task's figures may be a second behind"
    lifecycle.pause(task.pk)
    LaneSlot.objects.all().delete()
    lifecycle.settle(task.pk)
    assert violations() == []
    set_task(task, done=0)
    assert any("(paused) counts 4, 0" in sentence for sentence in sentences())


def test_two_running_tasks_are_named_where_the_constraint_is_gone() -> None:
    running_task()
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX one_running_task")
    now = db_now()
    make_task(status=Status.RUNNING, started_at=now)
    assert sentences() == ["2 tasks are running; there may be one."]


def test_a_violation_that_passes_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    task = running_task()
    set_task(task, progress=100)
    monkeypatch.setattr("importer.invariants.time.sleep", lambda _seconds: set_task(task, progress=30))
    assert lasting_violations() == []


def set_task(task: ImportTask, **values: object) -> None:
    ImportTask.objects.filter(pk=task.pk).update(**values)
