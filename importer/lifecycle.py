"""Every change of an ImportTask's state: the one state machine.

Each change is one conditional UPDATE. Of two callers at once one wins; the other gets ``False`` (the machinery)
or a NotAllowedNow that says why (a person).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_noop

from importer import progress
from importer.dbtime import db_now
from importer.exceptions import NotAllowedNow, UnknownTask
from importer.leases import lease_over
from importer.models import ACTIVE, FINISHED, Action, Failure, ImportChunk, ImportTask, LaneSlot, Status, Transition
from importer.notify.events import task_ended
from marketdata.texts import Text, word

# Which states a person may act on, and what then happens, is decided here alone.
CANCELLABLE = (Status.PENDING, Status.RUNNING, Status.PAUSED)
PAUSABLE = (Status.PENDING, Status.RUNNING)
RESUMABLE = (Status.PAUSED, Status.FAILED)
LOWEST_PRIORITY, HIGHEST_PRIORITY = -10, 10

WAITING_TEXT = Text(gettext_noop("Waiting for its turn."))
PAUSED_TEXT = Text(gettext_noop("Paused. Resume it to go on where it was."))
CANCELLED_TEXT = Text(gettext_noop("Cancelled. What was stored stays."))
STEPPED_ASIDE_TEXT = Text(gettext_noop("Stepped aside for a task of higher priority."))


def get_task(task_id: UUID | str) -> ImportTask:
    """Return the task. Raises UnknownTask for an id that is none, or of no task."""
    try:
        return ImportTask.objects.get(pk=task_id)
    except (ImportTask.DoesNotExist, ValidationError, ValueError) as error:
        raise UnknownTask(task=str(task_id)) from error


def cancel(task_id: UUID | str, *, by: str = "") -> ImportTask:
    """Ask for the task's end; what was stored stays. Asking again is no error.

    A waiting or paused task ends at once, a running one between two stocks.
    Raises UnknownTask, or NotAllowedNow when it has ended already.
    """
    reason = Text(gettext_noop("Cancelled on request."))
    return _ask(task_id, Action.CANCEL, CANCELLABLE, Status.CANCELLED, reason, by)


def pause(task_id: UUID | str, *, by: str = "") -> ImportTask:
    """Ask for the task's rest until somebody resumes it. Asking again is no error.

    Raises UnknownTask, or NotAllowedNow when it is neither waiting nor running, or is being cancelled.
    """
    reason = Text(gettext_noop("Paused on request."))
    return _ask(task_id, Action.PAUSE, PAUSABLE, Status.PAUSED, reason, by)


def resume(task_id: UUID | str, *, by: str = "") -> ImportTask:
    """Make a paused or failed task wait for its turn again; it goes on where it was.

    On a running task that was asked to pause, takes the request back. A task that failed with every stock tried
    tries all of them again. Raises UnknownTask, or NotAllowedNow (also when the same request waits as another task).
    """
    task = get_task(task_id)
    withdrawn = ImportTask.objects.filter(pk=task.pk, status=Status.RUNNING, requested_action=Action.PAUSE)
    if withdrawn.update(requested_action=Action.NONE, action_by=""):
        return get_task(task_id)
    try:
        with transaction.atomic():
            reason = Text(gettext_noop("Resumed on request."))
            won = _move(
                task.pk, RESUMABLE, Status.PENDING, reason, by,
                finished_at=None, pruned_at=None, summary={}, waiting_until=None, lane_deaths=0,
                message_id=WAITING_TEXT.msgid, message_values={},
            )  # fmt: skip
            if won:
                _reopen_if_all_failed(task.pk)
    except IntegrityError as error:
        raise NotAllowedNow(
            gettext_noop("The same request is already waiting or running as another task."), task=str(task.pk)
        ) from error
    if not won:
        raise not_allowed(get_task(task_id), gettext_noop("resuming"))
    return get_task(task_id)


def set_priority(task_id: UUID | str, priority: int, *, by: str = "") -> ImportTask:
    """Set the priority (-10..10) of a task that has not ended.

    Raises UnknownTask, or NotAllowedNow when it has ended.
    """
    task = get_task(task_id)
    priority = max(LOWEST_PRIORITY, min(HIGHEST_PRIORITY, priority))
    with transaction.atomic():
        changed = ImportTask.objects.filter(pk=task.pk, status__in=ACTIVE).update(priority=priority)
        if changed:
            now = get_task(task_id)
            text = Text(gettext_noop("The priority was set to %(priority)s."), {"priority": priority})
            _note(now.pk, now.status, now.status, text, by)
            return now
    raise not_allowed(get_task(task_id), gettext_noop("changing the priority"))


def start(task_id: UUID) -> bool:
    """Make a waiting task the running one. False when it no longer waits or another one runs."""
    now = db_now()
    try:
        with transaction.atomic():
            won = _move(
                task_id, [Status.PENDING], Status.RUNNING, Text(gettext_noop("Its turn has come.")), "",
                waiting_until=None, heartbeat_at=now, stocks_per_second=None,
            )  # fmt: skip
            if won:
                ImportTask.objects.filter(pk=task_id, started_at=None).update(started_at=now)
    except IntegrityError:
        return False
    return won


def complete(task_id: UUID, *, message: Text, totals: dict[str, int]) -> bool:
    """End a running task whose every stock is done, skipped or a listed failure."""
    return _end_running(task_id, Status.COMPLETED, message, progress=100, message=message, **totals)


def fail(task_id: UUID, reason: Text, *, totals: dict[str, int] | None = None) -> bool:
    """End a running task that can do nothing more; the reason becomes its message."""
    return _end_running(task_id, Status.FAILED, reason, message=reason, **(totals or {}))


def ask_to_step_aside(task_id: UUID) -> bool:
    """Ask the running task to make room for one of higher priority. A request of a person goes before."""
    waiting = ImportTask.objects.filter(pk=task_id, status=Status.RUNNING, requested_action=Action.NONE)
    return bool(waiting.update(requested_action=Action.STEP_ASIDE, action_by=""))


def settle(task_id: UUID) -> bool:
    """Carry out what was asked of the running task, if no lane holds a slot of it any more.

    1. Delete the slots whose message is still on the way, and those of dead lanes: their tokens are void now.
    2. While a living lane holds one, do nothing; it settles when it gives way.
    3. Change the state as asked, in the name of who asked.
    """
    with transaction.atomic():
        task = ImportTask.objects.select_for_update().filter(pk=task_id, status=Status.RUNNING).first()
        if task is None or task.requested_action == Action.NONE:
            return False
        LaneSlot.objects.filter(Q(pid=None) | lease_over(db_now()), task=task).delete()
        if LaneSlot.objects.filter(task=task).exists():
            return False
        action = task.requested_action
        if action == Action.CANCEL:
            reason = Text(gettext_noop("Cancelled on request."))
            return _end_running(task_id, Status.CANCELLED, reason, message=CANCELLED_TEXT, by=task.action_by)
        if action == Action.PAUSE:
            reason = Text(gettext_noop("Paused on request."))
            return _leave_running(task_id, Status.PAUSED, reason, PAUSED_TEXT, by=task.action_by)
        return _leave_running(task_id, Status.PENDING, STEPPED_ASIDE_TEXT, STEPPED_ASIDE_TEXT)


def record_creation(task: ImportTask) -> None:
    """Write the first row of the task's history."""
    _note(task.pk, "", task.status, Text(gettext_noop("Asked for.")), task.requested_by)


def _ask(
    task_id: UUID | str, action: Action, allowed: Iterable[Status], target: Status, reason: Text, by: str
) -> ImportTask:
    task = get_task(task_id)
    rest = [status for status in allowed if status != Status.RUNNING]
    message = CANCELLED_TEXT if target == Status.CANCELLED else PAUSED_TEXT
    times = {"finished_at": db_now()} if target in FINISHED else {}
    # A task may start, or step aside, between the two tries: the second round meets it in its new state.
    for _round in range(3):
        with transaction.atomic():
            running = ImportTask.objects.filter(pk=task.pk, status=Status.RUNNING)
            if action == Action.PAUSE:
                running = running.exclude(requested_action=Action.CANCEL)
            asked_already = Q(requested_action=action)
            if running.exclude(asked_already).update(requested_action=action, action_by=by[:80]) or (
                running.filter(asked_already).exists()
            ):
                settle(task.pk)
                return get_task(task_id)
            if _move(
                task.pk, rest, target, reason, by,
                waiting_until=None, message_id=message.msgid, message_values=dict(message.values), **times,
            ):  # fmt: skip
                return get_task(task_id)
    raise not_allowed(
        get_task(task_id), gettext_noop("cancelling") if action == Action.CANCEL else gettext_noop("pausing")
    )


def _end_running(task_id: UUID, target: Status, reason: Text, *, message: Text, **updates: Any) -> bool:
    with transaction.atomic():
        won = _leave_running(task_id, target, reason, message, finished_at=db_now(), **updates)
        if won:
            task_ended(ImportTask.objects.get(pk=task_id))
    return won


def _leave_running(task_id: UUID, target: Status, reason: Text, message: Text, *, by: str = "", **updates: Any) -> bool:
    with transaction.atomic():
        won = _move(
            task_id, [Status.RUNNING], target, reason, by,
            waiting_until=None, message_id=message.msgid, message_values=dict(message.values), **updates,
        )  # fmt: skip
        if won:
            LaneSlot.objects.filter(task_id=task_id).delete()
            # A lane that still works for it must not write any more.
            ImportChunk.objects.filter(task_id=task_id).exclude(lane=None).update(
                generation=F("generation") + 1, lane=None, leased_until=None
            )
            # The lanes' last figures may be a second old, and nobody can add to them any more.
            planned = ImportTask.objects.filter(pk=task_id, planned_at__isnull=False)
            if planned.exists():
                planned.update(**progress.sum_chunks(task_id).columns())
    return won


def _move(task_id: UUID, allowed: Iterable[Status], new: Status, reason: Text, by: str, **updates: Any) -> bool:
    # Whatever was asked before, it was asked of the state that the task now leaves.
    values = {"status": new, "requested_action": Action.NONE, "action_by": "", **updates}
    for old in allowed:
        if ImportTask.objects.filter(pk=task_id, status=old).update(**values):
            _note(task_id, old, new, reason, by)
            return True
    return False


def _note(task_id: UUID, old: str, new: str, reason: Text, by: str) -> None:
    Transition.objects.create(
        task_id=task_id, old=old, new=new, reason_id=reason.msgid, reason_values=dict(reason.values), by=by[:80]
    )


def _reopen_if_all_failed(task_id: UUID) -> None:
    chunks = ImportChunk.objects.filter(task_id=task_id)
    if not chunks.exists() or chunks.filter(cursor__lt=F("size")).exists():
        return
    Failure.objects.filter(task_id=task_id).delete()
    # Stocks that were set aside are in the chunk that they came from, too.
    chunks.filter(Q(isolated=True) | Q(not_before__isnull=False)).delete()
    chunks.update(cursor=0, done=0, failed=0, skipped=0, set_aside=0, rows=0, by_source={}, deaths=0)
    ImportTask.objects.filter(pk=task_id).update(done=0, failed=0, skipped=0, rows_written=0)


def not_allowed(task: ImportTask, action: str) -> NotAllowedNow:
    """Return the error that says why ``action`` is not possible in the state that the task is in."""
    return NotAllowedNow(status=word(task.status), action=word(action), task=str(task.pk))
