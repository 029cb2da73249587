"""Log lines name the task that they are about, in both formats, also from helper threads."""

from __future__ import annotations

import io
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime

import pytest
from django.utils import translation

from config.log_lines import EnglishLines, TaskFilter, about_task, json_formatter, log_time
from importer.sources.base import SourceUnavailable
from marketdata.texts import word
from tests.importer.processes import Installation

TASK = "1a2b3c4d-0000-4000-8000-000000000000"


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


def logger_to(written: io.StringIO, formatter: logging.Formatter) -> logging.Logger:
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    handler.addFilter(TaskFilter())
    logger = logging.Logger("tests.lines")
    logger.addHandler(handler)
    return logger


def text() -> logging.Formatter:
    return logging.Formatter("%(levelname)s %(about)s%(message)s")


def test_a_text_line_names_its_task_once(written: io.StringIO) -> None:
    logger = logger_to(written, text())
    logger.info("outside")
    with about_task(TASK):
        logger.info("%s rests", "sina")
        logger.info("task %s: done", TASK)
    assert written.getvalue().splitlines() == [
        "INFO outside", f"INFO [task {TASK}] sina rests", f"INFO task {TASK}: done",
    ]  # fmt: skip


def test_a_json_line_has_time_level_logger_message_and_task(written: io.StringIO) -> None:
    logger = logger_to(written, json_formatter())
    with about_task(TASK):
        logger.warning("新浪拒绝 %s 次", 5)
    logger.info("outside")
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first.pop("time").startswith("20")
    assert first == {"level": "WARNING", "logger": "tests.lines", "message": "新浪拒绝 5 次", "task": TASK}
    assert "task" not in second
    assert "新浪" in written.getvalue()


@pytest.mark.parametrize("line", ["schedule 3: task %s", "task %s: lane 0 died", "Sent: ping:task:%s:1795989662"])
def test_a_json_line_that_names_a_task_has_it_as_its_task(written: io.StringIO, line: str) -> None:
    logger_to(written, json_formatter()).info(line, TASK)
    assert json.loads(written.getvalue())["task"] == TASK


def test_a_line_whose_values_do_not_fit_stops_nobody() -> None:
    record = logging.LogRecord("library", logging.INFO, "x.py", 1, "%d stocks", ("many",), None)
    assert TaskFilter().filter(record)


@pytest.mark.parametrize("formatter", [EnglishLines("%(message)s"), json_formatter()])
def test_an_error_is_logged_in_english_whatever_language_the_process_speaks(
    written: io.StringIO, formatter: logging.Formatter
) -> None:
    error = SourceUnavailable(source=word("Sina"), detail="timeout")
    with translation.override("zh-hans"):
        logger_to(written, formatter).warning("600519.SH: %s", error)
    assert "600519.SH: Sina did not answer (timeout)." in written.getvalue()


def test_an_exception_is_one_json_line(written: io.StringIO) -> None:
    logger = logger_to(written, json_formatter())
    try:
        raise ValueError("wrong")
    except ValueError:
        logger.exception("failed")
    (line,) = written.getvalue().splitlines()
    assert "ValueError: wrong" in json.loads(line)["exc_info"]


def test_a_thread_that_gets_the_context_names_the_task(written: io.StringIO) -> None:
    logger = logger_to(written, text())
    with ThreadPoolExecutor(1) as helper, about_task(TASK):
        helper.submit(copy_context().run, logger.info, "fetched").result()
    assert written.getvalue() == f"INFO [task {TASK}] fetched\n"


def test_a_format_that_is_none_is_refused_with_a_sentence(tmp_path: object) -> None:
    shown = Installation(tmp_path).manage("doctor", check=False, BARVAULT_LOG_FORMAT="xml")  # type: ignore[arg-type]
    assert shown.returncode == 2
    assert shown.stderr.startswith("BARVAULT_LOG_FORMAT is 'xml'; it must be text or json.")


def test_a_moment_in_a_line_is_in_exchange_time_to_the_second() -> None:
    assert log_time(datetime(2026, 11, 29, 16, 50, 23, 506593, UTC)) == "2026-11-30 00:50:23"
