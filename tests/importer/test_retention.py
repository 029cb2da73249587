"""What is forgotten: details of old tasks, and old tasks when somebody says so. Never a bar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from importer import lifecycle, retention
from importer.dbtime import db_now
from importer.exceptions import NotAllowedNow
from importer.models import Failure, ImportChunk, ImportTask, Status, Transition
from importer.task_requests import retry
from marketdata.models import Bar, Stock
from marketdata.store import store_bars
from tests.importer.command_line import give_command
from tests.importer.factories import make_chunk, make_task
from tests.importer.pages import english_browser, shown
from tests.marketdata.bars import COVERED, bars, weekdays

pytestmark = pytest.mark.django_db


def ended(days_ago: float, status: Status = Status.COMPLETED, **values: Any) -> ImportTask:
    task = make_task(
        status=status, planned_at=db_now(), finished_at=db_now() - timedelta(days=days_ago), total=3, done=2, failed=1,
        **values,
    )  # fmt: skip
    lifecycle.record_creation(task)
    make_chunk(task, ["600000.SH", "600001.SH", "600002.SH"], cursor=3, done=2, failed=1, by_source={"sina": 2})
    Failure.objects.create(task=task, symbol="600002.SH", code="banned", source="sina, eastmoney")
    return task


def prune(settings: Settings, days: int = 30) -> int:
    settings.KEEP_DETAILS_DAYS = days
    return retention.prune_details(db_now())


def test_details_of_old_tasks_are_forgotten_and_their_sums_stay(settings: Settings) -> None:
    old, new = ended(31), ended(29)
    assert prune(settings) == 1
    assert prune(settings) == 0
    assert set(ImportChunk.objects.values_list("task", flat=True)) == {new.pk}
    assert set(Failure.objects.values_list("task", flat=True)) == {new.pk}
    old.refresh_from_db()
    assert (old.total, old.done, old.failed) == (3, 2, 1)
    assert old.transitions.count() == 1
    page = shown(english_browser(), f"/data/tasks/{old.pk}/")
    assert "The source refused <b>1</b>" in page
    assert "The list itself was forgotten on" in page
    assert "Retry" not in page


def test_nothing_is_forgotten_where_the_setting_says_so(settings: Settings) -> None:
    ended(10_000)
    assert prune(settings, days=0) == 0


def test_who_retries_a_task_whose_failures_are_forgotten_is_told(settings: Settings) -> None:
    task = ended(31)
    prune(settings)
    with pytest.raises(NotAllowedNow, match="no longer kept"):
        retry(task.pk)


def test_a_failed_task_that_is_resumed_afterwards_is_planned_anew(settings: Settings) -> None:
    task = ended(31, Status.FAILED)
    prune(settings)
    lifecycle.resume(task.pk)
    task.refresh_from_db()
    assert (task.status, task.planned_at, task.pruned_at, task.summary) == (Status.PENDING, None, None, {})


def test_old_tasks_are_removed_with_their_history_and_no_bar_is(capsys: pytest.CaptureFixture[str]) -> None:
    stock = Stock.objects.create(symbol="600000.SH", code="600000", exchange="SH")
    store_bars(stock.pk, bars(weekdays("2024-01-02", 5)), source="sina", simulated=False, covered=COVERED)
    old, new, running = ended(31), ended(1), make_task(status=Status.RUNNING)
    day = (db_now() - timedelta(days=20)).date()
    assert retention.clear_before(datetime.combine(day, datetime.min.time(), tzinfo=db_now().tzinfo)) == 1
    assert set(ImportTask.objects.values_list("pk", flat=True)) == {new.pk, running.pk}
    assert not Transition.objects.filter(task=old.pk).exists()
    assert Bar.objects.count() == 5


def test_a_task_that_goes_on_is_not_removed() -> None:
    task = make_task(status=Status.PAUSED)
    assert retention.clear_tasks([task.pk]) == 0
    assert ImportTask.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_command_removes_what_ended_before_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    ended(31)
    day = (db_now() - timedelta(days=20)).date().isoformat()
    outcome = give_command(capsys, "import_tasks", "clear", "--before", day)
    assert (outcome.status, outcome.out) == (0, f"1 task that ended before {day} was removed. The bars stay.\n")
    refused = give_command(capsys, "import_tasks", "clear", "--before", "yesterday")
    assert refused.status == 2
    assert "is not a date" in refused.err


def test_the_admin_removes_ended_tasks_and_says_which_stay(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    ended_task, running = ended(1), make_task(status=Status.RUNNING)
    answer = client.post(
        "/admin/importer/importtask/",
        {"action": "clear", "_selected_action": [str(ended_task.pk), str(running.pk)]},
        headers={"accept-language": "en", "host": "localhost:5000"},
        follow=True,
    ).content.decode()
    assert "1 task was removed." in answer
    assert "1 task has not ended: it stays." in answer
    assert ImportTask.objects.get().pk == running.pk
