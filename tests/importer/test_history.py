"""The history: filters, the chart, the CSV file; the same filters on the page and in the API."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from importer import lifecycle
from importer.history_chart import TASKS, chart_of
from importer.models import ImportTask, Kind, Status
from marketdata.trading_days import EXCHANGE_TIME
from tests.importer.api_caller import Caller, error_of
from tests.importer.factories import make_task
from tests.importer.pages import english_browser, shown

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 20, 16, 30, tzinfo=EXCHANGE_TIME)


@pytest.fixture
def browser() -> Client:
    return english_browser()


def ended(days: int = 0, took: int = 60, **values: Any) -> ImportTask:
    began = DAY + timedelta(days=days)
    task = make_task(
        **{"status": Status.COMPLETED, "total": 10, **values}, started_at=began,
        finished_at=began + timedelta(seconds=took),
    )  # fmt: skip
    ImportTask.objects.filter(pk=task.pk).update(created_at=began)
    return task


def listed(browser: Client, query: str) -> set[str]:
    return set(re.findall(r'id="task-([0-9a-f-]{36})"', shown(browser, f"/data/tasks/?{query}")))


@pytest.fixture
def three() -> list[str]:
    tasks = [
        ended(0, requested_by="page: ada, 127.0.0.1", parameters={"source": "sina"}),
        ended(1, requested_by="api: token 1, 127.0.0.1", kind=Kind.UPDATE),
        ended(2, requested_by="schedule: every day", status=Status.FAILED, failed=10),
    ]
    return [str(task.pk) for task in tasks]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {0, 1, 2}),
        ("source=sina", {0}),
        ("by=ADA", {0}),
        ("by=schedule", {2}),
        ("kind=update", {1}),
        ("status=failed", {2}),
        ("since=2026-11-21", {1, 2}),
        ("until=2026-11-21", {0, 1}),
        ("since=2026-11-21&until=2026-11-21&by=api", {1}),
        ("source=nothing%00", set()),
        ("kind=nothing&since=yesterday", {0, 1, 2}),
    ],
)
def test_the_list_is_filtered_by_kind_state_source_who_and_day(
    browser: Client, three: list[str], query: str, expected: set[int]
) -> None:
    assert listed(browser, query) == {three[place] for place in expected}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"source": "sina"}, {0}),
        ({"by": "schedule"}, {2}),
        ({"until": "2026-11-20"}, {0}),
        ({"until": "2026-11-21T16:30:00+08:00"}, {0, 1}),
        ({"since": "2026-11-21", "until": "2026-11-21"}, {1}),
    ],
)
def test_the_api_has_the_same_filters(three: list[str], query: dict[str, str], expected: set[int]) -> None:
    answer = Caller().get("/tasks", **query).json()
    assert {row["task_id"] for row in answer["data"]} == {three[place] for place in expected}
    assert answer["total"] == len(expected)


def test_a_filter_that_cannot_be_is_refused() -> None:
    assert error_of(Caller().get("/tasks", until="2026-13-01")) == (422, "bad_request", "until")
    assert error_of(Caller().get("/tasks", by="x" * 81))[0] == 422


def test_the_csv_file_holds_every_task_of_the_list(browser: Client, three: list[str]) -> None:
    ImportTask.objects.filter(pk=three[0]).update(requested_by="=cmd()")
    response = browser.get("/data/tasks.csv?until=2026-11-21")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["task_id"] for row in rows] == [three[1], three[0]]
    assert rows[1]["source"] == "sina"
    assert rows[1]["seconds"] == "60.0"
    assert rows[1]["started_at"] == "2026-11-20T16:30:00+08:00"
    assert rows[1]["requested_by"] == "'=cmd()"


def test_a_task_that_ended_before_it_began_took_no_time(browser: Client) -> None:
    ended(took=-36_000)
    response = browser.get("/data/tasks.csv")
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert [row["seconds"] for row in csv.DictReader(io.StringIO(text))] == ["0.0"]


def test_the_chart_shows_duration_rows_and_failures_with_words_for_who_does_not_see_it(browser: Client) -> None:
    ended(0, took=60, rows_written=100)
    ended(1, took=120, rows_written=50, failed=3)
    page = shown(browser, "/data/tasks/")
    assert 'aria-label="Duration of the last 2 tasks: last 2 min 0 s, typical 2 min 0 s, highest 2 min 0 s."' in page
    assert 'aria-label="Bars written of the last 2 tasks: last 50, typical 100, highest 100."' in page
    assert 'aria-label="Failed stocks of the last 2 tasks: last 3, typical 3, highest 3."' in page
    assert page.count("<rect") == 6


def test_bars_are_as_high_as_their_share_and_oldest_first() -> None:
    chart = chart_of([ended(0, took=30), ended(1, took=60), ended(2, took=0)])
    assert chart is not None
    duration = chart.panels[0]
    assert [float(bar.height) for bar in duration.bars] == [32, 64, 0]
    assert [float(bar.x) for bar in duration.bars] == sorted(float(bar.x) for bar in duration.bars)
    assert max(float(bar.x) + float(bar.width) for bar in duration.bars) <= 600


def test_a_chart_holds_the_newest_tasks_and_one_task_makes_none() -> None:
    tasks = [ended(number) for number in range(TASKS + 3)]
    assert chart_of(tasks[:1]) is None
    chart = chart_of(tasks)
    assert chart is not None
    assert chart.count == TASKS
    assert chart.last == tasks[-1].finished_at


def test_a_change_of_priority_is_in_the_history_with_who_and_from_where(browser: Client) -> None:
    task = make_task()
    lifecycle.set_priority(task.pk, 3, by="page: ada, 127.0.0.1")
    change = task.transitions.get()
    assert (change.old, change.new, change.by) == (Status.PENDING, Status.PENDING, "page: ada, 127.0.0.1")
    page = shown(browser, f"/data/tasks/{task.pk}/")
    assert "The priority was set to 3." in page
    assert "Pending → pending" not in page
