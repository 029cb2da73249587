"""What the pages show, gathered in few queries: frozen values that templates put into words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.utils import timezone

from importer import pacing, progress
from importer.dispatch import next_pending_task
from importer.hosts import live_hosts
from importer.models import ACTIVE, FINISHED, Action, Host, ImportTask, Kind, LaneSlot, Status
from importer.pacing import SourceStatus
from importer.sources.registry import auto_order
from importer.status import DataStatus, Space, data_status, space
from importer.task_words import kind_text, request_text, state_text
from importer.verdict import Known, Verdict, complete_until, verdict
from marketdata.models import Origin, Stock
from marketdata.store import current_origin
from marketdata.texts import Text
from marketdata.trading_days import last_known_day, trading_days

RECENT_TASKS = 5
# How long the page says that a task has ended, for people who were away.
NEWS_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class TaskCard:
    """A task as a card or a row shows it. Times are aware; ``eta`` in seconds; ``speed`` in stocks per second."""

    task: ImportTask
    kind: Text
    what: Text
    state: Text
    finished: int
    eta: float | None
    speed: float | None
    elapsed: float | None
    tone: str

    @property
    def can_cancel(self) -> bool:
        return self.task.status in ACTIVE and self.task.requested_action != Action.CANCEL

    @property
    def can_pause(self) -> bool:
        return self.task.status in (Status.PENDING, Status.RUNNING) and self.task.requested_action == Action.NONE

    @property
    def can_resume(self) -> bool:
        asked = self.task.status == Status.RUNNING and self.task.requested_action == Action.PAUSE
        return asked or self.task.status in (Status.PAUSED, Status.FAILED)

    @property
    def can_retry(self) -> bool:
        return self.task.status in FINISHED and self.task.failed > 0


@dataclass(frozen=True)
class DataPage:
    """Everything the polled part of the data page shows."""

    verdict: Verdict
    status: DataStatus
    space: Space
    running: TaskCard | None
    news: TaskCard | None
    waiting: Sequence[TaskCard]
    recent: Sequence[TaskCard]
    sources: Sequence[SourceStatus]
    hosts: Sequence[Host]
    workers: int
    now: datetime


def card_of(task: ImportTask, now: datetime | None = None) -> TaskCard:
    """Return a task as pages show it."""
    now = now or timezone.now()
    shown = progress.of_task(task)
    ended = task.finished_at or now
    return TaskCard(
        task=task,
        kind=kind_text(task),
        what=request_text(task),
        state=state_text(task),
        finished=shown.done,
        eta=None if task.waiting_until else shown.eta_seconds,
        speed=task.stocks_per_second if task.status == Status.RUNNING else None,
        elapsed=(ended - task.started_at).total_seconds() if task.started_at else None,
        tone=_tone(task),
    )


def data_page(now: datetime | None = None) -> DataPage:
    """Return what the data page shows now."""
    now = now or timezone.now()
    running = ImportTask.objects.filter(status=Status.RUNNING).first()
    waiting = ImportTask.objects.filter(status__in=(Status.PENDING, Status.PAUSED)).order_by(
        "status", "-priority", "created_at"
    )
    recent = list(ImportTask.objects.filter(status__in=FINISHED).order_by("-finished_at")[:RECENT_TASKS])
    status = data_status(now)
    hosts = live_hosts()
    return DataPage(
        verdict=_verdict(status, running),
        status=status,
        space=space(),
        running=card_of(running, now) if running else None,
        news=_news(recent, running, now),
        waiting=[card_of(task, now) for task in _by_turn(waiting)],
        recent=[card_of(task, now) for task in recent],
        sources=_sources(),
        hosts=hosts,
        workers=sum(host.workers for host in hosts),
        now=now,
    )


def is_simulated() -> bool:
    """Say whether this database holds a simulated market: every page then says so."""
    return current_origin() == Origin.SIMULATED


def lanes_of(task: ImportTask) -> list[LaneSlot]:
    """Return the lanes of a running task."""
    return list(LaneSlot.objects.filter(task=task).order_by("number"))


def _by_turn(tasks: Iterable[ImportTask]) -> list[ImportTask]:
    first = next_pending_task()
    return sorted(tasks, key=lambda task: (first is None or task.pk != first.pk, task.status, -task.priority))


def _verdict(status: DataStatus, running: ImportTask | None) -> Verdict:
    newest = status.newest_finished_day
    trades = Q(bar_count__gt=0) & (Q(delisted_on=None) | Q(delisted_on__gt=newest))
    counts = Stock.objects.filter(trades).order_by().values("covered_until").annotate(stocks=Count("pk"))
    known = [Known(row["covered_until"], row["stocks"]) for row in counts]
    until, _behind = complete_until(known)
    missing = len(trading_days(until + timedelta(days=1), newest).days) if until and until < newest else 0
    importing = None
    if running is not None and running.kind == Kind.IMPORT and not running.parameters.get("symbols"):
        importing = (running.done + running.failed + running.skipped, running.total)
    return verdict(known, newest=newest, missing_days=missing, assumed=newest > last_known_day(), importing=importing)


def _news(recent: Sequence[ImportTask], running: ImportTask | None, now: datetime) -> TaskCard | None:
    """Return the task that ended last, while that is news and nothing else goes on."""
    if running is not None or not recent or recent[0].finished_at is None:
        return None
    return card_of(recent[0], now) if now - recent[0].finished_at < NEWS_FOR else None


def _sources() -> list[SourceStatus]:
    order = {name: place for place, name in enumerate(auto_order())}
    return sorted(pacing.states(), key=lambda state: (order.get(state.source, len(order)), state.source))


def _tone(task: ImportTask) -> str:
    if task.status == Status.FAILED:
        return "bad"
    if task.status == Status.COMPLETED:
        return "warn" if task.failed else "ok"
    if task.status == Status.CANCELLED or task.status == Status.PAUSED or task.waiting_until:
        return "warn"
    return ""
