"""Rows for tests of the importer, made with sensible values."""

from __future__ import annotations

import uuid
from datetime import time
from typing import Any

from django_q.models import Schedule

from importer import schedules
from importer.models import ImportChunk, ImportTask, Kind, Status, TaskSchedule

PARAMETERS = {
    "start": "2021-01-01",
    "end": "2024-12-25",
    "symbols": None,
    "source": "simulated",
    "path": None,
    "refresh": False,
    "lanes": None,
}


def make_task(**values: Any) -> ImportTask:
    values.setdefault("kind", Kind.IMPORT)
    values.setdefault("status", Status.PENDING)
    values.setdefault("fingerprint", uuid.uuid4().hex)
    values["parameters"] = {**PARAMETERS, **values.get("parameters", {})}
    return ImportTask.objects.create(**values)


def make_chunk(task: ImportTask, symbols: list[str], **values: Any) -> ImportChunk:
    values.setdefault("number", task.chunks.count())
    return ImportChunk.objects.create(task=task, symbols=symbols, size=len(symbols), **values)


def make_schedule(number: int, **values: Any) -> TaskSchedule:
    """Make the daily update at 16:30 as schedule ``number``, with other ``values`` in its row."""
    wish = {"when": "trading_day", "time": time(16, 30), "kind": "update"}
    made = schedules.create(wish).schedule
    if made.pk != number:
        Schedule.objects.filter(pk=made.pk).delete()
        bell = Schedule.objects.create(pk=number, func=schedules.RING, next_run=made.due_at, args=str(number))
        made.bell = bell
        made.save(force_insert=True)
    TaskSchedule.objects.filter(pk=number).update(**values)
    return schedules.get_schedule(number)
