"""When a schedule runs: rules, and the moments that they name. Pure: calendar and time come in as arguments.

Moments are aware, in exchange time, to the minute. The exchange's calendar says which days are open, known or
assumed; a rule that does not ask for trading days never looks at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from croniter import CroniterBadDateError, CroniterError, croniter
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest
from marketdata.texts import listed
from marketdata.trading_days import EXCHANGE_TIME, Calendar

# Half an hour after the bars of a day are final.
USUAL_TIME = time(16, 30)
CRON_FIELDS = 5
CRON_LONGEST = 100
# croniter also takes random and hashed values (R, H), whose meaning nobody could read off the expression.
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_WORDS = frozenset([*_MONTHS, *_WEEKDAYS, "l"])


class When(models.TextChoices):
    TRADING_DAY = "trading_day", _("every trading day")  # the exchange's calendar decides
    WEEKLY = "weekly", _("every week")  # on one weekday, open or not
    ONCE = "once", _("once")  # on one date
    CRON = "cron", _("cron expression")


# What each kind of rule is made of, by the names that people use.
PARTS = {
    When.TRADING_DAY: ("time",),
    When.WEEKLY: ("weekday", "time"),
    When.ONCE: ("date", "time"),
    When.CRON: ("cron",),
}


@dataclass(frozen=True)
class Rule:
    """When to run. ``at`` is exchange time, of every rule but cron; ``weekday`` 1 (Monday) to 7, of weekly ones."""

    when: When
    at: time | None = None
    weekday: int | None = None
    day: date | None = None
    cron: str = ""


def checked_rule(
    when: str, *, at: time | None = None, weekday: int | None = None, day: date | None = None, cron: str | None = None
) -> Rule:
    """Return the rule. Raises BadRequest, with the field, when a part is missing, wrong or of another kind of rule."""
    kind = checked_when(when)
    cron = " ".join((cron or "").split())
    parts = {"time": at, "weekday": weekday, "date": day, "cron": cron or None}
    for name, value in parts.items():
        if name in PARTS[kind] and value is None:
            raise BadRequest(name, gettext_noop("A schedule of the kind %(when)s needs “%(field)s”."), when=kind.value, field=name)  # fmt: skip  # noqa: E501
        if name not in PARTS[kind] and value is not None:
            raise BadRequest(name, gettext_noop("A schedule of the kind %(when)s has no “%(field)s”. Leave it out."), when=kind.value, field=name)  # fmt: skip  # noqa: E501
    if weekday is not None and not 1 <= weekday <= 7:
        raise BadRequest("weekday", gettext_noop("The weekday %(weekday)s is not between 1 (Monday) and 7 (Sunday)."), weekday=str(weekday))  # fmt: skip  # noqa: E501
    if at is not None:
        at = at.replace(second=0, microsecond=0, tzinfo=None)
    if kind == When.CRON:
        _check_cron(cron)
    return Rule(kind, at, weekday, day, cron)


def checked_when(when: str) -> When:
    """Return the kind of a rule. Raises BadRequest."""
    if when not in When.values:
        raise BadRequest("when", gettext_noop("“%(field)s” must be one of %(names)s."), field="when", names=listed(When.values))  # fmt: skip  # noqa: E501
    return When(when)


def next_run(rule: Rule, after: datetime, calendar: Calendar) -> datetime | None:
    """Return the first moment after ``after`` at which the rule runs; None when there is none any more."""
    after = after.astimezone(EXCHANGE_TIME)
    if rule.when == When.CRON:
        try:
            return _exchange(croniter(rule.cron, after).get_next(datetime))
        except CroniterBadDateError:
            return None
    day = rule.day if rule.when == When.ONCE else _first_day(rule, after.date(), calendar)
    if day is None:
        return None
    moment = _moment(rule, day)
    if moment > after:
        return moment
    return None if rule.when == When.ONCE else _moment(rule, _day_after(rule, day, calendar))


def latest_run(rule: Rule, until: datetime, calendar: Calendar) -> datetime | None:
    """Return the last moment not after ``until`` at which the rule runs; None when there was none."""
    until = until.astimezone(EXCHANGE_TIME)
    if rule.when == When.CRON:
        # croniter looks for what is before its start, so the start is the second after.
        start = until.replace(microsecond=0) + timedelta(seconds=1)
        try:
            return _exchange(croniter(rule.cron, start).get_prev(datetime))
        except CroniterBadDateError:
            return None
    today = until.date()
    if rule.when == When.ONCE:
        day = rule.day
    elif rule.when == When.TRADING_DAY:
        is_today = calendar.is_open(today) and _moment(rule, today) <= until
        day = today if is_today else calendar.last_before(today)
    else:
        day = today - timedelta(days=(today.isoweekday() - _weekday(rule)) % 7)
        if _moment(rule, day) > until:
            day -= timedelta(days=7)
    if day is None:
        return None
    moment = _moment(rule, day)
    return moment if moment <= until else None


def is_due(rule: Rule, due_at: datetime, now: datetime, calendar: Calendar) -> datetime | None:
    """Return the moment for which the rule has to run now: the latest of those from ``due_at`` to ``now``.

    Those before it were missed and are not made up for one by one. None when it is not time yet, or when a day
    that was assumed to be open turned out closed.
    """
    latest = latest_run(rule, now, calendar)
    return latest if latest is not None and latest >= due_at else None


def is_assumed(rule: Rule, moment: datetime, calendar: Calendar) -> bool:
    """Say whether it is only assumed that the rule runs at ``moment``: the calendar is not known that far."""
    return rule.when == When.TRADING_DAY and calendar.is_assumed(moment.astimezone(EXCHANGE_TIME).date())


def _first_day(rule: Rule, day: date, calendar: Calendar) -> date:
    """Return the first day of the rule that is not before ``day``."""
    if rule.when == When.TRADING_DAY:
        return day if calendar.is_open(day) else calendar.next_after(day)
    return day + timedelta(days=(_weekday(rule) - day.isoweekday()) % 7)


def _day_after(rule: Rule, day: date, calendar: Calendar) -> date:
    """Return the day of the rule that follows ``day``, which is one."""
    return calendar.next_after(day) if rule.when == When.TRADING_DAY else day + timedelta(days=7)


def _weekday(rule: Rule) -> int:
    if rule.weekday is None:
        raise ValueError(f"{rule} has no weekday")
    return rule.weekday


def _moment(rule: Rule, day: date) -> datetime:
    if rule.at is None:
        raise ValueError(f"{rule} has no time")
    return datetime.combine(day, rule.at, EXCHANGE_TIME)


def _exchange(moment: datetime) -> datetime:
    # croniter sets fold where no hour comes twice.
    return moment.astimezone(EXCHANGE_TIME).replace(fold=0)


def _check_cron(cron: str) -> None:
    words = re.findall(r"[a-z]+", cron.lower())
    readable = len(cron) <= CRON_LONGEST and len(cron.split()) == CRON_FIELDS and _CRON_WORDS.issuperset(words)
    try:
        if not readable or "@" in cron:
            raise CroniterError(cron)
        croniter(cron, datetime(2024, 1, 1, tzinfo=EXCHANGE_TIME)).get_next(datetime)
    except CroniterBadDateError as error:
        raise BadRequest("cron", gettext_noop("“%(cron)s” names a date that never comes."), cron=cron) from error
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        raise BadRequest(
            "cron",
            gettext_noop(
                "“%(cron)s” is not a cron expression. It has five parts: minute, hour, day, month, weekday, "
                "such as 30 16 * * 1-5."
            ),
            cron=cron[:CRON_LONGEST],
        ) from error
