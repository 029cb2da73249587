"""Schedules on a simulated clock: exactly which tasks are started, and when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, time, timedelta

import pytest
from django.db import connection
from django_q.models import OrmQ, Schedule

from importer import schedules
from importer.models import ImportTask, Outcome, Status, TaskSchedule
from importer.schedule_firing import ring, ring_due_bells, run_if_due
from marketdata.models import Stock, TradingDay
from tests.importer.simulated_clusters import SimulatedClusters, at, clock, daily_update, finish_tasks, started

# django-q2's scheduler closes connections: a transaction around the test would be lost.
pytestmark = pytest.mark.django_db(transaction=True)

EVENING = timedelta(hours=1)


@pytest.fixture(autouse=True)
def something_stored() -> None:
    Stock.objects.create(
        symbol="600519.SH", code="600519", exchange="SH", name="贵州茅台", bar_count=1,
        first_bar=date(2024, 1, 2), last_bar=date(2024, 1, 2),
    )  # fmt: skip


@pytest.fixture
def friday() -> Iterator[TaskSchedule]:
    """Yield a daily update that is due on Friday 2024-03-01 at 16:30; it is now 16:30 of Thursday."""
    with clock(at("2024-02-29T16:30")):
        yield schedules.create(daily_update()).schedule


def test_a_month_with_a_holiday_starts_one_update_on_each_trading_day() -> None:
    with clock(at("2024-02-01T12:00")):
        schedules.create(daily_update())
        schedules.create({"when": "weekly", "weekday": 6, "time": time(9), "kind": "repair"})
        schedules.create({"when": "once", "date": date(2024, 2, 14), "time": time(8, 30), "kind": "import"})
        schedules.create({"when": "cron", "cron": "0 20 28 * *", "kind": "repair", "symbols": ["600519"]})
    SimulatedClusters().run("2024-02-01T12:00", "2024-03-02T12:00")
    # The exchange was closed from 9 to 18 February 2024.
    assert started() == [
        "02-01 16:40 update", "02-02 16:40 update", "02-03 09:10 repair",
        "02-05 16:40 update", "02-06 16:40 update", "02-07 16:40 update", "02-08 16:40 update",
        "02-10 09:10 repair", "02-14 08:40 import", "02-17 09:10 repair",
        "02-19 16:40 update", "02-20 16:40 update", "02-21 16:40 update", "02-22 16:40 update", "02-23 16:40 update",
        "02-24 09:10 repair",
        "02-26 16:40 update", "02-27 16:40 update", "02-28 16:40 update", "02-28 20:10 repair", "02-29 16:40 update",
        "03-01 16:40 update", "03-02 09:10 repair",
    ]  # fmt: skip


def test_a_machine_that_was_off_for_three_days_catches_up_once() -> None:
    with clock(at("2024-03-04T12:00")):
        made = schedules.create(daily_update()).schedule
    clusters = SimulatedClusters()
    clusters.run("2024-03-04T12:00", "2024-03-05T12:00")
    clusters.run("2024-03-08T10:00", "2024-03-08T20:00")
    assert started() == ["03-04 16:40 update", "03-08 10:00 update", "03-08 16:40 update"]
    made.refresh_from_db()
    assert made.due_at == at("2024-03-11T16:30")


def test_a_friday_run_that_is_caught_up_on_saturday_runs() -> None:
    with clock(at("2024-03-01T12:00")):
        made = schedules.create(daily_update()).schedule
    SimulatedClusters().run("2024-03-02T10:00", "2024-03-04T12:00")
    assert started() == ["03-02 10:00 update"]
    made.refresh_from_db()
    assert (made.last_meant_at, made.last_run_at) == (at("2024-03-01T16:30"), at("2024-03-02T10:00"))


def test_two_clusters_with_messages_that_come_twice_start_each_run_once() -> None:
    with clock(at("2024-02-29T12:00")):
        schedules.create(daily_update())
        schedules.create({"when": "cron", "cron": "0 */4 * * *", "kind": "repair"})
    SimulatedClusters(count=2, deliveries=2, a_task_takes=timedelta(0)).run("2024-02-29T13:00", "2024-03-01T00:30")
    assert started() == ["02-29 16:10 repair", "02-29 16:40 update", "02-29 20:10 repair", "03-01 00:10 repair"]


def test_of_two_workers_at_the_same_moment_one_starts_the_run(friday: TaskSchedule) -> None:
    moment = at("2024-03-01T16:31")
    gate = threading.Barrier(4)
    outcomes: list[ImportTask | None] = []

    def work() -> None:
        gate.wait()
        try:
            outcomes.append(run_if_due(friday.pk, moment))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len([each for each in outcomes if each is not None]) == 1
    assert ImportTask.objects.count() == 1


def test_a_lost_message_is_sent_again_within_a_minute_or_two(friday: TaskSchedule) -> None:
    SimulatedClusters(deliveries=0).run("2024-03-01T16:31", "2024-03-01T16:35", timedelta(seconds=30))
    assert started() == []
    SimulatedClusters().run("2024-03-01T16:36", "2024-03-01T16:38", timedelta(minutes=1))
    assert started() == ["03-01 16:36 update"]


@pytest.mark.parametrize("wrong", ["2024-03-04T18:30", "2024-04-04T18:30"], ids=["eight hours", "a month"])
def test_a_clock_that_was_ahead_and_is_set_right_costs_no_run(wrong: str) -> None:
    with clock(at("2024-03-04T10:00")):
        schedules.create(daily_update())
    SimulatedClusters().run(wrong, wrong)
    finish_tasks(made_before=at(wrong))
    assert ImportTask.objects.count() == 1
    SimulatedClusters(count=2).run("2024-03-04T10:30", "2024-03-06T17:00")
    found = [each for each in started() if each != f"{at(wrong):%m-%d %H:%M} update"]
    assert found == ["03-04 16:40 update", "03-05 16:40 update", "03-06 16:40 update"]


def test_a_machine_that_is_behind_brings_back_no_run_of_the_others(
    friday: TaskSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clock(at("2024-03-01T16:31")):
        assert run_if_due(friday.pk, at("2024-03-01T16:31")) is not None
    monkeypatch.setattr("importer.schedule_firing.db_now", lambda: at("2024-03-01T16:31"))
    with clock(at("2024-03-01T08:31")):
        ring_due_bells()
    friday.refresh_from_db()
    assert friday.due_at == at("2024-03-04T16:30")


def test_a_run_waits_for_the_last_one_and_is_started_once_when_that_has_ended() -> None:
    with clock(at("2024-03-04T12:00")):
        schedules.create(daily_update())
    # A task takes two days and a half.
    SimulatedClusters(a_task_takes=timedelta(hours=60)).run("2024-03-04T12:00", "2024-03-08T12:00")
    assert started() == ["03-04 16:40 update", "03-07 04:40 update"]


def test_a_paused_last_run_keeps_the_next_one_waiting(friday: TaskSchedule) -> None:
    with clock(at("2024-03-01T16:31")):
        task = run_if_due(friday.pk, at("2024-03-01T16:31"))
    assert task is not None
    ImportTask.objects.filter(pk=task.pk).update(status=Status.PAUSED)
    with clock(at("2024-03-04T16:31")):
        ring(friday.pk)
        assert ImportTask.objects.count() == 1
        ImportTask.objects.filter(pk=task.pk).update(status=Status.CANCELLED)
        ring(friday.pk)
    assert started() == ["03-01 16:31 update", "03-04 16:31 update"]


def test_a_run_for_which_the_same_task_is_there_joins_it(friday: TaskSchedule) -> None:
    with clock(at("2024-03-01T16:31")):
        by_hand = schedules.run_now(friday.pk).task
        TaskSchedule.objects.update(last_task=None)
        ring(friday.pk)
    friday.refresh_from_db()
    assert (friday.last_task, friday.last_outcome) == (by_hand, Outcome.JOINED)
    assert ImportTask.objects.count() == 1


def test_what_cannot_start_says_why_and_is_tried_at_the_next_run(friday: TaskSchedule) -> None:
    Stock.objects.all().delete()
    with clock(at("2024-03-01T16:31")):
        ring(friday.pk)
    friday.refresh_from_db()
    assert friday.last_outcome == Outcome.REFUSED
    assert "Start a full import first" in friday.reason
    assert friday.due_at == at("2024-03-04T16:30")
    assert started() == []


def test_a_run_that_starts_clears_the_reason_of_the_one_that_did_not(friday: TaskSchedule) -> None:
    TaskSchedule.objects.update(last_outcome=Outcome.REFUSED, reason_id="No.")
    with clock(at("2024-03-01T16:31")):
        ring(friday.pk)
    friday.refresh_from_db()
    assert (friday.last_outcome, friday.reason) == (Outcome.STARTED, "")


def test_a_day_that_was_assumed_open_and_is_closed_starts_nothing() -> None:
    with clock(at("2027-02-05T12:00")):
        made = schedules.create(daily_update()).schedule
        assert made.due_at == at("2027-02-05T16:30")
        # The calendar becomes known meanwhile, and the exchange is closed that day and the next week.
        TradingDay.objects.bulk_create(TradingDay(date=day) for day in (date(2027, 2, 4), date(2027, 2, 15)))
    SimulatedClusters().run("2027-02-05T16:00", "2027-02-05T18:00")
    made.refresh_from_db()
    assert started() == []
    assert made.due_at == at("2027-02-15T16:30")
    assert made.last_outcome == Outcome.NONE


@pytest.mark.parametrize(
    ("new_time", "expected"),
    [(time(18), ["03-01 18:10 update"]), (time(16, 45), ["03-04 16:50 update"])],
)
def test_a_changed_time_drops_the_run_that_was_due_under_the_old_one(
    friday: TaskSchedule, new_time: time, expected: list[str]
) -> None:
    with clock(at("2024-03-01T17:00")):
        schedules.change(friday.pk, {"time": new_time})
    clusters = SimulatedClusters()
    clusters.run("2024-03-01T17:00", "2024-03-01T20:00")
    clusters.run("2024-03-04T12:00", "2024-03-04T17:00")
    assert started() == expected


def test_a_change_of_what_it_runs_keeps_the_run_that_is_due(friday: TaskSchedule) -> None:
    with clock(at("2024-03-01T17:00")):
        schedules.change(friday.pk, {"kind": "repair", "symbols": ["600519"], "priority": 4})
        ring(friday.pk)
    task = ImportTask.objects.get()
    assert (task.kind, task.parameters["symbols"], task.priority) == ("repair", ["600519.SH"], 4)


def test_a_message_on_the_way_while_the_schedule_is_changed_starts_what_it_says_now(friday: TaskSchedule) -> None:
    with clock(at("2024-03-01T16:31")):
        clusters = SimulatedClusters(deliveries=0)
        clusters.round()
        schedules.change(friday.pk, {"when": "weekly", "weekday": 7, "time": time(9)})
        ring(friday.pk)
        assert started() == []
    SimulatedClusters().run("2024-03-01T17:00", "2024-03-05T17:00")
    assert started() == ["03-03 09:10 update"]


def test_a_change_between_look_and_claim_makes_the_run_look_again(
    friday: TaskSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = schedules.claim

    def edited_first(row: TaskSchedule, **values: object) -> bool:
        monkeypatch.setattr(schedules, "claim", claim)
        schedules.change(row.pk, {"kind": "repair"})
        return claim(row, **values)

    monkeypatch.setattr(schedules, "claim", edited_first)
    with clock(at("2024-03-01T16:31")):
        ring(friday.pk)
    assert started() == ["03-01 16:31 repair"]


@pytest.mark.parametrize("action", ["pause", "delete"])
def test_a_message_of_a_schedule_that_was_paused_or_deleted_does_nothing(friday: TaskSchedule, action: str) -> None:
    with clock(at("2024-03-01T16:31")):
        getattr(schedules, action)(friday.pk)
        ring(friday.pk)
        SimulatedClusters().round()
    assert started() == []


def test_a_message_that_is_early_does_nothing(friday: TaskSchedule) -> None:
    with clock(at("2024-03-01T16:29")):
        ring(friday.pk)
    assert started() == []


def test_runs_missed_while_paused_are_not_made_up_for(friday: TaskSchedule) -> None:
    with clock(at("2024-03-01T10:00")):
        schedules.pause(friday.pk)
    clusters = SimulatedClusters()
    clusters.run("2024-03-01T10:00", "2024-03-04T10:00")
    with clock(at("2024-03-04T10:00")):
        schedules.resume(friday.pk)
    clusters.run("2024-03-04T10:00", "2024-03-04T17:00")
    assert started() == ["03-04 16:40 update"]


def test_a_single_run_is_caught_up_and_then_over() -> None:
    with clock(at("2024-03-01T12:00")):
        wish = {"when": "once", "date": date(2024, 3, 2), "time": time(8), "kind": "import"}
        made = schedules.create(wish).schedule
    SimulatedClusters().run("2024-03-05T08:00", "2024-03-06T12:00", EVENING)
    assert started() == ["03-05 08:00 import"]
    made.refresh_from_db()
    assert made.due_at is None
    assert Schedule.objects.get(pk=made.pk).next_run is None


def test_a_run_made_by_a_schedule_says_so(friday: TaskSchedule) -> None:
    schedules.change(friday.pk, {"name": "Evening"})
    with clock(at("2024-03-01T16:31")):
        ring(friday.pk)
    assert ImportTask.objects.get().requested_by == "schedule: Evening"


def test_nothing_is_sent_and_nothing_written_while_nothing_is_due(friday: TaskSchedule) -> None:
    SimulatedClusters(deliveries=0).run("2024-02-29T17:00", "2024-03-01T16:20", EVENING)
    assert OrmQ.objects.count() == 0
    bell = Schedule.objects.get(pk=friday.pk)
    assert (bell.next_run, bell.task) == (at("2024-03-01T16:30"), None)


def test_finished_tasks_let_the_next_day_run(friday: TaskSchedule) -> None:
    for day in ("2024-03-01T16:31", "2024-03-04T16:31"):
        with clock(at(day)):
            ring(friday.pk)
            finish_tasks()
    assert [task.parameters["end"] for task in ImportTask.objects.order_by("created_at")] == [
        "2024-03-01",
        "2024-03-04",
    ]
