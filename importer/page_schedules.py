"""What the pages show of schedules: frozen values that templates put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext_noop

from importer import schedules
from importer.hosts import live_workers
from importer.models import Kind, Outcome, TaskSchedule
from importer.schedule_orders import order_of
from importer.schedule_rules import When
from importer.schedule_words import Upcoming, last_text, note_text, order_text, rule_text, upcoming
from marketdata.texts import Text, moment, sentence
from marketdata.trading_days import known_calendar


@dataclass(frozen=True)
class ScheduleLine:
    """A schedule as the list shows it. ``state`` is empty while all is as usual."""

    schedule: TaskSchedule
    when: Text
    what: Text
    upcoming: Upcoming
    last: Text
    state: Text
    tone: str
    note: Text | None
    goes_on: bool

    @property
    def priority(self) -> int:
        return order_of(self.schedule).priority

    @property
    def can_pause(self) -> bool:
        return not self.schedule.paused and self.schedule.due_at is not None


@dataclass(frozen=True)
class SchedulePage:
    """Every schedule, and one sentence about them all."""

    verdict: Text
    lines: Sequence[ScheduleLine]


def schedule_page() -> SchedulePage:
    """Return every schedule as the page shows it now."""
    now = timezone.now()
    lines = _lines(list(schedules.all_schedules()), now)
    return SchedulePage(_verdict(lines), lines)


def line_of(schedule: TaskSchedule) -> ScheduleLine:
    """Return one schedule as pages show it."""
    return _lines([schedule], timezone.now())[0]


def daily_line() -> ScheduleLine | None:
    """Return the schedule that updates every stock on trading days, one that is not paused first; None without one."""
    found = [
        each for each in schedules.all_schedules().filter(kind=Kind.UPDATE, when=When.TRADING_DAY)
        if order_of(each).symbols is None
    ]  # fmt: skip
    found.sort(key=lambda each: each.paused)
    return line_of(found[0]) if found else None


def _lines(found: Sequence[TaskSchedule], now: datetime) -> list[ScheduleLine]:
    if not found:
        return []
    calendar, workers = known_calendar(), live_workers()
    return [_line(each, upcoming(each, now, calendar, workers=workers), now) for each in found]


def _line(schedule: TaskSchedule, following: Upcoming, now: datetime) -> ScheduleLine:
    order = order_of(schedule)
    state, tone = _state(schedule, now)
    return ScheduleLine(
        schedule=schedule,
        when=rule_text(schedule.rule),
        what=order_text(order),
        upcoming=following,
        last=last_text(schedule),
        state=Text(state),
        tone=tone,
        note=note_text(schedule.rule, order),
        goes_on=schedules.goes_on(schedule),
    )


def _state(schedule: TaskSchedule, now: datetime) -> tuple[str, str]:
    if schedule.paused:
        return gettext_noop("paused"), "warn"
    if schedule.last_outcome == Outcome.REFUSED:
        return gettext_noop("could not start"), "bad"
    if schedule.due_at is None:
        return gettext_noop("has run"), "ok"
    return (gettext_noop("is due"), "") if schedule.due_at <= now else ("", "")


def _verdict(lines: Sequence[ScheduleLine]) -> Text:
    if not lines:
        return Text(gettext_noop("Nothing runs by itself yet"))
    planned = [line for line in lines if line.upcoming.at is not None]
    if not planned:
        return Text(gettext_noop("Nothing is planned: every schedule is paused or has run"))
    first = min(planned, key=lambda line: line.upcoming.at or timezone.now())
    values = {"what": sentence(first.what), "at": moment(first.upcoming.at) if first.upcoming.at else ""}
    return Text(gettext_noop("Next: %(at)s, %(what)s"), values)
