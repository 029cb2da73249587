"""What a task says while it waits for its sources."""

from __future__ import annotations

from datetime import timedelta

import pytest

from importer import pacing
from importer.dbtime import db_now
from importer.models import Status
from importer.sources.base import SourceUnavailable
from importer.waiting import still_waits, wait_for_list, wait_for_network, wait_for_sources
from marketdata.texts import Text, word
from tests.importer.factories import make_task

pytestmark = pytest.mark.django_db


def keep_silent(source: str, label: str, why: str) -> None:
    for _time in range(5):
        pacing.report_trouble(source, SourceUnavailable(source=word(label), detail=why))


def message_of_a_waiting_task() -> str:
    task = make_task(status=Status.RUNNING)
    wait_for_sources(task.pk, db_now() + timedelta(minutes=5))
    task.refresh_from_db()
    return task.message


def test_it_says_when_it_goes_on() -> None:
    assert message_of_a_waiting_task().startswith("Every source rests; next try at ")


def test_it_says_why_in_the_words_of_the_last_source_that_gave_up() -> None:
    keep_silent("sina", "Sina", "no complete answer within 10 s")
    keep_silent("tencent", "Tencent", "is this machine online?")
    message = message_of_a_waiting_task()
    assert message.endswith(". Tencent did not answer (is this machine online?).")


def test_a_source_that_answers_again_is_no_reason() -> None:
    keep_silent("sina", "Sina", "is this machine online?")
    pacing.close_breaker("sina", by="admin")
    assert "online" not in message_of_a_waiting_task()


def test_a_wait_for_the_list_of_stocks_says_what_is_waited_for_and_why() -> None:
    task = make_task(status=Status.RUNNING)
    wait_for_list(task.pk, db_now() + timedelta(minutes=5), Text("Shanghai refuses."))
    task.refresh_from_db()
    assert task.message.startswith("The list of stocks is not to be had yet: Shanghai refuses. Next try at ")


def test_a_look_at_the_network_far_ahead_was_meant_before_a_clock_was_set_back() -> None:
    task, now = make_task(status=Status.RUNNING), db_now()
    wait_for_network(task.pk, now + timedelta(seconds=20), Text("No site can be reached."))
    task.refresh_from_db()
    assert still_waits(task, now)
    assert not still_waits(task, now + timedelta(seconds=20))
    assert not still_waits(task, now - timedelta(hours=1))


def test_sources_may_rest_for_hours() -> None:
    task, now = make_task(status=Status.RUNNING), db_now()
    wait_for_sources(task.pk, now + timedelta(hours=6))
    task.refresh_from_db()
    assert still_waits(task, now)
