"""A real cluster on a database that is not, or no longer, its own."""

from __future__ import annotations

import pytest

from tests.importer.cluster_checks import TASKS
from tests.importer.processes import Installation, wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["qcluster", "serve"])
def test_a_host_with_another_key_refuses_to_start(installation: Installation, command: str) -> None:
    installation.sql("INSERT INTO importer_seal VALUES (?, ?, ?, ?)", 1, "salt", "of another key", "0.1")
    refused = installation.manage(command, check=False)
    assert refused.returncode == 2
    assert "claim_database --key" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_cluster_takes_nothing_while_the_database_is_of_a_newer_version(installation: Installation) -> None:
    installation.start_qcluster(workers=1)
    installation.sql(
        "INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)", "importer", "9999_newer", "2030-01-01"
    )
    wait_until(lambda: installation.sql("SELECT workers FROM importer_host") == [(0,)], "the host has no workers now")
    assert "older version" in installation.sql("SELECT trouble FROM importer_host")[0][0]
    path = installation.var_dir / "touched"
    installation.enqueue(f"{TASKS}.touch", str(path))
    seen = "SELECT seen_at FROM importer_host"
    before = installation.sql(seen)
    wait_until(lambda: installation.sql(seen) != before, "another round of its dispatcher")
    assert not path.exists()
    installation.sql("DELETE FROM django_migrations WHERE name = ?", "9999_newer")
    wait_until(path.exists, "the message is taken")
