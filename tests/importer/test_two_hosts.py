"""Two clusters on one database and one queue, each over a line of its own: one line is cut in the middle of writing.

BARVAULT_TEST_CUT_SECONDS makes the cut longer; the import grows with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.importer import chaos
from tests.importer.processes import Installation, wait_until
from tests.importer.relay import Relay

pytestmark = pytest.mark.slow

# Longer than a lease (8 s), and than a transaction may be silent.
CUT = float(os.environ.get("BARVAULT_TEST_CUT_SECONDS", "12"))
LATENCY = 0.4
WORKERS = 2
# So many that the import outlasts the cut, which leaves one of the hosts.
STOCKS = 60 + int(CUT * (WORKERS + 1) / LATENCY)
MARKET = {
    "BARVAULT_SOURCE": "simulated",
    "BARVAULT_SIMULATED_STOCKS": str(STOCKS),
    "BARVAULT_LOG_LEVEL": "WARNING",
}
# The statement that moves a chunk's cursor: the last one of a stock's transaction.
LAST_STATEMENT = b"SET cursor = cursor +"


@dataclass
class Line:
    """A host's ways to the database and to the queue."""

    to_database: Relay
    to_queue: Relay

    def reset(self) -> None:
        self.to_database.reset()
        self.to_queue.reset()

    def mend(self) -> None:
        self.to_database.mend()
        self.to_queue.mend()


@pytest.fixture
def undisturbed(tmp_path: Path, migrated_file: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "undisturbed", environment=MARKET)
    installation.migrate(migrated_file)
    installation.manage("import_bars", "--inline")
    yield installation
    installation.stop()


@pytest.fixture
def hosts(
    bare_installation: Installation, tmp_path: Path, postgresql_url: str, redis_url: str
) -> Iterator[dict[str, tuple[Installation, Line]]]:
    """Yield two hosts by name, each with its line; what a test asks of their database itself goes past the lines."""
    bare_installation.database_url, bare_installation.broker_url = postgresql_url, redis_url
    bare_installation.migrate()
    south = Installation(tmp_path / "south", postgresql_url, redis_url)
    found = {}
    with ExitStack() as stack:
        stack.callback(south.stop)
        # Before the lines end.
        stack.callback(bare_installation.stop)
        for name, installation in (("north", bare_installation), ("south", south)):
            relays = [stack.enter_context(Relay(_server(url))) for url in (postgresql_url, redis_url)]
            installation.environment = {
                **MARKET,
                "BARVAULT_SIMULATED_LATENCY": str(LATENCY),
                "BARVAULT_HOST_NAME": name,
                "DATABASE_URL": _through(postgresql_url, relays[0]),
                "BARVAULT_BROKER_URL": _through(redis_url, relays[1]),
            }
            found[name] = (installation, Line(*relays))
        yield found
        for installation, line in found.values():
            line.mend()
            installation.stop()


def _server(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or (6379 if parts.scheme == "redis" else 5432)


def _through(url: str, relay: Relay) -> str:
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{relay.port}"))


def working_hosts(installation: Installation) -> set[str]:
    return {row[0] for row in installation.sql("SELECT host FROM importer_laneslot WHERE pid IS NOT NULL")}


def test_what_a_host_that_was_cut_off_does_late_is_written_neither_twice_nor_over(
    hosts: dict[str, tuple[Installation, Line]], undisturbed: Installation
) -> None:
    north, north_line = hosts["north"]
    south, south_line = hosts["south"]
    for installation in (north, south):
        installation.start("qcluster", "--workers", str(WORKERS))
    for installation in (north, south):
        installation.wait_for_cluster(WORKERS)
    chaos.ask_for_import(north)
    with chaos.Watcher(north) as watcher:
        wait_until(lambda: working_hosts(north) == {"north", "south"}, "both hosts work")
        south_line.to_database.swallow_after(LAST_STATEMENT)
        wait_until(lambda: not south_line.to_database.is_open, "the line of the south is cut")
        south_line.to_queue.swallow()
        before = chaos.stocks_done(north)
        mended_at = time.monotonic() + CUT
        wait_until(lambda: working_hosts(north) == {"north"} or chaos.has_ended(north), "the south is found dead")
        wait_until(lambda: chaos.stocks_done(north) > before, "the north goes on")
        time.sleep(max(0.0, mended_at - time.monotonic()))
        assert not chaos.has_ended(north), "the import must outlast the cut"
        south_line.mend()
        wait_until(lambda: working_hosts(north) == {"north", "south"} or chaos.has_ended(north), "both work again")
        north_line.reset()
        time.sleep(1)
        north_line.mend()
        chaos.wait_for_end(north)
    print(f"longest standstill: {watcher.longest_standstill():.1f} s")  # noqa: T201
    assert watcher.never_went_back()
    chaos.assert_same_as_undisturbed(north, undisturbed)
