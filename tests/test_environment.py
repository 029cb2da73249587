from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
from django.conf import settings

from tests.conftest import claim_empty_redis_database
from tests.environment import isolate

SHOW_VAR_DIR = "from django.conf import settings; print(settings.VAR_DIR)"
FORK_AND_SHOW = """
import os
from tests.environment import isolate

folder = isolate()
if os.fork() == 0:
    raise SystemExit
os.wait()
print(folder, folder.is_dir())
"""


def test_the_suite_never_uses_the_users_database() -> None:
    assert Path(settings.VAR_DIR) != settings.BASE_DIR / "var"
    assert (settings.BASE_DIR / "var") not in Path(settings.VAR_DIR).parents
    assert "DATABASE_URL" not in os.environ or "BARVAULT_TEST_DATABASE_URL" in os.environ


def test_a_process_that_a_test_starts_stays_in_the_suites_folder() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_VAR_DIR], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == str(settings.VAR_DIR)


def test_isolation_forgets_what_the_user_has_set_but_not_what_the_tests_are_told(monkeypatch) -> None:
    for name in ("BARVAULT_SOURCE", "DATABASE_URL", "https_proxy", "BARVAULT_TEST_ANYTHING", "BARVAULT_VAR_DIR"):
        monkeypatch.setenv(name, "the user's")
    monkeypatch.setenv("BARVAULT_ENV_FILE", "the user's")
    folder = isolate()
    assert not {"BARVAULT_SOURCE", "DATABASE_URL", "https_proxy"} & set(os.environ)
    assert os.environ["BARVAULT_TEST_ANYTHING"] == "the user's"
    assert os.environ["BARVAULT_VAR_DIR"] == str(folder)
    assert os.environ["BARVAULT_ENV_FILE"] == os.devnull


def test_the_temporary_folder_is_removed_by_the_process_that_made_it() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", FORK_AND_SHOW], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    folder, was_there = shown.stdout.split()
    assert was_there == "True"
    assert not Path(folder).exists()


def test_a_postgresql_database_is_new_and_empty(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_redis_database_is_empty_and_taken_by_this_run_alone(redis_url: str) -> None:
    server, _slash, number = redis_url.rpartition("/")
    client, other_number = claim_empty_redis_database(server)
    client.flushdb()
    client.close()
    assert other_number != int(number)
