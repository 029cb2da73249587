"""Kill the daily update with -9 again and again: it ends with exactly the bars of an undisturbed one."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

import pytest

from marketdata.trading_days import EXCHANGE_TIME, newest_finished_day, previous_trading_day
from tests.importer import chaos
from tests.importer.processes import Installation, wait_until

pytestmark = pytest.mark.slow

STOCKS = 200
WORKERS = 2
KILLS = 5
ROLES = ("busy", "busy", "busy", "sentinel", "group")
CLOCK_SITE = Path(__file__).parent / "clock_site"


def market(day: date, **more: str) -> dict[str, str]:
    """Return the environment of a process for which it is the evening of ``day``."""
    evening = datetime.combine(day, time_of_day(17, 0), EXCHANGE_TIME)
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CLOCK_SITE), os.environ.get("PYTHONPATH")])),
        "BARVAULT_TEST_CLOCK_OFFSET": str((evening - datetime.now(UTC)).total_seconds()),
        "BARVAULT_SOURCE": "simulated",
        "BARVAULT_SIMULATED_STOCKS": str(STOCKS),
        "BARVAULT_LOG_LEVEL": "WARNING",
        **more,
    }


@pytest.fixture
def day() -> date:
    return newest_finished_day(datetime.now(UTC))


@pytest.fixture
def undisturbed(tmp_path: Path, migrated_file: Path, installation: Installation, day: date) -> Iterator[Installation]:
    """Yield an installation whose update nobody disturbs; ``installation`` has all but that day."""
    before = previous_trading_day(day)
    assert before is not None
    installation.environment = market(before)
    installation.manage("import_bars", "--inline", "--start", str(before - timedelta(days=30)))
    other = Installation(tmp_path / "undisturbed", environment=market(day))
    other.migrate(installation.var_dir / "barvault.sqlite3")
    other.manage("update_bars", "--inline")
    yield other
    other.stop()


def update_of(installation: Installation) -> tuple[object, ...]:
    rows = installation.sql(
        "SELECT status, total, done, failed, skipped, rows_written FROM importer_importtask WHERE kind = 'update'"
    )
    return rows[0] if rows else ("",)


def test_an_update_that_is_killed_again_and_again_ends_with_the_bars_of_an_undisturbed_one(
    installation: Installation, undisturbed: Installation, day: date
) -> None:
    dice = random.Random(chaos.seed())
    installation.environment = market(day, BARVAULT_SIMULATED_LATENCY="2")
    installation.start_qcluster(WORKERS)
    installation.manage("update_bars", "--detach")
    killed = 0
    for role in dice.sample(ROLES, KILLS):
        # Anywhere: in the snapshot, its probes, the plan, the chunks, or while a dead lane's lease runs out.
        time.sleep(dice.uniform(0.1, 4.0))
        if update_of(installation)[0] == "completed":
            break
        killed += chaos.kill(installation, role)
        if not installation.processes("cluster"):
            time.sleep(1)
            installation.start_qcluster(WORKERS)
    assert killed
    wait_until(
        lambda: update_of(installation)[0] == "completed", "the update is finished", patience=chaos.IMPORT_PATIENCE
    )
    assert update_of(installation) == update_of(undisturbed)
    assert chaos.bars_hash(installation) == chaos.bars_hash(undisturbed)
    assert chaos.wrong_tables(installation) == ""
    assert installation.sql("SELECT symbol, code, reason_values FROM importer_failure") == []
    snapshots = installation.sql("SELECT COUNT(*) FROM importer_snapshotpart")
    assert snapshots == [(1,)], "it was an update by snapshot"
