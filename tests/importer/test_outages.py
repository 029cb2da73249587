from __future__ import annotations

import logging
from itertools import count

import pytest

from importer.outages import OutageLog


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
