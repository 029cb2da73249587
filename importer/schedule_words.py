"""Schedules in words, for pages, API, admin and command line: when, what, what became of the last run, what is next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.utils.translation import gettext_noop

from importer import schedules
from importer.models import Kind, Outcome, Status, TaskSchedule
from importer.schedule_orders import Order, order_of
from importer.schedule_rules import Rule, When, is_assumed, next_run
from importer.sources.labels import label_of
from importer.task_words import kind_words, state_text, stocks_value
from marketdata.texts import Text, moment, sentence, word
from marketdata.trading_days import EXCHANGE_TIME, FINAL_FROM, Calendar

WEEKDAYS = (
    gettext_noop("Monday"),
    gettext_noop("Tuesday"),
    gettext_noop("Wednesday"),
    gettext_noop("Thursday"),
    gettext_noop("Friday"),
    gettext_noop("Saturday"),
    gettext_noop("Sunday"),
)
# A run that begins later than this after its time says for when it was meant.
ON_TIME = timedelta(minutes=5)


@dataclass(frozen=True)
class Upcoming:
    """The next run: when (None: there is none), whether its day is only assumed to be open, and in words."""

    at: datetime | None
    assumed: bool
    words: Text


def rule_text(rule: Rule) -> Text:
    """Return when the rule runs."""
    at = f"{rule.at:%H:%M}" if rule.at is not None else ""
    if rule.when == When.TRADING_DAY:
        return Text(gettext_noop("every trading day at %(time)s"), {"time": at})
    if rule.when == When.WEEKLY:
        return Text(gettext_noop("every %(weekday)s at %(time)s"), {"weekday": _weekday(rule.weekday), "time": at})
    if rule.when == When.ONCE:
        return Text(gettext_noop("once on %(date)s at %(time)s"), {"date": str(rule.day), "time": at})
    return Text(gettext_noop("by the cron expression %(cron)s"), {"cron": rule.cron})


def order_text(order: Order) -> Text:
    """Return what a run does."""
    values: dict[str, Any] = {"kind": sentence(kind_words(order.kind)), "stocks": stocks_value(order.symbols)}
    what = Text(gettext_noop("%(kind)s of %(stocks)s"), values)
    if order.start or order.end:
        values["start"] = str(order.start) if order.start else word(gettext_noop("the beginning"))
        values["end"] = str(order.end) if order.end else word(gettext_noop("the newest day"))
        what = Text(gettext_noop("%(kind)s of %(stocks)s from %(start)s to %(end)s"), values)
    if order.source is None:
        return what
    source = word(label_of(order.source))
    return Text(gettext_noop("%(what)s, source: %(source)s"), {"what": sentence(what), "source": source})


def whole_text(schedule: TaskSchedule) -> Text:
    """Return when the schedule runs, and what, in one phrase."""
    values = {"when": sentence(rule_text(schedule.rule)), "what": sentence(order_text(order_of(schedule)))}
    return Text(gettext_noop("%(when)s: %(what)s"), values)


def title_text(schedule: TaskSchedule) -> Text:
    """Return the schedule's name; what it runs where it has none."""
    return Text("%(name)s", {"name": schedule.name}) if schedule.name else order_text(order_of(schedule))


def note_text(rule: Rule, order: Order) -> Text | None:
    """Return what somebody should know who plans this; None when there is nothing."""
    at = _time_of_cron(rule.cron) if rule.when == When.CRON else rule.at
    if rule.when != When.ONCE and order.kind == Kind.UPDATE and at is not None and at < FINAL_FROM:
        return Text(
            gettext_noop("Bars of a day are final from 16:00 on: a run at %(time)s brings those of the day before."),
            {"time": f"{at:%H:%M}"},
        )
    return None


def _time_of_cron(cron: str) -> time | None:
    """Return the time of day of an expression that names one; None for several."""
    minute, hour = cron.split()[:2]
    return time(int(hour), int(minute)) if minute.isdecimal() and hour.isdecimal() else None


def upcoming(schedule: TaskSchedule, now: datetime, calendar: Calendar, *, workers: int) -> Upcoming:
    """Return the next run. ``workers``: how many are alive, without whom nothing starts."""
    due_at = _still_meant(schedule, calendar)
    if due_at is None:
        return Upcoming(None, assumed=False, words=_no_next_run(schedule))
    assumed = is_assumed(schedule.rule, due_at, calendar)
    values: Mapping[str, Any] = {"at": moment(due_at)}
    if due_at > now:
        words = gettext_noop("%(at)s, assumed: the exchange's calendar is not published that far")
        return Upcoming(due_at, assumed, Text(words if assumed else "%(at)s", values))
    if schedules.goes_on(schedule):
        paused = schedule.last_task is not None and schedule.last_task.status == Status.PAUSED
        waits = gettext_noop("due since %(at)s; starts when the last run has ended")
        words = gettext_noop("due since %(at)s; waits for the last run, which is paused") if paused else waits
    elif not workers:
        words = gettext_noop("due since %(at)s; starts as soon as a worker is alive")
    else:
        words = gettext_noop("due since %(at)s; starts now")
    return Upcoming(due_at, assumed, Text(words, values))


def last_text(schedule: TaskSchedule) -> Text:
    """Return what became of the last run."""
    if schedule.last_run_at is None or schedule.last_outcome == Outcome.NONE:
        return Text(gettext_noop("has not run yet"))
    values: dict[str, Any] = {"at": moment(schedule.last_run_at), "state": _last_state(schedule)}
    meant = schedule.last_meant_at
    if meant is not None and schedule.last_run_at - meant > ON_TIME:
        values["meant"] = moment(meant)
        return Text(gettext_noop("%(at)s (meant for %(meant)s): %(state)s"), values)
    return Text(gettext_noop("%(at)s: %(state)s"), values)


def _last_state(schedule: TaskSchedule) -> Any:
    if schedule.last_outcome == Outcome.REFUSED:
        reason = sentence(Text(schedule.reason_id, schedule.reason_values))
        return sentence(Text(gettext_noop("could not start. %(reason)s"), {"reason": reason}))
    if schedule.last_task is None:
        return word(gettext_noop("its task was cleared away"))
    return sentence(state_text(schedule.last_task))


def _no_next_run(schedule: TaskSchedule) -> Text:
    return Text(gettext_noop("paused") if schedule.paused else gettext_noop("does not run again"))


def _still_meant(schedule: TaskSchedule, calendar: Calendar) -> datetime | None:
    """Return the due time; the next one when its day was assumed to be open and is closed."""
    due_at = schedule.due_at
    if due_at is None or schedule.rule.when != When.TRADING_DAY:
        return due_at
    open_then = calendar.is_open(due_at.astimezone(EXCHANGE_TIME).date())
    return due_at if open_then else next_run(schedule.rule, due_at, calendar)


def _weekday(number: int | None) -> Any:
    return word(WEEKDAYS[(number or 1) - 1])
