"""A schedule that is due starts its task within seconds in real clusters, and only once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from marketdata.trading_days import EXCHANGE_TIME
from tests.importer.processes import Installation, wait_until

pytestmark = pytest.mark.slow

SOON = timedelta(seconds=15)
MARKET = {"BARVAULT_SOURCE": "simulated", "BARVAULT_SIMULATED_STOCKS": "5"}


def add_due_now(installation: Installation) -> datetime:
    """Add a daily import whose next run is tomorrow, and make today's due; return when it became so."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    installation.manage("schedules", "add", "import", "--cron", f"{minute.astimezone(EXCHANGE_TIME):%-M %-H} * * *")
    today = f"{minute:%Y-%m-%d %H:%M:%S}"
    if installation.database_url.startswith("postgres"):
        today += "+00:00"
    installation.sql("UPDATE importer_taskschedule SET due_at = ?", today)
    installation.sql("UPDATE django_q_schedule SET next_run = ?", today)
    return datetime.now(UTC)


def outcome(installation: Installation) -> list[tuple[object, ...]]:
    return installation.sql("SELECT last_run_at, last_task_id FROM importer_taskschedule WHERE last_run_at IS NOT NULL")


def as_time(value: object) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def test_in_a_cluster_on_sqlite(installation: Installation) -> None:
    installation.environment = MARKET
    installation.start_qcluster(workers=1)
    due = add_due_now(installation)
    [(ran_at, _task)] = wait_until(lambda: outcome(installation), "the schedule has run")
    assert as_time(ran_at) - due < SOON
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
    due = add_due_now(installation)
    [(ran_at, _task)] = wait_until(lambda: outcome(installation), "the schedule has run")
    assert as_time(ran_at) - due < SOON
    done = "SELECT id FROM importer_importtask WHERE status = 'completed'"
    wait_until(lambda: installation.sql(done), "its task has been done")
    assert installation.sql("SELECT count(*) FROM importer_importtask") == [(1,)]
