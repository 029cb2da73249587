"""Progress: percent, speed, time left; sums over chunks; never falling."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from importer import progress
from importer.dbtime import db_now
from importer.models import Status
from importer.progress import Totals
from tests.importer.factories import make_chunk, make_task


@given(total=st.integers(0, 6000), finished=st.integers(0, 6000))
def test_percent_is_between_1_and_99_and_grows_with_what_is_finished(total: int, finished: int) -> None:
    finished = min(finished, total)
    percent = progress.percent(finished, total)
    assert 1 <= percent <= 99
    if finished < total:
        assert progress.percent(finished + 1, total) >= percent


def test_the_time_left_is_what_is_open_at_the_present_speed() -> None:
    totals = Totals(total=100, done=20, failed=3, skipped=2, rows=0)
    assert progress.eta_seconds(totals, 5.0) == 15.0
    assert progress.eta_seconds(totals, None) is None
    assert progress.eta_seconds(totals, 0.0) is None


def test_the_speed_follows_what_happens() -> None:
    assert progress.next_speed(None, 10, 2.0) == 5.0
    faster = progress.next_speed(5.0, 20, 2.0)
    assert faster is not None
    assert 5.0 < faster < 10.0


@pytest.mark.django_db
def test_the_row_holds_the_sums_over_its_chunks() -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now())
    make_chunk(task, ["600001.SH", "600002.SH"], cursor=2, done=1, failed=1, rows=970)
    make_chunk(task, ["600003.SH", "600004.SH"], cursor=1, skipped=1)
    assert progress.refresh(task.pk) == Totals(total=4, done=1, failed=1, skipped=1, rows=970)
    task.refresh_from_db()
    assert (task.done, task.failed, task.skipped, task.rows_written, task.total) == (1, 1, 1, 970, 4)
    assert task.progress == 74


@pytest.mark.django_db
def test_the_row_is_written_once_a_second_at_most() -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now(), heartbeat_at=db_now() + timedelta(milliseconds=100))
    make_chunk(task, ["600001.SH"])
    task.heartbeat_at = db_now()
    task.save()
    assert progress.refresh(task.pk) is None
    assert progress.refresh(task.pk, force=True) is not None


@pytest.mark.django_db
def test_no_time_left_is_told_of_a_task_on_which_nobody_works() -> None:
    text = progress.running_text(Totals(10, 4, 0, 0, 0), 3.0, "600001.SH")
    task = make_task(
        status=Status.RUNNING, planned_at=db_now(), heartbeat_at=db_now() - timedelta(seconds=20), total=10, done=4,
        stocks_per_second=2.0, message_id=text.msgid, message_values=dict(text.values),
    )  # fmt: skip
    shown = progress.of_task(task)
    assert (shown.message, shown.eta_seconds, progress.speed_of(task)) == ("4 of 10 stocks.", None, None)
    task.heartbeat_at = db_now()
    shown = progress.of_task(task)
    assert (shown.message, shown.eta_seconds, progress.speed_of(task)) == (task.message, 3.0, 2.0)


@pytest.mark.django_db
def test_no_speed_is_told_of_a_task_that_waits_for_its_sources() -> None:
    waiting = db_now() + timedelta(minutes=5)
    task = make_task(status=Status.RUNNING, planned_at=db_now(), total=10, stocks_per_second=2.0, waiting_until=waiting)
    assert progress.speed_of(task) is None
    assert progress.of_task(task).eta_seconds is None


def test_the_time_in_which_nobody_worked_is_no_part_of_the_speed() -> None:
    assert progress.next_speed(2.0, gained=1, elapsed=600.0) is None
    assert progress.next_speed(None, gained=4, elapsed=2.0) == 2.0


@pytest.mark.django_db
def test_progress_never_falls() -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now(), progress=60)
    make_chunk(task, ["600001.SH", "600002.SH"], cursor=1, done=1)
    progress.refresh(task.pk)
    task.refresh_from_db()
    assert task.progress == 60


@pytest.mark.django_db
def test_a_task_that_has_ended_is_not_written_any_more() -> None:
    task = make_task(status=Status.CANCELLED, progress=10)
    make_chunk(task, ["600001.SH"], cursor=1, done=1)
    assert progress.refresh(task.pk, force=True) is None
    task.refresh_from_db()
    assert task.progress == 10


def test_the_sentence_is_made_in_the_reader_s_language() -> None:
    text = progress.running_text(Totals(5412, 2008, 3, 0, 0), 700.0, "平安银行 000001.SZ")
    with translation.override("en"):
        assert str(text) == "Importing 平安银行 000001.SZ: 2,011 of 5,412 stocks, about 11 min 40 s left."


@pytest.mark.django_db
def test_until_the_stocks_are_known_the_sentence_says_what_is_prepared() -> None:
    task = make_task(status=Status.RUNNING)
    progress.say(task.pk, progress.LISTING_TEXT)
    progress.refresh(task.pk, force=True)
    task.refresh_from_db()
    assert (task.progress, task.message) == (0, "Fetching the list of stocks…")
    assert task.heartbeat_at is not None
