"""The cluster on each database and queue, and what it does while one of them is away."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from psycopg import sql

from tests.importer.cluster_checks import TASKS, is_gone, start_task, works
from tests.importer.processes import PATIENT_GRACE, Installation, free_port, wait_until

pytestmark = pytest.mark.slow


def test_a_stop_lets_the_work_give_way(any_installation: Installation) -> None:
    command = any_installation.start_cluster(grace=PATIENT_GRACE)
    path = start_task(any_installation, "give_way", 600)
    command.send(signal.SIGTERM)
    assert command.wait() == 0
    assert path.read_text() == "gave way"
    assert is_gone(any_installation)


def test_a_host_whose_workers_are_busy_leaves_the_messages_to_others(
    any_installation: Installation, tmp_path: Path
) -> None:
    any_installation.start_qcluster(workers=1)
    # For longer than this test has patience: a worker that was killed for its time would take a message, too.
    asleep = tmp_path / "asleep"
    any_installation.enqueue(f"{TASKS}.sleep", str(asleep), 600, timeout=700)
    wait_until(asleep.exists, "the only worker is busy")
    south = Installation(tmp_path / "south", any_installation.database_url, any_installation.broker_url)
    south.environment = {"BARVAULT_HOST_NAME": "south"}
    try:
        south.start_qcluster(workers=1)
        paths = [tmp_path / f"touched-{number}" for number in range(4)]
        for path in paths:
            south.enqueue(f"{TASKS}.touch", str(path))
        wait_until(lambda: all(path.exists() for path in paths), "every message is run")
    finally:
        south.stop()


@pytest.mark.parametrize("victim", ["lock holder", "pusher", "sentinel"])
def test_it_works_again_after_a_death(any_installation: Installation, victim: str) -> None:
    any_installation.start_qcluster()
    killed = any_installation.lock_holder() if victim == "lock holder" else any_installation.process(victim)
    killed.kill()
    wait_until(lambda: not killed.is_there, f"the {victim} is dead")
    works(any_installation)
    any_installation.wait_for_cluster(2)


def test_it_waits_for_a_postgresql_that_is_away_and_goes_on_when_it_is_back(
    bare_installation: Installation, postgresql_url: str, postgresql_server: str
) -> None:
    bare_installation.database_url = postgresql_url
    bare_installation.migrate()
    command = bare_installation.start_qcluster()
    works(bare_installation)
    before = {process.pid for process in bare_installation.processes()}
    with no_connections(postgresql_server, postgresql_url):
        for reporter in ("The queue in the database", "The database or the queue"):
            wait_until(lambda: f"{reporter}: " in command.text(), f"the log says: {reporter}")  # noqa: B023
    works(bare_installation)
    assert {process.pid for process in bare_installation.processes()} == before


@contextmanager
def no_connections(server: str, database_url: str) -> Iterator[None]:
    """Cut all connections to a database and let nobody connect, as while PostgreSQL restarts."""
    database = urlsplit(database_url).path.lstrip("/")
    with psycopg.connect(server, autocommit=True) as connection:
        allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
        connection.execute(allow.format(sql.Identifier(database), sql.SQL("false")))
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
            yield
        finally:
            connection.execute(allow.format(sql.Identifier(database), sql.SQL("true")))


@contextmanager
def redis_server(port: int, folder: Path) -> Iterator[None]:
    """Run a Redis server of the test's own."""
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("No redis-server is installed: the test needs one that it may stop.")
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port) as client:
            wait_until(lambda: answers(client), "Redis answers")
        yield
    finally:
        server.kill()
        server.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_it_waits_for_a_redis_that_is_away_and_goes_on_when_it_is_back(installation: Installation) -> None:
    port = free_port()
    installation.broker_url = f"redis://127.0.0.1:{port}/0"
    command = installation.start_qcluster()
    with redis_server(port, installation.var_dir):
        works(installation)
        before = {process.pid for process in installation.processes()}
    with redis_server(port, installation.var_dir):
        works(installation)
        assert {process.pid for process in installation.processes()} == before
    command.send(signal.SIGTERM)
    assert command.wait() == 0
    assert is_gone(installation)
