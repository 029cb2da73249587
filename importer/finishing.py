"""The end of a task whose every stock is finished."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext_noop

from importer import lifecycle, progress
from importer.dbtime import db_now
from importer.models import ImportChunk, ImportTask, Status
from marketdata.texts import Text


def finish_if_done(task_id: UUID) -> bool:
    """End the running task when no chunk is open: completed, or failed when every single stock failed."""
    task = ImportTask.objects.filter(pk=task_id, status=Status.RUNNING).exclude(planned_at=None).first()
    if task is None or ImportChunk.objects.filter(task=task, cursor__lt=F("size")).exists():
        return False
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
