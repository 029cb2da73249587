"""What every test may ask for: the real data beside the project, a PostgreSQL database, a Redis of its own."""

from __future__ import annotations

import getpass
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import psycopg
import pytest
import redis
from django.conf import settings
from django.utils import translation
from django.utils.translation.reloader import translation_file_changed
from psycopg import sql

from config.translations import compile_stale_catalogues

SERVER_FIXTURES = {"postgresql_url": "postgresql", "redis_url": "redis"}
# What starts many processes takes minutes on a busy machine: longer than the longest patience in such a test.
SLOW_TIMEOUT = 1200


# How long an example takes depends on what else this machine does.
hypothesis.settings.register_profile("barvault", deadline=None)
hypothesis.settings.load_profile("barvault")


def pytest_configure() -> None:
    # Django was loaded before this file, and keeps the catalogues that it has read: let it read the new ones.
    for compiled in compile_stale_catalogues():
        translation_file_changed(None, compiled)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a server, so that ``-m "not postgresql"`` leaves them out; give slow ones more time."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))
        for fixture, marker in SERVER_FIXTURES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Let tests read sentences as they stand in the code; those of a translation switch the language themselves."""
    with translation.override("en"):
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real market data (see its README.md); it is read in place and may be absent."""
    folder = Path(settings.BASE_DIR).parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip(f"No real market data: {folder} is not there.")
    return folder


def postgresql_server_url() -> str:
    return os.environ.get("BARVAULT_TEST_POSTGRESQL_URL", f"postgres://{getpass.getuser()}@127.0.0.1:5432/test")


def redis_server_url() -> str:
    return os.environ.get("BARVAULT_TEST_REDIS_URL", "redis://127.0.0.1:6379")


@contextmanager
def empty_postgresql(server: str) -> Iterator[str]:
    """Yield the URL of a new, empty database on the server."""
    name = f"barvault_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """Return the URL of a database on a server where this user may create others."""
    url = postgresql_server_url()
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        pytest.skip(f"PostgreSQL does not answer ({reason}). BARVAULT_TEST_POSTGRESQL_URL names another server.")
    return url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """Yield the URL of a new, empty database, for ``DATABASE_URL`` of a process that the test starts."""
    with empty_postgresql(postgresql_server) as url:
        yield url


@pytest.fixture
def redis_url() -> Iterator[str]:
    """Yield the URL of an empty Redis database, for ``BARVAULT_BROKER_URL``; it is emptied afterwards."""
    server = redis_server_url()
    client, number = claim_empty_redis_database(server)
    try:
        yield f"{server}/{number}"
    finally:
        client.flushdb()
        client.close()


def claim_empty_redis_database(server: str) -> tuple[redis.Redis, int]:
    """Return a client of a database that nobody uses, and its number; skip the test when there is none."""
    for number in range(15, 0, -1):
        client = redis.Redis.from_url(f"{server}/{number}", socket_connect_timeout=3)
        try:
            # The key tells another test run that this one is taken.
            if client.dbsize() == 0 and client.set("barvault-tests", os.getpid(), nx=True, ex=3600):
                return client, number
        except redis.ConnectionError as error:
            pytest.skip(f"Redis does not answer ({error}). BARVAULT_TEST_REDIS_URL names another server.")
        client.close()
    pytest.skip("Redis has no empty database among 1 to 15.")
