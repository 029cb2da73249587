"""``python -m tests.importer.standstill``: the longest standstill of an import after the death of each kind of process.

Prints a table in Markdown: one import for each set-up, one death after the other, as long as it takes each time until
stocks are finished again at the old pace. Needs Linux, and PostgreSQL and Redis for their set-ups.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROLES = (
    ("busy", "a worker that works"),
    ("lock holder", "an idle worker that holds the queue's read lock"),
    ("pusher", "pusher"),
    ("monitor", "monitor"),
    ("sentinel", "Sentinel"),
    ("dispatcher", "dispatcher"),
    ("web", "web server"),
    ("cluster", "main process of the cluster"),
)
SETUPS = ("SQLite", "PostgreSQL", "PostgreSQL and Redis")
# Lanes: one fewer than there are workers, so that one worker is always idle.
WORKERS, LANES = 4, 3
WATCHED = float(os.environ.get("BARVAULT_TEST_STANDSTILL_SECONDS", "20"))
# So slow that the import outlasts all deaths.
MARKET = {
    "BARVAULT_SOURCE": "simulated",
    "BARVAULT_SIMULATED_STOCKS": "5000",
    "BARVAULT_SIMULATED_LATENCY": "0.25",
    "BARVAULT_LOG_LEVEL": "WARNING",
}


def main() -> None:
    import django

    import tests.settings  # noqa: F401 - a set-up of the tests' own, before Django's settings are loaded

    django.setup()
    # Ended from outside, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(143))
    columns = [_column(setup) for setup in SETUPS]
    sys.stdout.write(f"| killed | {' | '.join(SETUPS)} |\n|{' --- |' * (1 + len(SETUPS))}\n")
    for (role, name), *seconds in zip(ROLES, *columns, strict=True):
        sys.stdout.write(f"| {name} | {' | '.join(seconds)} |\n")
        del role


def _column(setup: str) -> list[str]:
    from tests.importer import chaos

    with _installation(setup) as installation:
        installation.start_serve(workers=WORKERS)
        chaos.ask_for_import(installation, "--lanes", str(LANES))
        found = []
        with chaos.Watcher(installation) as watcher:
            for role, _name in ROLES:
                _wait_until_stocks_are_finished(installation)
                began = time.monotonic()
                killed = _kill_when_there_is_one(installation, role)
                time.sleep(WATCHED)
                # Up to now: an import that stands still has no later moment.
                found.append(f"{watcher.longest_standstill(began, until_now=True):.1f} s" if killed else "none there")
                sys.stderr.write(f"{setup}: {role}: {found[-1]}\n")
        return found


def _wait_until_stocks_are_finished(installation: object) -> None:
    from tests.importer import chaos
    from tests.importer.processes import Installation, wait_until

    assert isinstance(installation, Installation)
    before = chaos.stocks_done(installation)
    wait_until(lambda: chaos.stocks_done(installation) > before + 20, "stocks are finished")
    time.sleep(3)


def _kill_when_there_is_one(installation: object, role: str) -> bool:
    from tests.importer import chaos
    from tests.importer.processes import Installation, eventually

    assert isinstance(installation, Installation)
    return eventually(lambda: chaos.kill(installation, role), 10.0)


@contextmanager
def _installation(setup: str) -> Iterator[object]:
    from tests.conftest import claim_empty_redis_database
    from tests.importer.processes import Installation

    with tempfile.TemporaryDirectory(prefix="barvault-standstill-") as folder:
        installation = Installation(Path(folder) / "var", environment=MARKET)
        database, client = None, None
        if setup != "SQLite":
            database = _new_database()
            installation.database_url = database
        if setup.endswith("Redis"):
            server = os.environ.get("BARVAULT_TEST_REDIS_URL", "redis://127.0.0.1:6379")
            client, number = claim_empty_redis_database(server)
            installation.broker_url = f"{server}/{number}"
        installation.migrate()
        try:
            yield installation
        finally:
            installation.stop()
            if client is not None:
                client.flushdb()
            if database is not None:
                _drop_database(database)


def _server() -> str:
    import getpass

    return os.environ.get("BARVAULT_TEST_POSTGRESQL_URL", f"postgres://{getpass.getuser()}@127.0.0.1:5432/test")


def _new_database() -> str:
    import psycopg
    from psycopg import sql

    name = f"barvault_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(_server())._replace(path=f"/{name}"))


def _drop_database(url: str) -> None:
    import psycopg
    from psycopg import sql

    name = urlsplit(url).path.lstrip("/")
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


if __name__ == "__main__":
    main()
