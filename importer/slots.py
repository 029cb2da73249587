"""Lanes' slots: who may work for the running task. Each step is a compare-and-set on the token."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, models, transaction

from importer.leases import MESSAGE_LEASE, SLOT_LEASE, lease_over
from importer.models import ImportTask, LaneSlot, Status

# django-q2's timeout, in seconds, of a message whose lane has to plan the task.
PLAN_TIMEOUT = 600
# (task, slot, token) -> the message is on its way.
Bell = Callable[[str, int, str], None]


@dataclass(frozen=True)
class Hold:
    """A slot as its lane holds it."""

    task_id: UUID
    number: int
    token: str


def ring_by_queue(task_id: str, number: int, token: str) -> None:
    """Send a lane's message by django-q2, when the transaction is through. A lost one is sent again by dispatch.

    The first message of a task may take longer than others: a snapshot of the market is a minute of AKShare's sleep.
    If it comes again meanwhile, its token is void.
    """
    from django_q.tasks import async_task

    unplanned = ImportTask.objects.filter(pk=task_id, planned_at=None).exists()
    options = {"timeout": PLAN_TIMEOUT} if unplanned else {}
    transaction.on_commit(lambda: async_task("importer.lanes.run_lane", task_id, number, token, q_options=options))


def open_slot(task_id: UUID, number: int, bell: Bell, now: datetime) -> bool:
    """Make a slot that is missing and ring for it; False when another process made it first, or the task has left."""
    token = _new_token()
    try:
        with transaction.atomic():
            running = ImportTask.objects.select_for_update().filter(pk=task_id, status=Status.RUNNING)
            if not running.exists():
                return False
            LaneSlot.objects.create(task_id=task_id, number=number, token=token, leased_until=now + MESSAGE_LEASE)
            bell(str(task_id), number, token)
    except IntegrityError:
        return False
    return True


def replace(slot: LaneSlot, bell: Bell, now: datetime) -> bool:
    """Ring anew for a slot whose lease ran out; its old token is void. False when somebody else did."""
    token = _new_token()
    with transaction.atomic():
        expired = LaneSlot.objects.filter(lease_over(now), pk=slot.pk, token=slot.token)
        if not expired.update(token=token, pid=None, host="", doing="", leased_until=now + MESSAGE_LEASE):
            return False
        bell(str(slot.task_id), slot.number, token)
    return True


def take(task_id: UUID, number: int, token: str, now: datetime) -> Hold | None:
    """Take the slot that a message names; None when the message is void (repeated, late, or the task has left)."""
    held = _new_token()
    waiting = LaneSlot.objects.filter(task_id=task_id, number=number, token=token, pid=None)
    taken = waiting.update(token=held, pid=os.getpid(), host=settings.HOST_NAME[:100], leased_until=now + SLOT_LEASE)
    return Hold(task_id, number, held) if taken else None


def renew(hold: Hold, now: datetime, doing: str = "") -> bool:
    """Prolong the hold; False when it is lost."""
    return bool(_held(hold).update(leased_until=now + SLOT_LEASE, doing=doing[:40]))


def pass_on(hold: Hold, bell: Bell, now: datetime) -> bool:
    """Give the slot to a successor and ring for it; False when it was lost."""
    token = _new_token()
    with transaction.atomic():
        if not _held(hold).update(token=token, pid=None, host="", doing="", leased_until=now + MESSAGE_LEASE):
            return False
        bell(str(hold.task_id), hold.number, token)
    return True


def is_alone(hold: Hold) -> bool:
    """Say whether the task has no other lane now."""
    return not LaneSlot.objects.filter(task_id=hold.task_id).exclude(number=hold.number).exists()


def give_up(hold: Hold) -> None:
    """Delete the slot: there is nothing to do for it now. The dispatcher makes it anew when there is."""
    _held(hold).delete()


def _held(hold: Hold) -> models.QuerySet[LaneSlot]:
    return LaneSlot.objects.filter(task_id=hold.task_id, number=hold.number, token=hold.token)


def _new_token() -> str:
    return uuid.uuid4().hex
