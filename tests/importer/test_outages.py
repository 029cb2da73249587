from __future__ import annotations

import errno
import logging
from itertools import count

import pytest
from django.utils import translation

from importer.cluster_orm import WatchedOrm
from importer.outages import OutageLog
from importer.sources.base import SourceUnavailable
from marketdata.texts import word


@pytest.fixture
def outage(caplog: pytest.LogCaptureFixture) -> OutageLog:
    caplog.set_level(logging.INFO)
    return OutageLog(logging.getLogger("test"), "The queue")


def test_a_long_outage_is_two_lines(outage: OutageLog, caplog: pytest.LogCaptureFixture) -> None:
    for _attempt in range(100):
        outage.failed(ConnectionError("nobody there"))
    outage.worked()
    outage.worked()
    assert len(caplog.messages) == 2
    assert caplog.messages[0] == "The queue: nobody there. Trying again."
    assert "works again" in caplog.messages[1]


def test_the_error_is_told_in_english_whatever_language_the_process_speaks(
    outage: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    with translation.override("zh-hans"):
        outage.failed(SourceUnavailable(source=word("Sina"), detail="timeout"))
    assert caplog.messages == ["The queue: Sina did not answer (timeout). Trying again."]


def test_a_very_long_one_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    seconds = count()
    outage = OutageLog(logging.getLogger("test"), "The queue", clock=lambda: next(seconds))
    for _attempt in range(150):
        outage.failed(ConnectionError("nobody there"))
    assert len(caplog.messages) == 3


def test_what_works_is_no_news(outage: OutageLog, caplog: pytest.LogCaptureFixture) -> None:
    outage.worked()
    assert caplog.messages == []


def test_the_next_outage_is_told_anew(outage: OutageLog, caplog: pytest.LogCaptureFixture) -> None:
    for _outage in range(2):
        outage.failed(ConnectionError("nobody there"))
        outage.worked()
    assert len(caplog.messages) == 4


@pytest.mark.django_db
def test_statistics_that_a_full_disk_does_not_take_are_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    broker = WatchedOrm()
    monkeypatch.setattr(broker.cache, "set", is_full)
    with caplog.at_level(logging.INFO):
        for _round in range(3):
            broker.set_stat("key", "value", 3)
    assert [record.message for record in caplog.records if "No space" in record.message] == [
        "The statistics in the cache: [Errno 28] No space left on device. Trying again."
    ]
