"""Test files that run once more on PostgreSQL, in a process of their own: Django's settings name one database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection


def run_on_postgresql(folder: Path, names: Iterable[str], url: str, *, timeout: float) -> None:
    """Run ``test_NAME.py`` of ``folder`` on the server of ``url``, and require that they pass; skip on PostgreSQL."""
    if connection.vendor == "postgresql":
        pytest.skip("This run is on PostgreSQL already.")
    # Django makes its test database beside this one; the name is unique, so that runs do not meet.
    assert urlsplit(url).path.startswith("/barvault_test_")
    files = [folder / f"test_{name}.py" for name in names]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "BARVAULT_TEST_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
