"""Rows for tests of the importer, made with sensible values."""

from __future__ import annotations

import uuid
from typing import Any

from importer.models import ImportChunk, ImportTask, Kind, Status

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
