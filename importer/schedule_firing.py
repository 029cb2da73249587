"""What happens when a schedule is due. django-q2's scheduler rings; when a bell counts is decided here.

docs/decisions/012-schedules.md says why.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from config.log_lines import log_time
from importer import schedules
from importer.dbtime import db_now
from importer.dispatch import dispatch_soon
from importer.estimate import check_space
from importer.exceptions import UnknownSchedule
from importer.models import ImportTask, Outcome, TaskSchedule
from importer.schedule_orders import order_of
from importer.schedule_rules import is_due, next_run
from importer.task_requests import TaskRequest, submit
from marketdata.texts import ExplainedError
from marketdata.trading_days import known_calendar

logger = logging.getLogger(__name__)

# Of two at once one wins; whoever loses so often leaves it to the next bell, a minute later.
_ROUNDS = 5
# Clocks of machines differ by less; one that was ahead by more has been set right.
_SET_BACK = timedelta(hours=1)


def ring_due_bells(now: datetime | None = None) -> None:
    """Let django-q2 send the messages of the schedules that are due. Run every two seconds by each cluster.

    Its scheduler begins a writing transaction: it is called only when there is something to send.
    """
    from django_q.models import Schedule
    from django_q.scheduler import scheduler

    now = now or timezone.now()
    _bring_back_runs(now)
    if Schedule.objects.filter(next_run__lt=now).exclude(repeats=0).exists():
        scheduler()


def _bring_back_runs(now: datetime) -> None:
    """Plan anew what ran last while the clock was ahead, by a day or by the hours of a time zone.

    Its due time is counted from that clock: the runs before it would be left out without a word.
    """
    for row in schedules.all_schedules().filter(last_run_at__gt=now + _SET_BACK, due_at__gt=now):
        # Of several machines one may be behind: the database's clock has to agree.
        true_now = max(now, db_now())
        if row.last_run_at is None or row.due_at is None or row.last_run_at <= true_now + _SET_BACK:
            continue
        following = next_run(row.rule, true_now, known_calendar())
        if following is not None and following < row.due_at and schedules.claim(row, due_at=following):
            logger.warning(
                "schedule %s: the clock was set back, from %s or later; the next run is at %s",
                row.pk, log_time(row.last_run_at), log_time(following),
            )  # fmt: skip


def ring(schedule_id: int) -> None:
    """Start the schedule's run if it is due. Run by django-q2; a message that is late or comes twice does nothing."""
    if run_if_due(schedule_id, timezone.now()) is not None:
        # After the transaction: the row stands, and the cluster finds it also if this fails.
        dispatch_soon()


def run_if_due(schedule_id: int, now: datetime) -> ImportTask | None:
    """Start the run that is due at ``now`` and return its task; None when there is nothing to start.

    1. Not due, paused, deleted: nothing.
    2. The last run goes on: nothing yet. The run stays due, the bell rings again in a minute, and however many
       runs were meant meanwhile, one is started when the last one has ended.
    3. What is asked for is checked, outside the transaction: it may read files and look for room.
    4. In one transaction: move the due time to the next run after ``now``, guarded by what was seen (of two
       clusters, or of a run and an edit at once, one wins), and make the task.
    A day that was assumed open and is closed is passed over; it is no run.
    """
    for _round in range(_ROUNDS):
        try:
            row = schedules.get_schedule(schedule_id)
        except UnknownSchedule:
            return None
        if row.due_at is None or row.due_at > now:
            return None
        calendar = known_calendar()
        following = next_run(row.rule, now, calendar)
        meant = is_due(row.rule, row.due_at, now, calendar)
        if meant is None:
            if schedules.claim(row, due_at=following):
                logger.info("schedule %s: the exchange is closed at %s", row.pk, log_time(row.due_at))
                return None
        elif schedules.goes_on(row):
            return None
        else:
            request = _request(row, now)
            run = {"due_at": following, "last_run_at": now, "last_meant_at": meant}
            with transaction.atomic():
                if not schedules.claim(row, **run):
                    continue
                if isinstance(request, TaskRequest):
                    return _start(row, request)
                _refuse(row, request)
                return None
    return None


def _request(row: TaskSchedule, now: datetime) -> TaskRequest | ExplainedError:
    try:
        request = order_of(row).request(now)
        check_space(request)
    except ExplainedError as error:
        return error
    return request


def _start(row: TaskSchedule, request: TaskRequest) -> ImportTask:
    submission = submit(request, by=f"schedule: {row}")
    schedules.note_run(row, submission)
    logger.info("schedule %s: task %s", row.pk, submission.task.pk)
    return submission.task


def _refuse(row: TaskSchedule, error: ExplainedError) -> None:
    logger.warning("schedule %s could not start: %s", row.pk, error)
    TaskSchedule.objects.filter(pk=row.pk).update(
        last_outcome=Outcome.REFUSED, reason_id=error.text.msgid, reason_values=dict(error.text.values)
    )
