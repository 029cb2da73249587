"""A stock that kills its worker, again and again: it ends as a listed failure, and its neighbours are imported."""

from __future__ import annotations

import pytest

from tests.importer import chaos
from tests.importer.processes import Installation

pytestmark = pytest.mark.slow

STOCKS = 100
MARKET = {
    "BARVAULT_SOURCE": "simulated",
    "BARVAULT_SIMULATED_STOCKS": str(STOCKS),
    "BARVAULT_LOG_LEVEL": "WARNING",
}


def test_a_stock_that_kills_its_worker_is_listed_and_takes_no_neighbour_along(installation: Installation) -> None:
    installation.environment = MARKET
    listed = chaos.run_python(
        installation, "from importer.sources.simulated import open_market; "
        "print(*sorted(each.symbol for each in open_market().stocks()))",
    ).split()  # fmt: skip
    # Neighbours in one chunk: each dies in a way of its own.
    victims = [listed[9], listed[10]]
    installation.environment = {
        **MARKET,
        "DJANGO_SETTINGS_MODULE": "tests.importer.deadly_settings",
        "BARVAULT_TEST_DEADLY": " ".join(victims),
    }
    installation.start_qcluster(workers=2)
    chaos.ask_for_import(installation)
    chaos.wait_for_end(installation)
    rows = installation.sql("SELECT symbol, code, attempts FROM importer_failure ORDER BY symbol")
    assert rows == [(symbol, "lane_died", 5) for symbol in victims]
    figures = installation.sql("SELECT status, total, done, failed FROM importer_importtask")
    assert figures == [("completed", STOCKS, STOCKS - len(victims), len(victims))]
    assert chaos.wrong_tables(installation) == ""
