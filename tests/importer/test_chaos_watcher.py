"""The figure that chaos tests print: how long nothing was finished although something was to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.importer.chaos import Look, Watcher
from tests.importer.processes import Installation


@pytest.fixture
def watcher(tmp_path: Path) -> Watcher:
    return Watcher(Installation(tmp_path))


def test_the_longest_time_between_two_finished_stocks_counts(watcher: Watcher) -> None:
    watcher.seen = [Look(at, 1, finished, True) for at, finished in [(0, 1), (1, 2), (5, 3), (6, 4)]]
    assert watcher.longest_standstill() == 4
    assert watcher.longest_standstill(since=3) == 2


def test_a_pause_does_not_count(watcher: Watcher) -> None:
    watcher.seen = [Look(0, 1, 1, True), Look(1, 1, 1, False), Look(9, 1, 1, True), Look(11, 1, 2, True)]
    assert watcher.longest_standstill() == 3


def test_what_stands_still_until_now_counts_when_asked_for(watcher: Watcher) -> None:
    watcher.seen = [Look(0, 1, 1, True), Look(1, 1, 2, True)]
    assert watcher.longest_standstill() == 1
    assert watcher.longest_standstill(until_now=True) > 1
