"""docs/operations.md and deploy/: what they say can be done was done here, with their own commands."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as django_settings
from django.core.management import get_commands
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from importer.moving import TARGET, move, target_database
from marketdata.integrity import bars_hash
from marketdata.store import ensure_stocks, store_bars
from tests.conftest import empty_postgresql
from tests.sources.made_bars import bars
from tests.test_docs import variables

BASE_DIR = Path(django_settings.BASE_DIR)
DEPLOY = BASE_DIR / "deploy"
MANUALS = (BASE_DIR / "docs" / "operations.md", BASE_DIR / "docs" / "operations.zh-CN.md")
CODE_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def block(program: str) -> str:
    """Return the manual's code block that begins with ``program``; both languages have the same ones."""
    (found,) = [text for text in CODE_BLOCK.findall(MANUALS[0].read_text(encoding="utf-8")) if text.startswith(program)]
    return str(found)


def run(script: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def stored(transactional_db: None, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Store some bars and return the hash of all of them; other databases may be looked into."""
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", django_db_blocker._real_ensure_connection)
    for seed, stock_id in enumerate(ensure_stocks(["600519.SH", "000001.SZ"]).values()):
        store_bars(stock_id, bars(50, seed=seed), source="sina", simulated=False, covered=None)
    return bars_hash()


@pytest.fixture
def other_postgresql_url(postgresql_server: str) -> Iterator[str]:
    with empty_postgresql(postgresql_server) as url:
        yield url


def test_an_sqlite_database_is_backed_up_while_somebody_writes_and_restored(stored: str, tmp_path: Path) -> None:
    if connection.vendor != "sqlite" or not shutil.which("sqlite3"):
        pytest.skip("Needs SQLite and its program sqlite3.")
    (tmp_path / "var").mkdir()
    live = tmp_path / "var" / "barvault.sqlite3"
    live.symlink_to(connection.settings_dict["NAME"])
    writer = sqlite3.connect(live, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE marketdata_bar SET close = 1")
        assert run(block("sqlite3 "), tmp_path).strip() == "ok"
    finally:
        writer.execute("ROLLBACK")
        writer.close()
    run(block("rm -f var/"), tmp_path)
    with target_database(f"sqlite:///{live}"):
        assert bars_hash(TARGET) == stored


def test_a_postgresql_database_is_backed_up_and_restored(
    stored: str, tmp_path: Path, postgresql_url: str, other_postgresql_url: str
) -> None:
    if not shutil.which("pg_dump") or not shutil.which("pg_restore"):
        pytest.skip("Needs pg_dump and pg_restore.")
    with target_database(postgresql_url):
        move(on_table=lambda _table, _rows: None)
    run(block("pg_dump"), tmp_path, DATABASE_URL=postgresql_url)
    run(block("pg_restore"), tmp_path, NEW_DATABASE_URL=other_postgresql_url)
    with target_database(other_postgresql_url):
        assert bars_hash(TARGET) == stored


def test_both_manuals_give_the_same_commands() -> None:
    ours, theirs = (CODE_BLOCK.findall(manual.read_text("utf-8")) for manual in MANUALS)
    assert ours == theirs


def test_the_folder_that_is_cloned_into_is_there_and_empty() -> None:
    # A home folder that useradd makes holds the files of /etc/skel, and git clones into no such folder.
    user, folder, clone, *_rest = block("sudo useradd").splitlines()
    assert "--no-create-home" in user
    assert folder.startswith("sudo install --directory --owner barvault ")
    assert folder.split()[-1] == clone.split()[-1]


@pytest.mark.parametrize("name", ["barvault.service", "barvault-workers.service"])
class TestUnit:
    def test_it_runs_our_commands_and_signals_the_first_process_alone(self, name: str) -> None:
        unit = configparser.ConfigParser(interpolation=None, strict=True)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string((DEPLOY / name).read_text(encoding="utf-8"))
        service = unit["Service"]
        assert service["KillMode"] == "mixed"
        for line in (service["ExecStart"], service.get("ExecStartPre", "manage.py migrate")):
            command = line.partition("manage.py ")[2].split()[0]
            assert command in get_commands()

    def test_systemd_finds_nothing_wrong(self, name: str, tmp_path: Path) -> None:
        if not shutil.which("systemd-analyze"):
            pytest.skip("Needs systemd-analyze.")
        text = (DEPLOY / name).read_text(encoding="utf-8")
        # The user and the folder of a real installation are not here.
        text = re.sub(r"^(User|WorkingDirectory|EnvironmentFile)=.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"/opt/barvault/\S*python", shutil.which("true") or "/bin/true", text)
        unit = tmp_path / name
        unit.write_text(text)
        checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
        assert name not in checked.stderr
        assert checked.returncode == 0


class TestCompose:
    """The file was not run: at least it says what the product understands."""

    @pytest.fixture
    def services(self) -> dict[str, Any]:
        parsed: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
        return dict(parsed["services"])

    def test_each_variable_is_one_of_ours(self, services: dict[str, Any]) -> None:
        for name in ("web", "workers", "migrate"):
            assert set(services[name]["environment"]) <= set(variables())

    def test_all_of_ours_share_database_queue_and_key(self, services: dict[str, Any]) -> None:
        shared = ("DATABASE_URL", "BARVAULT_BROKER_URL", "SECRET_KEY")
        values = {tuple(services[name]["environment"][key] for key in shared) for name in ("web", "workers", "migrate")}
        assert len(values) == 1

    def test_each_command_is_one_of_ours(self, services: dict[str, Any]) -> None:
        for name in ("workers", "migrate"):
            _python, script, command, *_options = services[name]["command"]
            assert script == "manage.py"
            assert command in get_commands()

    def test_what_it_waits_for_and_mounts_is_there(self, services: dict[str, Any]) -> None:
        parsed = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
        for service in services.values():
            assert set(service.get("depends_on", {})) <= set(services)
            assert {mount.partition(":")[0] for mount in service.get("volumes", [])} <= set(parsed["volumes"])

    def test_only_this_machine_reaches_the_port(self, services: dict[str, Any]) -> None:
        ports = [port for service in services.values() for port in service.get("ports", [])]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_the_image_is_made_of_what_is_here(self) -> None:
        text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
        assert (BASE_DIR / "requirements.lock").is_file()
        assert "COPY requirements.lock" in text
        assert '"manage.py", "serve"' in text
