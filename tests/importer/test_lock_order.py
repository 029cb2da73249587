"""Whoever takes several locks takes them in one order: task, slot, chunk. PostgreSQL ends one of two who differ.

SQLite has one lock, and passes whatever the order is: ``test_on_postgresql.py`` runs this file there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection

from importer import chunks, dispatch, lifecycle, slots
from importer.dbtime import db_now
from importer.lanes import Lane
from importer.models import ImportChunk, ImportTask, LaneSlot, Status
from importer.plan_task import Plan, save_plan
from importer.slots import Hold
from marketdata.texts import Text
from tests.importer.factories import make_chunk, make_task

pytestmark = pytest.mark.django_db(transaction=True)

# Whoever is to meet a lock that is held has come to it by then; on a machine too busy for that the test proves less.
A_WHILE = 0.5


@contextmanager
def meanwhile(owner: object, name: str, work: Callable[[], object]) -> Iterator[None]:
    """Let somebody else do ``work`` in the middle of the block's transaction: after the first call of ``name``."""
    others: list[threading.Thread] = []
    errors: list[BaseException] = []
    original = getattr(owner, name)

    def do() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            errors.append(error)
        finally:
            connection.close()

    def call(*arguments: Any, **options: Any) -> Any:
        answer = original(*arguments, **options)
        if not others:
            others.append(threading.Thread(target=do))
            others[0].start()
            others[0].join(A_WHILE)
        return answer

    with patch.object(owner, name, call):
        yield
    others[0].join()
    assert errors == []


@pytest.fixture
def task() -> ImportTask:
    """A task whose one lane died, or is late, with a chunk of two stocks."""
    task = make_task(status=Status.RUNNING, planned_at=db_now())
    over = db_now() - timedelta(seconds=1)
    make_chunk(task, ["600001.SH", "600002.SH"], lane=0, leased_until=over)
    LaneSlot.objects.create(task=task, number=0, token="late", pid=4711, leased_until=over)
    return task


def status_of(task: ImportTask) -> str:
    task.refresh_from_db()
    return task.status


def test_somebody_asks_for_a_pause_while_a_dead_lane_is_buried(task: ImportTask) -> None:
    with meanwhile(dispatch.logger, "warning", lambda: lifecycle.pause(task.pk)):
        dispatch.dispatch(bell=lambda *_message: None, lanes=lambda: 1)
    assert status_of(task) == Status.PAUSED


def test_somebody_asks_for_a_pause_while_a_late_lane_writes_its_plan(task: ImportTask) -> None:
    ImportTask.objects.update(planned_at=None)
    ImportChunk.objects.all().delete()
    with meanwhile(slots, "renew", lambda: lifecycle.pause(task.pk)):
        save_plan(task, Plan(["600001.SH"]), Hold(task.pk, 0, "late"))
    assert task.chunks.count() == 1


def test_somebody_asks_for_a_pause_while_a_late_lane_claims_a_chunk(task: ImportTask) -> None:
    lane = Lane(Hold(task.pk, 0, "late"), lambda *_message: None)
    with meanwhile(slots, "renew", lambda: lifecycle.pause(task.pk)):
        lane._claim()
    assert status_of(task) == Status.RUNNING


def test_a_task_ends_while_the_deaths_of_its_lanes_are_counted(task: ImportTask) -> None:
    with meanwhile(chunks, "lock_task", lambda: lifecycle.fail(task.pk, Text("The disk is full."))):
        chunks.free_expired(task.pk, db_now())
    assert status_of(task) == Status.FAILED
