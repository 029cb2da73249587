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


@pytest.fixture(params=["SQLite", "PostgreSQL", "PostgreSQL and Redis"])
def any_installation(bare_installation: Installation, request: pytest.FixtureRequest) -> Installation:
    """Return an installation of each kind, ready to start something on."""
    if request.param == "SQLite":
        bare_installation.migrate(request.getfixturevalue("migrated_file"))
        return bare_installation
    bare_installation.database_url = request.getfixturevalue("postgresql_url")
    if request.param == "PostgreSQL and Redis":
        bare_installation.broker_url = request.getfixturevalue("redis_url")
    bare_installation.migrate()
    return bare_installation
