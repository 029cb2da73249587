"""Alarms that nobody's transaction tells: the newest day, a source that refuses, findings that are new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
import time_machine

from importer.models import Breaker, Failure, ImportTask, Outcome, SourceState, Status
from importer.notify import watch
from importer.notify.events import task_ended
from importer.notify.models import Event, Notice
from importer.notify.words import sentence_of
from marketdata.models import Stock
from marketdata.trading_days import EXCHANGE_TIME
from tests.importer.factories import make_schedule, make_task
from tests.importer.pages import living_host

pytestmark = pytest.mark.django_db

FRIDAY = date(2026, 11, 20)
THURSDAY = date(2026, 11, 19)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=EXCHANGE_TIME)


@pytest.fixture(autouse=True)
def friday_evening() -> Iterator[None]:
    with time_machine.travel(at(FRIDAY, 20), tick=False):
        yield


def stored_until(day: date, number: int = 100) -> None:
    for place in range(number):
        code = f"{600000 + place}"
        Stock.objects.create(
            symbol=f"{code}.SH", code=code, exchange="SH", bar_count=9, first_bar=THURSDAY, last_bar=day,
            covered_from=THURSDAY, covered_until=day,
        )  # fmt: skip


def alarm() -> str:
    return sentence_of(Notice.objects.get(event=Event.MISSING))


def test_a_day_that_is_not_there_by_eight_in_the_evening_is_missed_once() -> None:
    stored_until(THURSDAY)
    assert not watch.missing_day(at(FRIDAY, 19, 59))
    assert watch.missing_day(at(FRIDAY, 20))
    assert not watch.missing_day(at(FRIDAY, 20, 1))
    assert not watch.missing_day(at(FRIDAY + timedelta(days=2), 20))
    assert alarm().startswith("The bars of 2026-11-20 are not there: what is stored is complete until 2026-11-19.")


def test_a_day_that_is_there_is_not_missed() -> None:
    stored_until(FRIDAY)
    assert not watch.missing_day(at(FRIDAY, 20))


def test_an_empty_database_misses_nothing() -> None:
    assert not watch.missing_day(at(FRIDAY, 20))


def test_on_a_holiday_nothing_is_missed() -> None:
    # National Day of 2026: the exchange is closed from the 1st to the 7th of October.
    stored_until(date(2026, 9, 30))
    for day in range(1, 8):
        assert not watch.missing_day(at(date(2026, 10, day), 20))


def test_the_next_morning_there_is_time_to_catch_up() -> None:
    stored_until(THURSDAY)
    morning = at(FRIDAY + timedelta(days=1), 9)
    assert not watch.missing_day(morning + timedelta(minutes=5), in_sight_since=morning)
    assert watch.missing_day(morning + timedelta(minutes=31), in_sight_since=morning)


def test_the_alarm_says_what_is_known_about_why() -> None:
    stored_until(THURSDAY)
    task = make_task(status=Status.RUNNING, progress=40, waiting_until=at(FRIDAY, 21))
    watch.missing_day(at(FRIDAY, 20))
    said = alarm()
    assert "No worker is alive" in said
    assert "A task runs, at 40 %" in said
    assert "Every source rests until 21:00." in said
    Notice.objects.all().delete()
    ImportTask.objects.filter(pk=task.pk).update(status=Status.COMPLETED, finished_at=at(FRIDAY, 17))
    living_host()
    watch.missing_day(at(FRIDAY, 20))
    assert "No task waits or runs; the last one ended at 17:00" in alarm()
    assert "No worker is alive" not in alarm()


def test_the_alarm_tells_of_a_schedule_that_could_not_start() -> None:
    stored_until(THURSDAY)
    make_schedule(5, last_run_at=at(FRIDAY, 16, 30), last_outcome=Outcome.REFUSED, reason_id="The disk is full.")
    watch.missing_day(at(FRIDAY, 20))
    assert "The schedule “update of all stocks” could not start at 16:30. The disk is full." in alarm()


def resting(rest: timedelta, **values: object) -> None:
    now = at(FRIDAY, 20)
    values.setdefault("reason_values", {"source": "Sina"})
    SourceState.objects.create(
        source="sina", breaker=Breaker.OPEN, last_trouble_at=now, open_until=now + rest,
        reason_id="%(source)s refused", **values,
    )  # fmt: skip


def test_a_source_that_rests_for_long_is_told_once_a_day() -> None:
    resting(timedelta(minutes=32), last_success_at=at(FRIDAY, 17))
    assert watch.refusing_sources(at(FRIDAY, 20, 1)) == 1
    assert watch.refusing_sources(at(FRIDAY, 20, 2)) == 0
    assert sentence_of(Notice.objects.get()) == "Sina refused. Sina answered last at 17:00."


def test_the_news_of_a_source_has_what_it_said_last() -> None:
    said = {"msgid": "%(source)s did not answer (%(detail)s).", "values": {"source": "Sina", "detail": "timeout"}}
    resting(timedelta(minutes=32), reason_values={"source": "Sina", "said": said})
    watch.refusing_sources(at(FRIDAY, 20, 1))
    assert sentence_of(Notice.objects.get()) == "Sina refused. Sina did not answer (timeout)."


def test_a_source_that_rests_for_a_moment_is_no_news() -> None:
    resting(timedelta(minutes=4))
    assert watch.refusing_sources(at(FRIDAY, 20, 1)) == 0


def found(task: ImportTask, symbol: str, day: str) -> None:
    Failure.objects.create(
        task=task, symbol=symbol, code="amount", finding=True, reason_id="x", reason_values={"date": day}
    )  # fmt: skip


def ended_with(*findings: tuple[str, str]) -> ImportTask:
    task = make_task(status=Status.COMPLETED, message_id="Done.")
    for symbol, day in findings:
        found(task, symbol, day)
    task_ended(task)
    return task


def test_only_findings_that_no_earlier_task_listed_are_told() -> None:
    looked_at: set[int] = set()
    ended_with(("600000.SH", "2026-11-19"))
    assert watch.new_findings(at(FRIDAY, 20), looked_at) == 1
    ended_with(("600000.SH", "2026-11-19"))
    assert watch.new_findings(at(FRIDAY, 20), looked_at) == 0
    ended_with(("600000.SH", "2026-11-19"), ("600000.SH", "2026-11-20"), ("600001.SH", "2026-11-20"))
    assert watch.new_findings(at(FRIDAY, 20), looked_at) == 1
    newest = Notice.objects.filter(event=Event.FINDINGS).latest("id")
    assert sentence_of(newest) == "2 new findings. amount / shares is outside low..high: 2 (600000.SH, 600001.SH)."


def test_a_task_whose_findings_are_known_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended_with(("600000.SH", "2026-11-19"))
    watch.new_findings(at(FRIDAY, 20), set())
    ended_with(("600000.SH", "2026-11-19"))
    looked_at: set[int] = set()
    assert watch.new_findings(at(FRIDAY, 20), looked_at) == 0
    monkeypatch.setattr(watch, "_fresh_findings", lambda _task: pytest.fail("It was looked at again."))
    assert watch.new_findings(at(FRIDAY, 21), looked_at) == 0
