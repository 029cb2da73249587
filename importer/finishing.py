"""The end of a task whose every stock is finished."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_noop

from importer import lifecycle, progress
from importer.dbtime import db_now
from importer.models import ImportChunk, ImportTask, Status
from marketdata.texts import Text


def finish_if_done(task_id: UUID) -> bool:
    """End the running task when no chunk is open: completed, or failed when every single stock failed."""
    planned = ImportTask.objects.filter(pk=task_id, status=Status.RUNNING).exclude(planned_at=None)
    if not planned.exists() or _has_open_chunk(task_id):
        return False
    with transaction.atomic():
        # Looked at once more: since then it may have failed, been resumed with every stock to try, and started again.
        task = planned.select_for_update().first()
        if task is None or _has_open_chunk(task_id):
            return False
        return _finish(task)


def _has_open_chunk(task_id: UUID) -> bool:
    return ImportChunk.objects.filter(task_id=task_id, cursor__lt=F("size")).exists()


def _finish(task: ImportTask) -> bool:
    task_id = task.pk
    totals = progress.sum_chunks(task_id)
    if totals.total and totals.failed == totals.total:
        if totals.total == 1 and (failure := task.failures.filter(finding=False).first()) is not None:
            reason = Text(failure.reason_id, failure.reason_values)
        else:
            reason = Text(
                gettext_noop("All %(total)s stocks failed; the list of failures names the reasons."),
                {"total": totals.total},
            )
        return lifecycle.fail(task_id, reason, totals=totals.columns())
    elapsed = (db_now() - (task.started_at or task.created_at)).total_seconds()
    return lifecycle.complete(task_id, message=progress.final_text(totals, elapsed), totals=totals.columns())
