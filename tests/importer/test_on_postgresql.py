"""What several do at once to tasks, once more on PostgreSQL, which lets them: the same tests in their own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

FILES = ("lock_order", "action_races", "chunks", "slots", "dispatch", "lanes")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_several_at_once_do_the_same_on_postgresql(postgresql_url: str) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("This run is on PostgreSQL already.")
    folder = Path(__file__).parent
    files = [folder / f"test_{name}.py" for name in FILES]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=folder.parent.parent,
        # Django makes its test database beside this one, whose name is unique.
        env={**os.environ, "BARVAULT_TEST_DATABASE_URL": postgresql_url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
