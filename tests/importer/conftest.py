"""What tests that start real processes ask for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importer.processes import Installation


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file with all tables and nothing in them, to copy from."""
    installation = Installation(tmp_path_factory.mktemp("migrated"))
    installation.migrate()
    return installation.var_dir / "barvault.sqlite3"


@pytest.fixture
def bare_installation(tmp_path: Path) -> Iterator[Installation]:
    """Yield an installation without tables; what still runs on it afterwards is ended."""
    if sys.platform != "linux":
        pytest.skip("Needs Linux: processes are looked up in /proc.")
    installation = Installation(tmp_path / "var")
    try:
        yield installation
    finally:
        installation.stop()


@pytest.fixture
def installation(bare_installation: Installation, migrated_file: Path) -> Installation:
    """Return an installation on SQLite, ready to start something on."""
    bare_installation.migrate(migrated_file)
    return bare_installation
