"""What is written down when something happens: in its transaction, once, without an address."""

from __future__ import annotations

import pytest
from django.db import transaction

from importer import lifecycle
from importer.models import ImportTask, Kind, Status
from importer.notify.events import record
from importer.notify.models import Event, Notice
from marketdata.texts import Text
from tests.importer.factories import make_task

pytestmark = pytest.mark.django_db


def ended(*, failed: int = 0, kind: Kind = Kind.IMPORT, total: int = 100) -> ImportTask:
    task = make_task(status=Status.RUNNING, kind=kind)
    totals = {"total": total, "done": total - failed, "failed": failed}
    assert lifecycle.complete(task.pk, message=Text("Completed: nothing new, %(stocks)s up to date.", {"stocks": 3}), totals=totals)  # fmt: skip  # noqa: E501
    return task


def events(task: ImportTask) -> list[str]:
    return sorted(Notice.objects.filter(task=task).values_list("event", flat=True))


def test_the_end_of_a_task_is_written_down_with_it() -> None:
    assert events(ended()) == [Event.COMPLETED]
    assert events(ended(failed=3)) == [Event.FAILURES]
    task = make_task(status=Status.RUNNING)
    lifecycle.fail(task.pk, Text("The disk is full."))
    assert events(task) == [Event.FAILED]


def test_what_is_rolled_back_was_never_written_down() -> None:
    task = make_task(status=Status.RUNNING)
    with transaction.atomic():
        lifecycle.fail(task.pk, Text("The disk is full."))
        transaction.set_rollback(True)
    assert events(task) == []


def test_a_task_that_was_cancelled_or_paused_is_no_news() -> None:
    for action in (lifecycle.cancel, lifecycle.pause):
        task = make_task(status=Status.RUNNING)
        action(task.pk)
        assert events(task) == []


def test_a_failed_task_that_is_resumed_may_end_again() -> None:
    task = make_task(status=Status.RUNNING)
    lifecycle.fail(task.pk, Text("The disk is full."))
    Notice.objects.update(key="task:earlier")
    lifecycle.resume(task.pk)
    lifecycle.start(task.pk)
    lifecycle.complete(task.pk, message=Text("Done."), totals={})
    assert events(task) == [Event.COMPLETED, Event.FAILED]


def test_an_update_gives_a_sign_of_life_and_too_many_failures_make_it_a_bad_one() -> None:
    assert events(ended(kind=Kind.UPDATE)) == [Event.COMPLETED, Event.PING_GOOD]
    assert events(ended(kind=Kind.UPDATE, failed=1)) == [Event.FAILURES, Event.PING_GOOD]
    assert events(ended(kind=Kind.UPDATE, failed=2)) == [Event.FAILURES, Event.PING_FAILED]


def test_what_is_noticed_twice_is_one_notice() -> None:
    assert record("source:sina:2026-11-24", Event.SOURCE, [Text("It refuses.")])
    assert not record("source:sina:2026-11-24", Event.SOURCE, [Text("It refuses.")])
    assert Notice.objects.count() == 1
