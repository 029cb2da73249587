"""What is stored and read, once more on PostgreSQL: the same tests in a process of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.on_postgresql import run_on_postgresql

FILES = (
    *(
        "store",
        "store_day",
        "concurrency",
        "listing",
        "origin",
        "integrity",
        "reading",
        "calendar_extension",
        "trading_days",
    ),
    *("actions", "adjusted_reading", "proof", "export", "completeness", "panel_completeness", "market_index"),
)


@pytest.mark.slow
def test_bars_are_stored_and_read_the_same_on_postgresql(postgresql_url: str) -> None:
    run_on_postgresql(Path(__file__).parent, FILES, postgresql_url, timeout=240)
