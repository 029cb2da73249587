"""A schedule that is due starts its task in real clusters, and only once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from marketdata.trading_days import EXCHANGE_TIME
from tests.importer.processes import Installation, wait_until

pytestmark = pytest.mark.slow

MARKET = {"BARVAULT_SOURCE": "simulated", "BARVAULT_SIMULATED_STOCKS": "5"}


def add_due_now(installation: Installation) -> None:
    """Add a daily import whose next run is tomorrow, and make today's due."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    installation.manage("schedules", "add", "import", "--cron", f"{minute.astimezone(EXCHANGE_TIME):%-M %-H} * * *")
    today = f"{minute:%Y-%m-%d %H:%M:%S}"
    if installation.database_url.startswith("postgres"):
        today += "+00:00"
    installation.sql("UPDATE importer_taskschedule SET due_at = ?", today)
    installation.sql("UPDATE django_q_schedule SET next_run = ?", today)


def has_run(installation: Installation) -> bool:
    return bool(installation.sql("SELECT 1 FROM importer_taskschedule WHERE last_run_at IS NOT NULL"))


def test_in_a_cluster_on_sqlite(installation: Installation) -> None:
    installation.environment = MARKET
    installation.start_qcluster(workers=1)
    add_due_now(installation)
    wait_until(lambda: has_run(installation), "the schedule has run")
    done = "SELECT id FROM importer_importtask WHERE status = 'completed'"
    assert len(wait_until(lambda: installation.sql(done), "its task has been done")) == 1


def test_in_two_clusters_on_postgresql_and_redis(
    bare_installation: Installation, postgresql_url: str, redis_url: str
) -> None:
    installation = bare_installation
    installation.database_url, installation.broker_url = postgresql_url, redis_url
    installation.environment = MARKET
    installation.migrate()
    installation.start("qcluster", "--workers", "1", BARVAULT_HOST_NAME="one")
    installation.start("qcluster", "--workers", "1", BARVAULT_HOST_NAME="two")
    hosts = "SELECT name FROM importer_host WHERE pid IS NOT NULL"
    wait_until(lambda: len(installation.sql(hosts)) == 2, "both clusters are alive")
    add_due_now(installation)
    wait_until(lambda: has_run(installation), "the schedule has run")
    done = "SELECT id FROM importer_importtask WHERE status = 'completed'"
    wait_until(lambda: installation.sql(done), "its task has been done")
    assert installation.sql("SELECT count(*) FROM importer_importtask") == [(1,)]
