"""What is forgotten of the past: details of old tasks by themselves, old tasks by hand. Never a bar.

A task's row stays with its figures; its chunks and its list of failures are what takes room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django_q.models import Task as QueueResult

from importer.models import FINISHED, Failure, ImportChunk, ImportTask, Status

# In one round; the next one comes within the hour.
_AT_ONCE = 200


def prune_details(now: datetime) -> int:
    """Forget chunks and failures of tasks that ended more than KEEP_DETAILS_DAYS ago; return of how many tasks.

    What the page shows of them in sums is kept in the task's row. A failed task that is resumed afterwards is
    planned anew, and skips what is stored.
    """
    if settings.KEEP_DETAILS_DAYS <= 0:
        return 0
    before = now - timedelta(days=settings.KEEP_DETAILS_DAYS)
    QueueResult.objects.filter(stopped__lt=before).delete()
    old = ImportTask.objects.filter(status__in=FINISHED, finished_at__lt=before, pruned_at=None)
    return sum(_prune(task_id, now) for task_id in old.values_list("pk", flat=True)[:_AT_ONCE])


def clear_tasks(task_ids: Iterable[UUID]) -> int:
    """Remove tasks that have ended, with their history; return how many. One that goes on meanwhile stays."""
    cleared = 0
    for task_id in task_ids:
        with transaction.atomic():
            task = ImportTask.objects.select_for_update().filter(pk=task_id, status__in=FINISHED).first()
            if task is not None:
                task.delete()
                cleared += 1
    return cleared


def clear_before(moment: datetime) -> int:
    """Remove the tasks that ended before ``moment``, with their history; return how many."""
    ended = ImportTask.objects.filter(status__in=FINISHED, finished_at__lt=moment)
    return clear_tasks(list(ended.values_list("pk", flat=True)))


def _prune(task_id: UUID, now: datetime) -> int:
    with transaction.atomic():
        # Locked, so that nobody resumes it in the middle.
        task = ImportTask.objects.select_for_update().filter(pk=task_id, status__in=FINISHED, pruned_at=None).first()
        if task is None:
            return 0
        stocks: Counter[str] = Counter()
        for counts in task.chunks.values_list("by_source", flat=True):
            stocks.update(counts)
        failures = Failure.objects.filter(task=task).order_by()
        codes = failures.values("code", "source", "finding").annotate(count=Count("pk")).order_by("finding", "-count")
        task.summary = {"by_source": dict(stocks), "failures": list(codes)}
        task.pruned_at = now
        changed = ["summary", "pruned_at"]
        if task.status == Status.FAILED:
            task.planned_at = None
            changed.append("planned_at")
        task.save(update_fields=changed)
        ImportChunk.objects.filter(task=task).delete()
        failures.delete()
    return 1
