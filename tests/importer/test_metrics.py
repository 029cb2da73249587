"""/metrics: figures from the database, in the text that Prometheus reads, for those who may know them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import django.db
import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from importer import metrics
from importer.dbtime import db_now
from importer.models import Breaker, LaneSlot, SourceState, Status
from marketdata.models import Stock
from marketdata.trading_days import newest_finished_day, trading_days
from tests.importer.factories import make_task
from tests.importer.pages import living_host

pytestmark = pytest.mark.django_db

Labels = tuple[tuple[str, str], ...]


def scraped(client: Client) -> Mapping[tuple[str, Labels], float]:
    answer = client.get("/metrics", headers={"host": "localhost:5000"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def stored_until(day: date) -> None:
    for code in ("600000", "600001"):
        Stock.objects.create(
            symbol=f"{code}.SH", code=code, exchange="SH", bar_count=9, first_bar=day, last_bar=day,
            covered_from=day, covered_until=day,
        )  # fmt: skip


def test_an_empty_database_has_figures(client: Client) -> None:
    found = scraped(client)
    assert found["barvault_tasks", (("state", "running"),)] == 0
    assert found["barvault_queue_depth", ()] == 0
    assert ("barvault_newest_day_lag_trading_days", ()) not in found


def test_tasks_sources_workers_and_the_lag_are_told(client: Client) -> None:
    now = db_now()
    newest = newest_finished_day(now)
    days = trading_days(newest - timedelta(days=30), newest).days
    stored_until(days[-4])
    make_task(status=Status.COMPLETED, done=5, failed=1, rows_written=900, finished_at=now)
    running = make_task(status=Status.RUNNING, total=10, done=3, stocks_per_second=2.5)
    LaneSlot.objects.create(task=running, number=0, token="a", pid=1, leased_until=now + timedelta(minutes=1))
    LaneSlot.objects.create(task=running, number=1, token="b", pid=2, leased_until=now - timedelta(minutes=1))
    SourceState.objects.create(source="sina", requests=12, successes=9, troubles=2, breaker=Breaker.OPEN, interval=0.4)
    living_host(workers=3)
    found = scraped(client)
    assert found["barvault_tasks", (("state", "completed"),)] == 1
    assert found["barvault_task_stocks", (("outcome", "done"),)] == 8
    assert found["barvault_task_rows_written", ()] == 900
    assert found["barvault_running_task_stocks", (("outcome", "total"),)] == 10
    assert found["barvault_running_task_stocks_per_second", ()] == 2.5
    assert found["barvault_last_completed_timestamp_seconds", ()] == pytest.approx(now.timestamp(), abs=1)
    assert found["barvault_newest_day_lag_trading_days", ()] == 3
    assert found["barvault_bars", ()] == 18
    assert found["barvault_source_requests_total", (("source", "sina"),)] == 12
    assert found["barvault_source_outcomes_total", (("outcome", "answered"), ("source", "sina"))] == 9
    assert found["barvault_source_outcomes_total", (("outcome", "trouble"), ("source", "sina"))] == 2
    assert found["barvault_source_breaker", (("source", "sina"), ("state", "open"))] == 1
    assert found["barvault_source_breaker", (("source", "sina"), ("state", "closed"))] == 0
    assert found["barvault_lanes_alive", ()] == 1
    assert found["barvault_workers_alive", ()] == 3
    assert found["barvault_hosts_alive", ()] == 1


def test_a_scrape_asks_little_and_never_counts_bars(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(14) as asked:
        scraped(client)
    assert [query["sql"] for query in asked.captured_queries if "marketdata_bar" in query["sql"]] == []


def test_where_others_reach_the_server_it_needs_a_token(client: Client, settings: Settings) -> None:
    settings.LOGIN_REQUIRED, settings.API_TOKENS = True, ["a-long-random-word"]
    headers = {"host": "localhost:5000"}
    assert client.get("/metrics", headers=headers).status_code == 401
    assert client.get("/metrics", headers={**headers, "authorization": "Bearer wrong"}).status_code == 401
    answer = client.get("/metrics", headers={**headers, "authorization": "Bearer a-long-random-word"})
    assert answer.status_code == 200


def test_while_the_database_does_not_answer_a_scrape_fails(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> None:
        raise django.db.OperationalError("gone")

    monkeypatch.setattr(metrics, "live_hosts", silent)
    assert client.get("/metrics", headers={"host": "localhost:5000"}).status_code == 503
