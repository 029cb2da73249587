"""``/metrics``: how things stand, for Prometheus, read from the database when it is asked.

Several processes do the work, so counters in any one of them would tell nothing: everything here comes from the
rows that all of them write. Nothing counts the bars.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from django_q.brokers import get_broker
from django_q.models import OrmQ
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from importer.dbtime import db_now
from importer.hosts import code_version, live_hosts
from importer.models import Breaker, ImportTask, LaneSlot, SourceState, Status
from importer.notify.models import Delivery, DeliveryState
from importer.progress import speed_of
from importer.status import completeness, data_status
from importer.storage_trouble import storage_errors

logger = logging.getLogger(__name__)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures as text. 503 while the database does not answer, so that the scrape counts as failed."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DatabaseCollector())
    try:
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    except storage_errors() as error:
        logger.warning("No figures: %s", error)
        return HttpResponse("# the database does not answer\n", status=503, content_type=CONTENT_TYPE_PLAIN_0_0_4)


class DatabaseCollector(Collector):
    """Asks the database for everything that is told, once for each scrape."""

    def collect(self) -> Iterator[Metric]:
        yield _labelled("barvault_build_info", "The version that runs.", "version", {code_version(): 1})
        yield from _tasks()
        yield from _data()
        yield from _sources()
        yield from _workers()
        yield from _messages()

    def describe(self) -> Iterator[Metric]:
        return iter(())


def _tasks() -> Iterator[Metric]:
    states = dict.fromkeys(Status.values, 0)
    states |= dict(ImportTask.objects.order_by().values_list("status").annotate(count=Count("pk")))
    yield _labelled("barvault_tasks", "Tasks by state.", "state", states)
    sums = ImportTask.objects.aggregate(
        done=Sum("done", default=0),
        failed=Sum("failed", default=0),
        skipped=Sum("skipped", default=0),
        rows=Sum("rows_written", default=0),
    )
    rows = sums.pop("rows")
    yield _labelled(
        "barvault_task_stocks", "Stocks of all tasks that are kept, by what became of them.", "outcome", sums
    )
    yield GaugeMetricFamily("barvault_task_rows_written", "Bars written by all tasks that are kept.", value=rows)
    running = ImportTask.objects.filter(status=Status.RUNNING).first()
    stocks = {"total": 0, "done": 0, "failed": 0, "skipped": 0}
    if running is not None:
        stocks = {name: getattr(running, name) for name in stocks}
    yield _labelled("barvault_running_task_stocks", "Stocks of the task that runs now.", "outcome", stocks)
    speed = (speed_of(running) or 0.0) if running is not None else 0.0
    yield GaugeMetricFamily("barvault_running_task_stocks_per_second", "Its speed.", value=speed)
    ended = ImportTask.objects.filter(status=Status.COMPLETED).order_by("-finished_at").first()
    if ended is not None and ended.finished_at is not None:
        text = "When a task completed last (Unix time)."
        yield GaugeMetricFamily("barvault_last_completed_timestamp_seconds", text, value=ended.finished_at.timestamp())


def _data() -> Iterator[Metric]:
    now = db_now()
    stored, status = completeness(now), data_status(now)
    yield GaugeMetricFamily("barvault_stocks", "Stocks in the list.", value=status.stock_count)
    yield GaugeMetricFamily("barvault_stocks_up_to_date", "Stocks known until the newest finished day.", value=status.stocks_up_to_date)  # fmt: skip  # noqa: E501
    yield GaugeMetricFamily("barvault_bars", "Bars that are stored.", value=status.bar_count)
    if stored.until is not None:
        text = "Trading days between the newest finished one and the one until which (nearly) every stock is known."
        yield GaugeMetricFamily("barvault_newest_day_lag_trading_days", text, value=stored.missing_days)


def _sources() -> Iterator[Metric]:
    sent = CounterMetricFamily("barvault_source_requests", "Requests to a source.", labels=["source"])
    outcomes = CounterMetricFamily(
        "barvault_source_outcomes",
        "What became of requests to a source: answered, or trouble (refused, not answered).",
        labels=["source", "outcome"],
    )
    breaker = GaugeMetricFamily(
        "barvault_source_breaker", "1 for the state that a source's breaker is in.", labels=["source", "state"]
    )
    gap = GaugeMetricFamily("barvault_source_gap_seconds", "Mean gap between two requests now.", labels=["source"])
    for row in SourceState.objects.order_by("source"):
        sent.add_metric([row.source], row.requests)
        outcomes.add_metric([row.source, "answered"], row.successes)
        outcomes.add_metric([row.source, "trouble"], row.troubles)
        for state in Breaker.values:
            breaker.add_metric([row.source, state], float(row.breaker == state))
        gap.add_metric([row.source], row.interval)
    yield from (sent, outcomes, breaker, gap)


def _workers() -> Iterator[Metric]:
    hosts = live_hosts()
    yield GaugeMetricFamily("barvault_hosts_alive", "Machines whose workers are alive.", value=len(hosts))
    yield GaugeMetricFamily("barvault_workers_alive", "Workers that are alive.", value=sum(host.workers for host in hosts))  # fmt: skip  # noqa: E501
    lanes = LaneSlot.objects.filter(pid__isnull=False, leased_until__gte=db_now()).count()
    yield GaugeMetricFamily("barvault_lanes_alive", "Download lanes at work.", value=lanes)
    depth = get_broker().queue_size() if settings.BROKER_URL else OrmQ.objects.count()
    yield GaugeMetricFamily("barvault_queue_depth", "Messages in the queue of the workers.", value=depth)


def _messages() -> Iterator[Metric]:
    states = dict.fromkeys(DeliveryState.values, 0)
    states |= dict(Delivery.objects.order_by().values_list("state").annotate(count=Count("pk")))
    yield _labelled("barvault_message_deliveries", "Messages to receivers, by state.", "state", states)


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
