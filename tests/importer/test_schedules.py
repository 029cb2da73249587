"""Schedules as people make, change and steer them."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from django_q.models import Schedule

from importer import schedules
from importer.exceptions import BadRequest, EmptyDatabase, NotAllowedNow, UnknownSchedule
from importer.models import ImportTask, Status, TaskSchedule
from importer.schedule_orders import order_of
from marketdata.models import Stock
from tests.importer.simulated_clusters import at, clock, daily_update

pytestmark = pytest.mark.django_db

NOW = at("2024-02-29T12:00")


def make(**more: Any) -> TaskSchedule:
    return schedules.create(daily_update(**more), now=NOW, by="test").schedule


def bell(schedule: TaskSchedule) -> Schedule:
    return Schedule.objects.get(pk=schedule.pk)


def test_it_shows_in_django_qs_own_table_with_its_next_run() -> None:
    made = make(name="  Every   evening ")
    row = bell(made)
    assert (row.name, row.func, row.args) == ("Every evening", "importer.schedule_firing.ring", str(made.pk))
    assert row.next_run == made.due_at == at("2024-02-29T16:30")


def test_the_same_schedule_is_made_once() -> None:
    first = make(priority=1)
    again = schedules.create(daily_update(name="another name"), now=NOW)
    assert again.existing
    assert again.schedule.pk == first.pk
    assert Schedule.objects.count() == 1


def test_an_update_may_be_planned_before_there_is_anything_to_update() -> None:
    assert make().due_at is not None


def test_symbols_are_kept_in_canonical_form() -> None:
    assert order_of(make(symbols="000001, sh600519")).symbols == ("000001.SZ", "600519.SH")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (daily_update(symbols=["nonsense"]), "symbols"),
        (daily_update(priority=11), "priority"),
        (daily_update(source="nobody"), "source"),
        (daily_update(start_date=date(2024, 1, 2)), "start_date"),
        (daily_update(refresh=True), "refresh"),
        (daily_update(kind="repair", path="x"), "path"),
        (daily_update(kind="import", path="x", source="files"), "path"),
        (daily_update(kind="import", end_date=date(2024, 3, 9)), "end_date"),
        (daily_update(kind="delete"), "kind"),
        (daily_update(when="hourly"), "when"),
        (daily_update(name="x" * 81), "name"),
        ({"when": "once", "date": date(2024, 2, 29), "time": time(12), "kind": "import"}, "date"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_its_field(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        schedules.create(wish, now=NOW)
    assert refused.value.field == field
    assert TaskSchedule.objects.count() == Schedule.objects.count() == 0


def test_dates_are_judged_as_of_the_run() -> None:
    wish = {
        "when": "once", "date": date(2024, 3, 11), "time": time(18), "kind": "import",
        "start_date": date(2024, 3, 4), "end_date": date(2024, 3, 8),
    }  # fmt: skip
    assert schedules.create(wish, now=NOW).schedule.due_at == at("2024-03-11T18:00")


def test_a_change_of_the_rule_counts_from_now_on() -> None:
    made = make()
    changed = schedules.change(made.pk, {"when": "weekly", "weekday": 6}, now=NOW)
    assert changed.due_at == bell(made).next_run == at("2024-03-02T16:30")


def test_parts_that_the_new_kind_does_not_have_fall_away() -> None:
    made = schedules.create(
        {**daily_update(kind="import", refresh=True), "start_date": date(2024, 1, 2)}, now=NOW
    ).schedule
    changed = schedules.change(made.pk, {"kind": "update", "when": "cron", "cron": "0 5 * * *"}, now=NOW)
    assert (changed.at, changed.cron) == (None, "0 5 * * *")
    assert (order_of(changed).start, order_of(changed).refresh) == (None, False)


def test_a_part_that_the_new_kind_does_not_have_is_refused_when_it_is_given() -> None:
    made = make()
    with pytest.raises(BadRequest) as refused:
        schedules.change(made.pk, {"when": "cron", "cron": "0 5 * * *", "time": time(5)}, now=NOW)
    assert refused.value.field == "time"


def test_a_name_is_changed_without_moving_the_next_run() -> None:
    made = make()
    changed = schedules.change(made.pk, {"name": "Evening"}, now=at("2024-03-05T12:00"))
    assert changed.due_at == made.due_at
    assert bell(made).name == "Evening"


def test_a_schedule_that_becomes_the_same_as_another_is_refused() -> None:
    make()
    other = make(kind="repair")
    with pytest.raises(NotAllowedNow):
        schedules.change(other.pk, {"kind": "update"}, now=NOW)


def test_two_changes_at_once_are_both_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    read = schedules.get_schedule

    def somebody_else_is_first(schedule_id: int | str) -> TaskSchedule:
        row = read(schedule_id)
        monkeypatch.setattr(schedules, "get_schedule", read)
        schedules.change(schedule_id, {"kind": "repair"}, now=NOW)
        return row

    monkeypatch.setattr(schedules, "get_schedule", somebody_else_is_first)
    changed = schedules.change(made.pk, {"name": "Evening"}, now=NOW)
    assert (changed.kind, changed.name) == ("repair", "Evening")


def test_a_paused_schedule_has_no_next_run_until_it_is_resumed() -> None:
    made = make()
    for _again in range(2):
        paused = schedules.pause(made.pk)
        assert (paused.paused, paused.due_at, bell(made).next_run) == (True, None, None)
    for _again in range(2):
        resumed = schedules.resume(made.pk, now=at("2024-03-02T12:00"))
        assert (resumed.paused, resumed.due_at) == (False, at("2024-03-04T16:30"))
        assert bell(made).next_run == resumed.due_at


def test_a_paused_schedule_stays_paused_when_it_is_changed() -> None:
    made = make()
    schedules.pause(made.pk)
    changed = schedules.change(made.pk, {"time": time(18)}, now=NOW)
    assert (changed.paused, changed.due_at, bell(made).next_run) == (True, None, None)


def test_it_may_be_made_paused() -> None:
    made = schedules.create(daily_update(), paused=True, now=NOW).schedule
    assert (made.paused, made.due_at) == (True, None)


def test_a_single_run_that_has_passed_is_neither_paused_nor_resumed_but_may_be_renamed() -> None:
    wish = {"when": "once", "date": date(2024, 3, 1), "time": time(8), "kind": "import"}
    made = schedules.create(wish, now=NOW).schedule
    TaskSchedule.objects.update(due_at=None)
    later = at("2024-03-02T12:00")
    with pytest.raises(NotAllowedNow):
        schedules.pause(made.pk)
    with pytest.raises(NotAllowedNow):
        schedules.resume(made.pk, now=later)
    assert schedules.change(made.pk, {"name": "First import"}, now=later).name == "First import"
    again = schedules.change(made.pk, {"date": date(2024, 3, 9)}, now=later)
    assert again.due_at == at("2024-03-09T08:00")


def test_it_runs_at_once_when_asked_and_keeps_its_next_run() -> None:
    made = make(kind="import", symbols=["600519"])
    with clock(NOW):
        submission = schedules.run_now(made.pk, by="test")
    made.refresh_from_db()
    assert made.last_task == submission.task
    assert submission.task.requested_by == "test"
    assert made.due_at == at("2024-02-29T16:30")


def test_it_does_not_run_on_request_while_its_last_run_goes_on() -> None:
    made = make(kind="import")
    with clock(NOW):
        task = schedules.run_now(made.pk).task
    with clock(at("2024-03-01T12:00")):
        with pytest.raises(NotAllowedNow, match="goes on"):
            schedules.run_now(made.pk)
        ImportTask.objects.filter(pk=task.pk).update(status=Status.FAILED)
        assert schedules.run_now(made.pk).task.pk != task.pk


def test_a_paused_schedule_runs_on_request() -> None:
    made = make(kind="import")
    schedules.pause(made.pk)
    assert not schedules.run_now(made.pk).existing


def test_who_asks_for_an_update_of_nothing_is_told() -> None:
    made = make()
    with pytest.raises(EmptyDatabase):
        schedules.run_now(made.pk)
    assert not Stock.objects.exists()
    assert made.last_task is None


def test_what_is_deleted_is_gone_with_its_bell_and_its_task_stays() -> None:
    made = make(kind="import")
    schedules.run_now(made.pk)
    schedules.delete(made.pk)
    assert TaskSchedule.objects.count() == Schedule.objects.count() == 0
    assert ImportTask.objects.count() == 1


@pytest.mark.parametrize("name", ["99", "x", "", "-1", "1" * 30, "１"])
def test_an_id_of_no_schedule_is_unknown(name: str) -> None:
    for act in (schedules.get_schedule, schedules.pause, schedules.resume, schedules.run_now, schedules.delete):
        with pytest.raises(UnknownSchedule):
            act(name)
