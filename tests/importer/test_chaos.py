"""Kill anything with -9 while an import runs: it goes on where it was, and ends with exactly the same bars."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importer import chaos
from tests.importer.processes import Installation

pytestmark = pytest.mark.slow

MARKET = {
    "BARVAULT_SOURCE": "simulated",
    "BARVAULT_SIMULATED_STOCKS": "90",
    "BARVAULT_LOG_LEVEL": "WARNING",
}
WORKERS = 3
ROLES = ("busy", "pusher", "monitor", "sentinel", "idle", "dispatcher", "cluster", "group")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("undisturbed"), environment=MARKET)
    installation.migrate(migrated_file)
    installation.manage("import_bars", "--inline")
    yield installation
    installation.stop()


@pytest.fixture
def slow_market(any_installation: Installation) -> Installation:
    any_installation.environment = {**MARKET, "BARVAULT_SIMULATED_LATENCY": "0.4"}
    return any_installation


def test_an_import_survives_the_death_of_every_kind_of_process(
    slow_market: Installation, undisturbed: Installation
) -> None:
    dice = random.Random(chaos.seed())
    slow_market.start_qcluster(WORKERS)
    chaos.ask_for_import(slow_market)
    order = [*dice.sample(ROLES, len(ROLES))]
    with chaos.Watcher(slow_market) as watcher:
        for role in order:
            time.sleep(dice.uniform(0.3, 1.5))
            if chaos.has_ended(slow_market):
                break
            killed = chaos.kill(slow_market, role)
            print(f"{role}: {'killed' if killed else 'none there'}")  # noqa: T201
            if not slow_market.processes("cluster"):
                time.sleep(1)
                slow_market.start_qcluster(WORKERS)
        chaos.wait_for_end(slow_market)
    assert watcher.never_went_back()
    chaos.assert_same_as_undisturbed(slow_market, undisturbed)
