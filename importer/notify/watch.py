"""What nobody's transaction can tell: a day that did not come, a source that refuses for long, findings that are new.

Each is derived from the tables and written down once; looking again does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_noop

from importer.failure_words import code_text
from importer.hosts import live_workers
from importer.models import Breaker, Failure, ImportTask, Outcome, SourceState, Status, TaskSchedule
from importer.notify.events import new_finding_lines, record
from importer.notify.models import Event, Notice
from importer.pace_rules import said_last
from importer.pacing import last_trouble
from importer.sources.labels import label_of
from importer.status import active_task, completeness, known_on
from importer.task_words import request_text
from importer.verdict import complete_until
from importer.waiting import waits_for_network
from marketdata.texts import Text, moment, sentence, word
from marketdata.trading_days import EXCHANGE_TIME, is_assumed, newest_finished_day

# A rest of so long comes after some ten minutes of refusals, or because the source asked for it.
LONG_REST = timedelta(minutes=30)
# A finding that was listed within this time is not new.
KNOWN_FOR = timedelta(days=90)

_MISSING = gettext_noop("The bars of %(day)s are not there: what is stored is complete until %(until)s.")
_ASSUMED = gettext_noop("That this is a trading day is only assumed.")


def missing_day(now: datetime, *, in_sight_since: datetime | None = None) -> bool:
    """Write down that the newest finished day is not there though it is late enough; say whether that is new.

    The next morning somebody who was away gets the time to catch up: half an hour after ``in_sight_since``, when
    this process began. An empty database misses nothing.
    """
    at = settings.NOTIFY_MISSING_AT
    local = now.astimezone(EXCHANGE_TIME)
    if at is None or _surely_complete(local):
        return False
    newest = newest_finished_day(now)
    if now < datetime.combine(newest, at, EXCHANGE_TIME):
        return False
    if newest < local.date() and in_sight_since is not None and now - in_sight_since < LONG_REST:
        return False
    key = f"missing:{newest.isoformat()}"
    if Notice.objects.filter(key=key).exists():
        return False
    stored = completeness(now)
    if stored.until is None or stored.until >= newest:
        return False
    lines = [Text(_MISSING, {"day": newest.isoformat(), "until": stored.until.isoformat()}), *_why()]
    if is_assumed(newest):
        lines.append(Text(_ASSUMED))
    return record(key, Event.MISSING, lines)


def refusing_sources(now: datetime) -> int:
    """Write down which sources rest for long, at most once a day each; return how many are new."""
    day = now.astimezone(EXCHANGE_TIME).date().isoformat()
    long_rest = min(LONG_REST, timedelta(seconds=settings.BREAKER_LONGEST_REST))
    found = 0
    for state in SourceState.objects.filter(breaker=Breaker.OPEN, open_until__gt=now).exclude(last_trouble_at=None):
        if state.open_until is None or state.last_trouble_at is None:
            continue
        if state.open_until - state.last_trouble_at >= long_rest:
            reason = Text(state.reason_id, state.reason_values)
            lines = [Text("%(reason)s.", {"reason": sentence(reason)})]
            if (said := said_last(reason)) is not None:
                lines.append(said)
            if state.last_success_at is not None:
                answered = gettext_noop("%(source)s answered last at %(time)s.")
                values = {"source": word(label_of(state.source)), "time": moment(state.last_success_at)}
                lines.append(Text(answered, values))
            found += record(f"source:{state.source}:{day}", Event.SOURCE, lines)
    return found


def new_findings(now: datetime, looked_at: set[int]) -> int:
    """Write down what tasks found that no earlier one had listed; return how many tasks found something new.

    ``looked_at``: the notices of ended tasks that were looked at; they are not looked at again, and new ones are added.
    """
    found = 0
    ended = Notice.objects.filter(event__in=(Event.COMPLETED, Event.FAILURES), created_at__gt=now - timedelta(days=1))
    ended = ended.exclude(pk__in=looked_at).filter(task__failures__finding=True)
    for notice in ended.select_related("task").distinct():
        key = f"findings:{notice.task_id}"
        if notice.task is not None and not Notice.objects.filter(key=key).exists():
            fresh = _fresh_findings(notice.task)
            found += bool(fresh) and record(key, Event.FINDINGS, new_finding_lines(fresh), task=notice.task)
        looked_at.add(notice.pk)
    return found


def _surely_complete(local: datetime) -> bool:
    """Say whether nothing can be missing, without the calendar, which takes 40 MB: on most days it is not needed."""
    day = local.date()
    # Before the alarm's hour today is not missed yet.
    if settings.NOTIFY_MISSING_AT is not None and local.time() < settings.NOTIFY_MISSING_AT:
        day -= timedelta(days=1)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    known = known_on(day)
    until, _behind = complete_until(known)
    return not known or (until is not None and until >= day)


def _why() -> Iterator[Text]:
    """Yield what is known about why the day is missing."""
    active = active_task()
    if not live_workers():
        yield Text(gettext_noop("No worker is alive: start `python manage.py serve`."))
    yield from _refused_schedules()
    if active is None:
        last = ImportTask.objects.exclude(finished_at=None).order_by("-finished_at").first()
        if last is None or last.finished_at is None:
            yield Text(gettext_noop("No update was started."))
        else:
            ended = {"task": sentence(request_text(last)), "at": moment(last.finished_at)}
            yield Text(gettext_noop("No task waits or runs; the last one ended at %(at)s: %(task)s."), ended)
        return
    values: dict[str, Any] = {"task": sentence(request_text(active)), "percent": active.progress}
    if active.status == Status.RUNNING:
        yield Text(gettext_noop("A task runs, at %(percent)s %%: %(task)s."), values)
    elif active.status == Status.PAUSED:
        yield Text(gettext_noop("A task is paused: %(task)s."), values)
    else:
        yield Text(gettext_noop("A task waits for its turn: %(task)s."), values)
    if active.status == Status.RUNNING and waits_for_network(active):
        yield Text(active.message_id, active.message_values)
    elif active.status == Status.RUNNING and active.waiting_until is not None:
        yield Text(gettext_noop("Every source rests until %(at)s."), {"at": moment(active.waiting_until)})
        if (said := last_trouble()) is not None:
            yield said


def _refused_schedules() -> Iterator[Text]:
    """Yield why schedules could not start their last run, which left no task that could tell it."""
    # It needs what checks a request, which the notifier can do without on all other days.
    from importer.schedule_words import title_text

    for schedule in TaskSchedule.objects.filter(last_outcome=Outcome.REFUSED).exclude(last_run_at=None):
        values = {"schedule": sentence(title_text(schedule)), "at": moment(schedule.last_run_at or schedule.created_at)}
        values["reason"] = sentence(Text(schedule.reason_id, schedule.reason_values))
        yield Text(gettext_noop("The schedule “%(schedule)s” could not start at %(at)s. %(reason)s"), values)


def _fresh_findings(task: ImportTask) -> list[tuple[Text, list[str]]]:
    """Return the kinds of finding of which the task has new ones, each with the stocks of these."""
    listed = Failure.objects.filter(task=task, finding=True).order_by("id")
    rows = list(listed.values_list("symbol", "code", "reason_values"))
    earlier = Failure.objects.filter(finding=True, code__in={code for _symbol, code, _values in rows})
    earlier = earlier.filter(at__gt=task.created_at - KNOWN_FOR).exclude(task=task)
    symbols = {symbol for symbol, _code, _values in rows}
    if len(symbols) <= 500:
        earlier = earlier.filter(symbol__in=symbols)
    known = {_identity(*row) for row in earlier.values_list("symbol", "code", "reason_values").iterator()}
    fresh: dict[str, list[str]] = {}
    for row in rows:
        if _identity(*row) not in known:
            fresh.setdefault(row[1], []).append(row[0])
    return [(code_text(code), stocks) for code, stocks in fresh.items()]


def _identity(symbol: str, code: str, values: dict[str, object]) -> tuple[str, str, str]:
    """Return what makes a finding the same one: the stock, the kind, and the day it is about."""
    return symbol, code, str(values.get("date") or values.get("day") or "")
