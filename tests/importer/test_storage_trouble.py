"""A real import while its database keeps everybody waiting for longer than any lease: it waits, and loses nothing."""

from __future__ import annotations

import os
import time

import pytest

from tests.importer.chaos import stocks_done
from tests.importer.processes import Installation, wait_until

pytestmark = pytest.mark.slow

# Longer than a lane's lease, so that every lane may be taken for dead meanwhile.
LOCKED_FOR = float(os.environ.get("BARVAULT_TEST_LOCKED_FOR", "10"))
MARKET = {
    "BARVAULT_SOURCE": "simulated",
    "BARVAULT_SIMULATED_STOCKS": "60",
    "BARVAULT_SIMULATED_LATENCY": "0.1",
}


def test_an_import_outlasts_a_locked_database(installation: Installation) -> None:
    installation.environment = MARKET
    installation.start_qcluster()
    installation.manage("import_bars", "--detach")
    wait_until(lambda: stocks_done(installation) >= 5, "some stocks are done")
    with installation.locked_database():
        before = stocks_done(installation)
        time.sleep(LOCKED_FOR)
        assert stocks_done(installation) == before
    status = "SELECT status, done, failed, skipped FROM importer_importtask"
    wait_until(lambda: installation.sql(status)[0][0] == "completed", "the import is complete")
    assert installation.sql(status) == [("completed", 60, 0, 0)]
    assert installation.sql("SELECT COUNT(*) FROM importer_failure") == [(0,)]
    assert installation.sql("SELECT COUNT(DISTINCT stock_id) FROM marketdata_bar") == [(60,)]
