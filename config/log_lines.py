"""How log lines look: text for people, JSON for programs; each with the id of the task that it is about."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.apps import apps
from django.utils import timezone, translation

_task: ContextVar[str] = ContextVar("barvault_task", default="")
# As lines name a task that is not theirs alone: "task ID: …" and "schedule 3: task ID".
_NAMED = re.compile(r"\btask[ :]([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@contextmanager
def about_task(task_id: object) -> Iterator[None]:
    """Let every line that is logged inside, also by libraries, name the task. Threads need a copy of the context."""
    token = _task.set(str(task_id))
    try:
        yield
    finally:
        _task.reset(token)


def log_time(moment: datetime) -> str:
    """Return a moment as the log's own times are: exchange time, to the second."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def in_english(what: object) -> str:
    """Return what a log line says of ``what`` (an error, a Text), whatever language the process speaks."""
    with translation.override("en"):
        return str(what)


class TaskFilter(logging.Filter):
    """Gives each record its task: ``task`` (the id, or ''), and ``about`` for the text format."""

    def filter(self, record: logging.LogRecord) -> bool:
        task, message = _task.get(), _message_of(record)
        named = None if task else _NAMED.search(message)
        record.task = named[1] if named else task
        # A line that names its task already is not made longer.
        record.about = f"[task {task}] " if task and task not in message else ""
        return True


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # A library's values do not fit its template: the handler says so, and whoever logged it goes on.
        return ""


class EnglishLines(logging.Formatter):
    """Formats in English, whatever language the process speaks: an error is a sentence in its reader's language, and
    who searches a log is to find one wording."""

    def format(self, record: logging.LogRecord) -> str:
        # Catalogues are put together from the apps'.
        if not apps.ready:
            return super().format(record)
        with translation.override("en"):
            return super().format(record)


def json_formatter() -> logging.Formatter:
    """Return the formatter of BARVAULT_LOG_FORMAT=json: one object a line, with the time in ISO 8601."""
    from pythonjsonlogger.json import JsonFormatter

    class Lines(EnglishLines, JsonFormatter):
        def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
            log_data.pop("about", None)
            if not log_data.get("task"):
                log_data.pop("task", None)
            return log_data

    return Lines(
        "%(levelname)s %(name)s %(message)s %(task)s",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
        json_ensure_ascii=False,
    )
