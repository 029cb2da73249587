"""The words for a task's state and request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from importer import lifecycle
from importer.models import Action, ImportTask, Kind, Status
from importer.task_words import request_text, state_text
from importer.waiting import wait_for_network
from marketdata.texts import Text
from tests.importer.factories import make_task


@pytest.mark.parametrize("status", Status)
def test_every_state_has_a_word(status: Status) -> None:
    assert str(state_text(ImportTask(status=status))) == status.value


@pytest.mark.parametrize("action", [action for action in Action if action != Action.NONE])
def test_what_was_asked_of_a_running_task_is_said(action: Action) -> None:
    assert str(state_text(ImportTask(status=Status.RUNNING, requested_action=action))).startswith("running, is ")


def test_a_task_that_stepped_aside_says_so() -> None:
    task = ImportTask(status=Status.PENDING, message_id=lifecycle.STEPPED_ASIDE_TEXT.msgid)
    assert str(state_text(task)) == "pending (stepped aside for a task of higher priority)"


def test_failed_stocks_are_counted() -> None:
    assert str(state_text(ImportTask(status=Status.COMPLETED, failed=1234))) == "completed, 1,234 failed"


def test_a_wait_for_sources_has_its_end() -> None:
    task = ImportTask(status=Status.RUNNING, waiting_until=timezone.now() + timedelta(minutes=5))
    assert str(state_text(task)).startswith("running, waits for its sources until ")


@pytest.mark.django_db
def test_a_wait_for_the_network_is_told_apart() -> None:
    task = make_task(status=Status.RUNNING)
    wait_for_network(task.pk, timezone.now() + timedelta(seconds=20), Text("No network."))
    task.refresh_from_db()
    assert str(state_text(task)) == "running, waits for the network"


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        (Kind.IMPORT, {}, "full import of all stocks from 2021-01-01 to 2024-12-25, source: automatic"),
        (Kind.IMPORT, {"start": None}, "full import of all stocks until 2024-12-25, source: automatic"),
        (Kind.UPDATE, {}, "update of all stocks until 2024-12-25, source: automatic"),
        (
            Kind.REPAIR,
            {"symbols": ["600519.SH"]},
            "repair of 600519.SH from 2021-01-01 to 2024-12-25, source: automatic",
        ),
        (
            Kind.REPAIR,
            {"symbols": ["600519.SH"] * 4},
            "repair of 4 stocks from 2021-01-01 to 2024-12-25, source: automatic",
        ),
    ],
)
def test_a_request_is_one_phrase(kind: Kind, parameters: dict[str, Any], words: str) -> None:
    kept = {"start": "2021-01-01", "end": "2024-12-25", "symbols": None, "source": "auto", **parameters}
    assert str(request_text(ImportTask(kind=kind, parameters=kept))) == words
