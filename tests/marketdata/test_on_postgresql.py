"""What is stored and read, once more on PostgreSQL: the same tests in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

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
    if connection.vendor == "postgresql":
        pytest.skip("This run is on PostgreSQL already.")
    # Django makes its test database beside this one; the name is unique, so that runs do not meet.
    assert urlsplit(postgresql_url).path.startswith("/barvault_test_")
    folder = Path(__file__).parent
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *(folder / f"test_{name}.py" for name in FILES),
        ],
        cwd=folder.parent.parent,
        env={**os.environ, "BARVAULT_TEST_DATABASE_URL": postgresql_url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
