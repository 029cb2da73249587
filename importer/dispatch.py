"""Start the next task and keep the running one's lanes alive: idempotent, run by everybody, cheap when idle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from config.log_lines import about_task
from importer import chunks, lane_deaths, lifecycle, slots
from importer.dbtime import db_now
from importer.finishing import finish_if_done
from importer.hosts import live_workers
from importer.leases import is_over, lease_over
from importer.models import Action, ImportChunk, ImportTask, LaneSlot, Status
from importer.slots import Bell
from importer.storage_trouble import storage_errors
from importer.waiting import still_waits, stop_waiting, wait_for_stocks_put_off

logger = logging.getLogger(__name__)


def dispatch(*, bell: Bell = slots.ring_by_queue, lanes: Callable[[], int] | None = None) -> None:
    """Bring the queue in line with the tables. ``lanes`` says how many there should be (default: live workers).

    1. Of the running task: free what dead lanes held, carry out what was asked, end it when it is finished.
    2. A waiting task of higher priority: ask the running one to step aside.
    3. Nothing runs: start the next one, highest priority first, then the oldest.
    4. Ring for lanes that are missing.
    """
    running = ImportTask.objects.filter(status=Status.RUNNING).first()
    if running is not None:
        with about_task(running.pk):
            _bury_dead_lanes(running)
            if running.requested_action == Action.NONE:
                _make_room(running)
            if lifecycle.settle(running.pk) or finish_if_done(running.pk):
                running = None
    if running is None:
        running = _start_next()
    if running is not None:
        with about_task(running.pk):
            running.refresh_from_db()
            _ring(running, bell, lanes or wanted_lanes)


def dispatch_soon() -> None:
    """Do now what the cluster's next round does anyway, to save the wait; its trouble is not the caller's.

    For whoever made a task or changed one. Without a live worker nothing is started.
    """
    try:
        if live_workers():
            dispatch()
    except storage_errors() as error:
        logger.info("Handing out work is left to the cluster: %s", error)


def wanted_lanes() -> int:
    """Return how many lanes a task gets: one per worker that is alive, or per configured one before any reports."""
    return live_workers() or settings.WORKERS


def next_pending_task() -> ImportTask | None:
    """Return the task whose turn is next."""
    return ImportTask.objects.filter(status=Status.PENDING).order_by("-priority", "created_at").first()


def _start_next() -> ImportTask | None:
    while (task := next_pending_task()) is not None:
        if lifecycle.start(task.pk):
            return task
        if ImportTask.objects.filter(status=Status.RUNNING).exists():
            return None
    return None


def _make_room(running: ImportTask) -> None:
    waiting = next_pending_task()
    if waiting is not None and waiting.priority > running.priority:
        lifecycle.ask_to_step_aside(running.pk)


def _bury_dead_lanes(task: ImportTask) -> None:
    now = db_now()
    lanes, deaths = LaneSlot.objects.filter(task=task).count(), 0
    for slot in LaneSlot.objects.filter(lease_over(now), task=task).exclude(pid=None):
        with transaction.atomic():
            chunks.lock_task(task.pk)
            buried = LaneSlot.objects.filter(lease_over(now), pk=slot.pk, token=slot.token).delete()[0]
            if buried:
                logger.warning("task %s: lane %s (%s, pid %s) died", task.pk, slot.number, slot.host, slot.pid)
                chunks.free_after_death(task.pk, slot.number)
                deaths += 1
    if deaths:
        lane_deaths.count_deaths(task.pk, deaths, lanes=lanes)


def _ring(task: ImportTask, bell: Bell, lanes: Callable[[], int]) -> None:
    if task.status != Status.RUNNING or task.requested_action != Action.NONE:
        return
    now = db_now()
    if task.waiting_until is not None:
        if still_waits(task, now):
            return
        stop_waiting(task.pk)
    present = {slot.number: slot for slot in LaneSlot.objects.filter(task=task)}
    needed = _lanes_needed(task, lanes, present.values(), now)
    if not needed and not present and (put_off := chunks.next_put_off(task.pk, now)) is not None:
        wait_for_stocks_put_off(task.pk, *put_off)
        return
    for slot in present.values():
        if slot.pid is None and is_over(slot.leased_until, now):
            slots.replace(slot, bell, now)
    missing = (number for number in range(needed) if number not in present)
    for number in islice(missing, max(0, needed - len(present))):
        slots.open_slot(task.pk, number, bell, now)


def _lanes_needed(task: ImportTask, lanes: Callable[[], int], present: Iterable[LaneSlot], now: datetime) -> int:
    if task.planned_at is None:
        return 1
    most = lanes()
    if (asked := task.parameters.get("lanes")) is not None:
        most = min(most, asked)
    free = Q(lane=None) | lease_over(now)
    open_chunks = ImportChunk.objects.filter(free, chunks.due(now), task=task, cursor__lt=F("size"))
    held = sum(slot.pid is not None for slot in present)
    return int(min(most, held + open_chunks[: most + 1].count()))
