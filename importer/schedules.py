"""Schedules as people make, change and steer them. What happens when one is due is in ``schedule_firing.py``.

Each change is one conditional UPDATE on the row's revision and due time: of two at once, or of an edit and a run
at once, one wins, and the other looks again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop
from django_q.models import Schedule

from importer.estimate import check_space
from importer.exceptions import BadRequest, NotAllowedNow, UnknownSchedule
from importer.models import ACTIVE, Outcome, TaskSchedule
from importer.schedule_orders import FIELDS_OF_KIND, Order, checked_kind, checked_order, fingerprint, order_of
from importer.schedule_rules import PARTS, Rule, checked_rule, checked_when, next_run
from importer.task_requests import Submission, submit
from marketdata.texts import word
from marketdata.trading_days import known_calendar

logger = logging.getLogger(__name__)

RING = "importer.schedule_firing.ring"
# django-q2 rings again after this until the row's due time has moved: a message that is lost costs a minute.
RING_AGAIN = "* * * * *"
NAME_LONGEST = 80

# Of two changes at once one looks again; more than a few in a row are no accident.
_ROUNDS = 5


@dataclass(frozen=True)
class Made:
    """The schedule that answers a wish: a new one, or the same one that was there."""

    schedule: TaskSchedule
    existing: bool


def all_schedules() -> QuerySet[TaskSchedule]:
    """Return every schedule with its last task, in the order in which they were made."""
    return TaskSchedule.objects.select_related("last_task").order_by("created_at", "bell_id")


def get_schedule(schedule_id: int | str) -> TaskSchedule:
    """Return the schedule. Raises UnknownSchedule for an id that is none, or of no schedule."""
    digits = str(schedule_id)
    # Longer numbers are of no row, and SQLite takes none above 2**63.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9):
        raise UnknownSchedule(schedule=digits[:40])
    found = all_schedules().filter(pk=int(digits)).first()
    if found is None:
        raise UnknownSchedule(schedule=digits)
    return found


def create(wish: Mapping[str, Any], *, paused: bool = False, by: str = "", now: datetime | None = None) -> Made:
    """Make the schedule that ``wish`` describes, or return the same one that is there.

    Of ``wish``: name; when, with the parts that PARTS lists; kind, with the fields that FIELDS_OF_KIND lists.
    Raises BadRequest, with the field, or MixedOrigins.
    """
    now = now or timezone.now()
    rule, order, due_at = _checked(wish, now)
    name, mark = _checked_name(wish.get("name")), fingerprint(rule, order)
    if found := all_schedules().filter(fingerprint=mark).first():
        return Made(found, existing=True)
    try:
        with transaction.atomic():
            bell = Schedule.objects.create(
                name=name, func=RING, schedule_type=Schedule.CRON, cron=RING_AGAIN, next_run=None
            )
            values = {**_columns(rule, order), "name": name, "fingerprint": mark}
            made = TaskSchedule.objects.create(bell=bell, created_by=by[:80], paused=paused, **values)
            _set_bell(made.pk, args=str(made.pk))
            _move(made, due_at=None if paused else due_at)
    except IntegrityError:
        # Somebody made the same one meanwhile.
        return Made(all_schedules().get(fingerprint=mark), existing=True)
    logger.info("schedule %s made by %s", made.pk, by)
    return Made(get_schedule(made.pk), existing=False)


def change(
    schedule_id: int | str, edits: Mapping[str, Any], *, by: str = "", now: datetime | None = None
) -> TaskSchedule:
    """Change the fields that ``edits`` names, all at once.

    A change of when it runs counts from now on: a run that was due under the old rule and has not started is not
    made up for. Any other change leaves the next run where it is; it starts with what the schedule then says.
    Raises UnknownSchedule, BadRequest, MixedOrigins, or NotAllowedNow when another schedule is the same.
    """
    now = now or timezone.now()
    for _round in range(_ROUNDS):
        row = get_schedule(schedule_id)
        rule, order, due_at = _checked(_merged(row, edits), now, present=row.rule)
        values = {**_columns(rule, order), "fingerprint": fingerprint(rule, order), "revision": row.revision + 1}
        if "name" in edits:
            values["name"] = _checked_name(edits["name"])
        if rule != row.rule:
            values["due_at"] = None if row.paused else due_at
        try:
            with transaction.atomic():
                if not _move(row, **values):
                    continue
                _set_bell(row.pk, name=values.get("name", row.name))
        except IntegrityError as error:
            raise NotAllowedNow(gettext_noop("There is the same schedule already.")) from error
        logger.info("schedule %s changed by %s: %s", row.pk, by, ", ".join(edits))
        return get_schedule(row.pk)
    raise _too_busy()


def pause(schedule_id: int | str, *, by: str = "") -> TaskSchedule:
    """Let the schedule rest; a task that it started goes on. Again is no error.

    Raises UnknownSchedule, or NotAllowedNow when it does not run again anyway.
    """
    for _round in range(_ROUNDS):
        row = get_schedule(schedule_id)
        if row.paused:
            return row
        if row.due_at is None:
            raise NotAllowedNow(gettext_noop("This schedule has run and does not run again."))
        if _move(row, paused=True, due_at=None, revision=row.revision + 1):
            logger.info("schedule %s paused by %s", row.pk, by)
            return get_schedule(row.pk)
    raise _too_busy()


def resume(schedule_id: int | str, *, by: str = "", now: datetime | None = None) -> TaskSchedule:
    """Let the schedule run again, from now on: runs missed while it was paused are not made up for. Again is no error.

    Raises UnknownSchedule, or NotAllowedNow when its time has passed.
    """
    now = now or timezone.now()
    for _round in range(_ROUNDS):
        row = get_schedule(schedule_id)
        if not row.paused and row.due_at is not None:
            return row
        due_at = next_run(row.rule, now, known_calendar())
        if due_at is None:
            raise NotAllowedNow(gettext_noop("The time of this schedule has passed. Change it to a later one."))
        if _move(row, paused=False, due_at=due_at, revision=row.revision + 1):
            logger.info("schedule %s resumed by %s", row.pk, by)
            return get_schedule(row.pk)
    raise _too_busy()


def run_now(schedule_id: int | str, *, by: str = "", now: datetime | None = None) -> Submission:
    """Start what the schedule runs, now, also while it is paused; its next run stays where it is.

    Raises UnknownSchedule, NotAllowedNow while its last run goes on, or what a request by hand raises.
    """
    now = now or timezone.now()
    for _round in range(_ROUNDS):
        row = get_schedule(schedule_id)
        if goes_on(row):
            raise NotAllowedNow(
                gettext_noop("The last run of this schedule still goes on (%(status)s)."),
                status=word(row.last_task.status if row.last_task else ""),
            )
        request = order_of(row).request(now)
        check_space(request)
        with transaction.atomic():
            started = {"last_run_at": now, "last_meant_at": None, "revision": row.revision + 1}
            if not _move(row, **started):
                continue
            submission = submit(request, by=by)
            note_run(row, submission)
        return submission
    raise _too_busy()


def delete(schedule_id: int | str, *, by: str = "") -> None:
    """Delete the schedule; a task that it started goes on. Raises UnknownSchedule."""
    row = get_schedule(schedule_id)
    Schedule.objects.filter(pk=row.pk).delete()
    logger.info("schedule %s deleted by %s", row.pk, by)


def goes_on(schedule: TaskSchedule) -> bool:
    """Say whether the task of the schedule's last run has not ended."""
    return schedule.last_task is not None and schedule.last_task.status in ACTIVE


def claim(schedule: TaskSchedule, **values: Any) -> bool:
    """Change a schedule as it was seen; False when it was changed, or has run, meanwhile. For ``schedule_firing``."""
    return _move(schedule, **values)


def note_run(schedule: TaskSchedule, submission: Submission) -> None:
    """Write down which task a run made or joined."""
    TaskSchedule.objects.filter(pk=schedule.pk).update(
        last_task=submission.task,
        last_outcome=Outcome.JOINED if submission.existing else Outcome.STARTED,
        reason_id="",
        reason_values={},
    )


def _move(row: TaskSchedule, **values: Any) -> bool:
    """Change the row as it was seen, and the bell with it; False when somebody else changed it."""
    with transaction.atomic():
        seen = TaskSchedule.objects.filter(pk=row.pk, revision=row.revision, due_at=row.due_at)
        if not seen.update(**values):
            return False
        if "due_at" in values:
            _set_bell(row.pk, next_run=values["due_at"])
    return True


def _set_bell(pk: int, **values: Any) -> None:
    Schedule.objects.filter(pk=pk).update(**values)


def _checked(
    wish: Mapping[str, Any], now: datetime, *, present: Rule | None = None
) -> tuple[Rule, Order, datetime | None]:
    """Return when, what, and the first run from ``now`` on; that there is one, unless the ``present`` rule stays."""
    rule = checked_rule(
        wish["when"],
        at=wish.get("time"),
        weekday=wish.get("weekday"),
        day=wish.get("date"),
        cron=wish.get("cron"),
    )
    due_at = next_run(rule, now, known_calendar())
    if due_at is None and rule != present:
        raise BadRequest(
            "date", gettext_noop("%(at)s has passed. Name a later time."), at=f"{rule.day} {rule.at:%H:%M}"
        )
    order = checked_order(
        wish["kind"],
        due_at or now,
        symbols=wish.get("symbols"),
        source=wish.get("source"),
        start=wish.get("start_date"),
        end=wish.get("end_date"),
        path=wish.get("path"),
        refresh=bool(wish.get("refresh")),
        priority=wish.get("priority") or 0,
    )
    return rule, order, due_at


def _merged(row: TaskSchedule, edits: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the schedule says with the edits; parts that the new kind does not have fall away."""
    kept = order_of(row)
    old: dict[str, Any] = {
        "when": row.when, "time": row.at, "weekday": row.weekday, "date": row.day, "cron": row.cron,
        "kind": row.kind, "symbols": kept.symbols, "source": kept.source, "priority": kept.priority,
        "start_date": kept.start, "end_date": kept.end, "path": kept.path, "refresh": kept.refresh,
    }  # fmt: skip
    new = {**old, **edits}
    stays = {"when", "kind", *edits, *PARTS[checked_when(new["when"])], *FIELDS_OF_KIND[checked_kind(new["kind"])]}
    return {name: value for name, value in new.items() if name in stays}


def _columns(rule: Rule, order: Order) -> dict[str, Any]:
    return {
        "when": rule.when, "at": rule.at, "weekday": rule.weekday, "day": rule.day, "cron": rule.cron,
        "kind": order.kind, "order_values": order.kept(),
    }  # fmt: skip


def _checked_name(name: str | None) -> str:
    name = " ".join((name or "").split())
    if len(name) > NAME_LONGEST:
        raise BadRequest("name", gettext_noop("The name is longer than %(most)s characters."), most=NAME_LONGEST)
    return name


def _too_busy() -> BadRequest:
    return BadRequest("", gettext_noop("Too many changes of this schedule come at once. Try again in a moment."))
