"""What a source sees of several workers: the arrivals at its door."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.sources.standin import StandIn, running_standin

PROCESSES, EACH = 4, 20
MEAN = (settings.PACE_MIN + settings.PACE_MAX) / 2
# How late a thread of a busy machine may be.
LATENESS = 0.02


def load(standin: StandIn, database_url: str, var_dir: Path) -> None:
    environment = {
        **os.environ,
        **standin.environment(),
        "DATABASE_URL": database_url,
        "BARVAULT_VAR_DIR": str(var_dir),
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


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("door")
    with running_standin(folder) as standin:
        standin.fault("slow", seconds=0.15)
        load(standin, f"sqlite:///{folder / 'door.sqlite3'}", folder)
        yield standin


@pytest.mark.slow
def test_no_two_requests_come_closer_than_the_floor(door: StandIn) -> None:
    assert len(door.arrivals()) == PROCESSES * EACH + 1
    assert min(door.gaps("eastmoney")) >= settings.PACE_MIN - LATENESS


@pytest.mark.slow
def test_no_window_holds_more_than_the_mean_pace_allows_plus_one(door: StandIn) -> None:
    moments = [arrival.at for arrival in door.arrivals("eastmoney")]
    for start in moments:
        assert sum(start <= moment < start + 10 for moment in moments) <= 10 / MEAN + 1


@pytest.mark.slow
def test_workers_that_wait_for_each_other_lose_no_time(door: StandIn) -> None:
    # The first request, made before the workers start, and the last ones, when not all of them are left, do not count.
    moments = [arrival.at for arrival in door.arrivals("eastmoney")][1:-PROCESSES]
    assert (len(moments) - 1) / (moments[-1] - moments[0]) >= 0.97 / MEAN


@pytest.mark.slow
def test_each_worker_keeps_one_connection_of_its_own(door: StandIn) -> None:
    connections = [arrival.connection for arrival in door.arrivals("eastmoney")]
    assert len(set(connections)) == PROCESSES + 1
