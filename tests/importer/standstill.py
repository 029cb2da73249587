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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.importer.processes import Installation

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
    for (_role, name), *seconds in zip(ROLES, *columns, strict=True):
        sys.stdout.write(f"| {name} | {' | '.join(seconds)} |\n")


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


def _wait_until_stocks_are_finished(installation: Installation) -> None:
    from tests.importer import chaos
    from tests.importer.processes import wait_until

    before = chaos.stocks_done(installation)
    wait_until(lambda: chaos.stocks_done(installation) > before + 20, "stocks are finished")
    time.sleep(3)


def _kill_when_there_is_one(installation: Installation, role: str) -> bool:
    from tests.importer import chaos
    from tests.importer.processes import eventually

    return eventually(lambda: chaos.kill(installation, role), 10.0)


@contextmanager
def _installation(setup: str) -> Iterator[Installation]:
    from tests.conftest import claim_empty_redis_database, empty_postgresql, postgresql_server_url, redis_server_url
    from tests.importer.processes import Installation

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="barvault-standstill-"))
        installation = Installation(Path(folder) / "var", environment=MARKET)
        if setup != "SQLite":
            installation.database_url = stack.enter_context(empty_postgresql(postgresql_server_url()))
        if setup.endswith("Redis"):
            client, number = claim_empty_redis_database(redis_server_url())
            stack.callback(client.flushdb)
            installation.broker_url = f"{redis_server_url()}/{number}"
        installation.migrate()
        stack.callback(installation.stop)
        yield installation


if __name__ == "__main__":
    main()
