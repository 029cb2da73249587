"""What a source sees of several workers: the arrivals at its door, and the slots that these had.

Nothing here looks at how long it takes: that workers which wait for each other lose no time is a figure of
``benchmarks``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings

from tests.sources.slots_given import most_in_a_window, shortest_gap, slots_of
from tests.sources.standin import StandIn, running_standin

PROCESSES, EACH = 4, 20
MEAN = (settings.PACE_MIN + settings.PACE_MAX) / 2


@dataclass(frozen=True)
class Door:
    """Who came, when and over which connection, and the slots that the workers were given, in order."""

    arrivals: list[float]
    connections: list[int]
    slots: list[float]


def load(standin: StandIn, database_url: str, var_dir: Path) -> str:
    """Let the workers ask; return their log."""
    environment = {
        **os.environ,
        **standin.environment(),
        "DATABASE_URL": database_url,
        "BARVAULT_VAR_DIR": str(var_dir),
        "BARVAULT_LOG_LEVEL": "DEBUG",
    }
    run = subprocess.run(
        [sys.executable, "-m", "tests.sources.door_load", str(PROCESSES), str(EACH)],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    with running_standin(folder) as standin:
        standin.fault("slow", seconds=0.15)
        log = load(standin, f"sqlite:///{folder / 'door.sqlite3'}", folder)
        came = standin.arrivals("eastmoney")
        assert len(came) == len(standin.arrivals())
        yield Door([each.at for each in came], [each.connection for each in came], sorted(slots_of(log, "eastmoney")))


@pytest.mark.slow
def test_each_request_had_a_slot_of_its_own_and_did_not_come_before_it(door: Door) -> None:
    assert len(door.arrivals) == PROCESSES * EACH + 1
    # A machine without time to spare misses slots, which are then not used: the n-th request had the n-th or a later.
    assert len(door.slots) >= len(door.arrivals)
    assert all(arrival >= slot - 0.002 for arrival, slot in zip(door.arrivals, door.slots, strict=False))


@pytest.mark.slow
def test_no_two_slots_are_closer_than_the_floor(door: Door) -> None:
    # They are logged in microseconds.
    assert shortest_gap(door.slots) >= settings.PACE_MIN - 1e-5


@pytest.mark.slow
def test_no_window_holds_more_slots_than_the_mean_pace_allows_plus_one(door: Door) -> None:
    assert most_in_a_window(door.slots, 10.0) <= 10 / MEAN + 1


@pytest.mark.slow
def test_each_worker_keeps_one_connection_of_its_own(door: Door) -> None:
    assert len(set(door.connections)) == PROCESSES + 1
