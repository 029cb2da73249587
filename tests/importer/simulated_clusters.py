"""Clusters on a simulated clock: django-q2's scheduler and queue for real, without processes and without waiting.

Each round does what a cluster's does every two seconds, for the schedules alone: ring, deliver, run what was
delivered. Tasks end a given time after they were made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import time_machine
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from importer.models import ACTIVE, ImportTask, Status
from importer.schedule_firing import ring, ring_due_bells
from importer.schedules import RING
from marketdata.trading_days import EXCHANGE_TIME


def at(text: str) -> datetime:
    """Return a moment of the exchange's clock, such as ``2024-02-08T16:30``."""
    return datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_TIME)


@contextmanager
def clock(moment: datetime) -> Iterator[None]:
    with time_machine.travel(moment, tick=False):
        yield


@dataclass
class SimulatedClusters:
    """``count`` clusters on one database. ``deliveries``: how often each message is delivered (0: all are lost)."""

    count: int = 1
    deliveries: int = 1
    a_task_takes: timedelta = timedelta(minutes=15)

    def run(self, start: str, end: str, step: timedelta = timedelta(minutes=10)) -> None:
        """Let the machine be on from ``start`` to ``end``."""
        moment = at(start)
        while moment <= at(end):
            with clock(moment):
                self.round()
            moment += step

    def round(self) -> None:
        """Do now what every cluster does: end the tasks that are done, ring, deliver."""
        finish_tasks(made_before=timezone.now() - self.a_task_takes)
        for _cluster in range(self.count):
            ring_due_bells()
        for message in OrmQ.objects.all():
            content = SignedPackage.loads(message.payload)
            assert content["func"] == RING
            message.delete()
            for _delivery in range(self.deliveries):
                ring(*content["args"])


def finish_tasks(made_before: datetime | None = None) -> None:
    made_before = made_before or timezone.now()
    ImportTask.objects.filter(status__in=ACTIVE, created_at__lte=made_before).update(status=Status.COMPLETED)


def started() -> list[str]:
    """Return when each task was made and what it is, in exchange time, the oldest first."""
    tasks = ImportTask.objects.order_by("created_at")
    return [f"{timezone.localtime(task.created_at):%m-%d %H:%M} {task.kind}" for task in tasks]


def daily_update(**more: Any) -> dict[str, Any]:
    """Return the wish for an update on every trading day at 16:30."""
    return {"when": "trading_day", "time": datetime(2024, 1, 1, 16, 30).time(), "kind": "update", **more}
