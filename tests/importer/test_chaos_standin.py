"""Kill every kind of process while AKShare's own code imports from Eastmoney's stand-in with three workers."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importer import chaos
from tests.importer.processes import Installation
from tests.sources.standin import StandIn, running_standin

pytestmark = pytest.mark.slow

WORKERS = 3
ROLES = ("busy", "pusher", "monitor", "sentinel", "group")


@pytest.fixture(scope="module")
def eastmoney(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running_standin(tmp_path_factory.mktemp("standin"), stocks=60) as standin:
        yield standin


def test_an_import_through_akshare_survives_the_death_of_every_kind_of_process(
    installation: Installation, eastmoney: StandIn, tmp_path: Path, migrated_file: Path
) -> None:
    dice = random.Random(chaos.seed())
    network = {**eastmoney.environment(), "BARVAULT_SOURCE": "eastmoney", "BARVAULT_LOG_LEVEL": "WARNING"}
    undisturbed = Installation(tmp_path / "undisturbed", environment={**network, **_pace(0.001)})
    undisturbed.migrate(migrated_file)
    undisturbed.manage("import_bars", "--inline")
    installation.environment = {**network, **_pace(0.2)}
    installation.start_qcluster(WORKERS)
    chaos.ask_for_import(installation)
    with chaos.Watcher(installation) as watcher:
        for role in dice.sample(ROLES, len(ROLES)):
            time.sleep(dice.uniform(0.5, 2.0))
            if chaos.has_ended(installation):
                break
            chaos.kill(installation, role)
            if not installation.processes("cluster"):
                time.sleep(1)
                installation.start_qcluster(WORKERS)
        chaos.wait_for_end(installation)
    assert watcher.never_went_back()
    chaos.assert_same_as_undisturbed(installation, undisturbed)


def _pace(seconds: float) -> dict[str, str]:
    return {"BARVAULT_PACE_MIN": str(seconds), "BARVAULT_PACE_MAX": str(seconds * 1.5)}
