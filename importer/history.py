"""Which tasks a list shows, the same for the page, the API and the CSV download; and the tasks of the chart."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from importer.api_paths import told
from importer.models import FINISHED, ImportTask

# A spreadsheet takes a text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
CSV_COLUMNS = (
    "task_id",
    "kind",
    "status",
    "source",
    "first_day",
    "last_day",
    "created_at",
    "started_at",
    "finished_at",
    "seconds",
    "stocks",
    "done",
    "failed",
    "skipped",
    "rows_written",
    "priority",
    "requested_by",
    "retry_of",
    "message",
)


@dataclass(frozen=True)
class Wanted:
    """Filters; an empty one does not filter. Times are aware and both belong to the range.

    ``source`` is the one that was asked for (``auto`` among them); ``by`` is a part of who asked.
    """

    kind: str = ""
    status: str = ""
    source: str = ""
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None


def tasks_of(wanted: Wanted) -> QuerySet[ImportTask]:
    """Return the tasks that match, the newest first."""
    found = ImportTask.objects.order_by("-created_at", "-id")
    if wanted.kind:
        found = found.filter(kind=wanted.kind)
    if wanted.status:
        found = found.filter(status=wanted.status)
    if wanted.source:
        found = found.filter(parameters__source=wanted.source)
    if wanted.by:
        found = found.filter(requested_by__icontains=wanted.by)
    if wanted.since is not None:
        found = found.filter(created_at__gte=wanted.since)
    if wanted.until is not None:
        found = found.filter(created_at__lte=wanted.until)
    return found


def ended_tasks(found: QuerySet[ImportTask], number: int) -> list[ImportTask]:
    """Return the newest ``number`` of the tasks that have begun and ended, the oldest first."""
    ended = found.filter(status__in=FINISHED).exclude(started_at=None).exclude(finished_at=None)
    return list(ended[:number])[::-1]


def csv_lines(found: QuerySet[ImportTask]) -> Iterator[str]:
    """Yield tasks as CSV, line by line, with a head; times are exchange time, durations seconds."""
    # The first mark tells spreadsheets that this is UTF-8.
    yield "\ufeff" + _line(CSV_COLUMNS)
    for task in found.iterator(chunk_size=500):
        yield _line(_row(task))


def seconds_taken(task: ImportTask) -> float | None:
    """Return how long a task took that has ended, 0 where a clock was set back meanwhile; None if it never ran."""
    if task.started_at is None or task.finished_at is None:
        return None
    return max(0.0, (task.finished_at - task.started_at).total_seconds())


def _row(task: ImportTask) -> tuple[object, ...]:
    kept, took = task.parameters, seconds_taken(task)
    return (
        task.pk, task.kind, task.status, kept.get("source"), kept.get("start"), kept.get("end"),
        _time(task.created_at), _time(task.started_at), _time(task.finished_at),
        "" if took is None else round(took, 1), task.total, task.done, task.failed, task.skipped, task.rows_written,
        task.priority, task.requested_by, task.retry_of_id, told(task.message, kept.get("path")),
    )  # fmt: skip


def _line(values: tuple[object, ...]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([_plain(value) for value in values])
    return written.getvalue()


def _plain(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


def _time(moment: datetime | None) -> str:
    return timezone.localtime(moment).isoformat(timespec="seconds") if moment is not None else ""
