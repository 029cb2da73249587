"""Kill anything with -9 while somebody meddles with an import: it goes on where it was, and ends with the same bars.

BARVAULT_TEST_CHAOS_ROUNDS: how often each kind of process is killed; the import grows with it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importer import chaos
from tests.importer.meddler import Meddler
from tests.importer.processes import Installation, free_port

pytestmark = pytest.mark.slow

MARKET = {
    "BARVAULT_SOURCE": "simulated",
    "BARVAULT_SIMULATED_STOCKS": "300",
    "BARVAULT_LOG_LEVEL": "WARNING",
}
WORKERS = 4
ROUNDS = int(os.environ.get("BARVAULT_TEST_CHAOS_ROUNDS", "1"))
# Of each stock: 300 stocks in 4 lanes take some seconds, and more for each death.
LATENCY = 0.1 * ROUNDS
ROLES = (
    "busy",
    "lock holder",
    "pusher",
    "monitor",
    "sentinel",
    "dispatcher",
    "web",
    "cluster",
    "supervisor",
    "group",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("undisturbed"), environment=MARKET)
    installation.migrate(migrated_file)
    installation.manage("import_bars", "--inline")
    yield installation
    installation.stop()


@pytest.fixture
def slow_market(any_installation: Installation) -> Installation:
    any_installation.environment = {**MARKET, "BARVAULT_SIMULATED_LATENCY": str(LATENCY)}
    if any_installation.broker_url:
        any_installation.environment["DJANGO_SETTINGS_MODULE"] = "tests.importer.lossy_settings"
    return any_installation


def test_an_import_survives_the_death_of_every_kind_of_process(
    slow_market: Installation, undisturbed: Installation
) -> None:
    seed = chaos.seed()
    dice = random.Random(seed)
    port = str(free_port())
    _command, url = slow_market.start_serve("--port", port, workers=WORKERS)
    chaos.ask_for_import(slow_market)
    # A short run leaves some out, others each time.
    deaths = len(ROLES) if ROUNDS > 1 else 6
    order = [role for _round in range(ROUNDS) for role in dice.sample(ROLES, deaths)]
    last_death = 0.0
    with chaos.Watcher(slow_market) as watcher:
        with Meddler(slow_market, url, seed) as meddler:
            for role in order:
                time.sleep(dice.uniform(0.3, 1.5 * min(ROUNDS, 2)))
                if chaos.has_ended(slow_market):
                    break
                killed = chaos.kill(slow_market, role)
                print(f"{role}: {'killed' if killed else 'none there'}")  # noqa: T201
                if not slow_market.processes("supervisor"):
                    slow_market.stop()
                    slow_market.start_serve("--port", port, workers=WORKERS)
                last_death = time.monotonic()
        chaos.wait_for_all_ends(slow_market, meanwhile=meddler.let_go)
    print(f"meddled: {meddler.did}")  # noqa: T201
    # Deaths come faster than what they end can go on: only the time after the last one says how long that takes.
    still = (watcher.longest_standstill(), watcher.longest_standstill(last_death))
    print(f"longest standstill, without pauses: {still[0]:.1f} s in all, {still[1]:.1f} s after the last death")  # noqa: T201
    assert watcher.never_went_back()
    chaos.assert_same_as_undisturbed(slow_market, undisturbed)
