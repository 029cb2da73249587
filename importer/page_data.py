"""What the pages show, gathered in few queries: frozen values that templates put into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer import lifecycle, pacing, progress
from importer.api_paths import told
from importer.exceptions import BadRequest
from importer.hosts import live_hosts, missed_hosts, trouble_here
from importer.models import ACTIVE, FINISHED, Action, Failure, Host, ImportTask, Kind, LaneSlot, Status
from importer.notify.outbox import given_up_since
from importer.page_schedules import ScheduleLine, daily_line
from importer.page_words import SourceLine, source_lines, source_names_text, spoken_text, turn_text
from importer.sources.registry import auto_order
from importer.status import Completeness, DataStatus, Space, completeness, data_status, never_imported, space
from importer.task_words import request_text, state_text
from importer.verdict import Verdict, calendar_note, verdict
from marketdata.completeness import newest_figures
from marketdata.index_days import recently_with_index
from marketdata.models import Origin
from marketdata.recoding import known_stocks
from marketdata.store import current_origin
from marketdata.texts import Text, sentence
from marketdata.trading_days import EXCHANGE_TIME, last_known_day

RECENT_TASKS = 5
# What a task's row still says in the first moment after its turn has come.
_BEFORE_IT_RAN = frozenset(
    text.msgid for text in (lifecycle.WAITING_TEXT, lifecycle.PAUSED_TEXT, lifecycle.STEPPED_ASIDE_TEXT)
)
# How long the page says that a task has ended, for people who were away.
NEWS_FOR = timedelta(hours=24)
# How long it says that messages reached nobody.
UNHEARD_FOR = timedelta(days=3)


@dataclass(frozen=True)
class TaskCard:
    """A task as a card or a row shows it. Times are aware; ``eta`` in seconds; ``speed`` in stocks per second."""

    task: ImportTask
    what: Text
    state: Text
    message: str
    finished: int
    eta: float | None
    speed: float | None
    elapsed: float | None
    tone: str

    @property
    def now(self) -> Text | str:
        """What the task does now, without the figures that stand beside it."""
        if doing := self.task.message_values.get("doing"):
            return Text(gettext_noop("Importing %(doing)s"), {"doing": doing})
        if self.task.status == Status.RUNNING and self.task.message_id in _BEFORE_IT_RAN:
            return ""
        return "" if "finished" in self.task.message_values else self.message

    @property
    def is_over(self) -> bool:
        return self.task.status in FINISHED

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
        return self.task.status in FINISHED and self.task.failed > 0 and self.task.pruned_at is None


@dataclass(frozen=True)
class Workers:
    """The hosts whose workers are alive, how many workers that are, and what is wrong with this machine's."""

    hosts: Sequence[Host]
    count: int
    trouble: str


@dataclass(frozen=True)
class HostLine:
    """A host that works, or that went away without a word; ``busy``: the lanes that it works in now."""

    host: Host
    busy: int
    missed: bool


@dataclass(frozen=True)
class PerSource:
    """Stocks that a source gave to a task; failures and findings that name it."""

    label: str
    stocks: int
    failures: int
    findings: int


@dataclass(frozen=True)
class FailureLine:
    """A row of the list of failures. ``name`` is empty for a stock that no list has."""

    failure: Failure
    name: str
    source: str
    reason: str


@dataclass(frozen=True)
class Waiting:
    """A task behind the leading one. ``position`` counts from 1; None for a paused one, whose turn never comes."""

    card: TaskCard
    position: int | None
    turn: Text | None


@dataclass(frozen=True)
class DataPage:
    """Everything the polled parts of the data page show.

    ``leading`` is the running task, else the one whose turn is next, else a paused one. ``spoken`` is what a screen
    reader is told when it changes. ``unheard`` messages were given up lately. ``calendar``: said when it ends soon.
    """

    verdict: Verdict
    calendar: Text | None
    status: DataStatus
    space: Space
    leading: TaskCard | None
    news: TaskCard | None
    waiting: Sequence[Waiting]
    recent: Sequence[TaskCard]
    sources: Sequence[SourceLine]
    daily: ScheduleLine | None
    workers: Workers
    hosts: Sequence[HostLine]
    spoken: Text
    unheard: int


def card_of(task: ImportTask, now: datetime | None = None) -> TaskCard:
    """Return a task as pages show it."""
    now = now or timezone.now()
    shown = progress.of_task(task)
    ended = task.finished_at or now
    return TaskCard(
        task=task,
        what=request_text(task),
        state=state_text(task),
        message=told(shown.message, task.parameters.get("path")),
        finished=shown.done,
        eta=None if task.requested_action else shown.eta_seconds,
        speed=progress.speed_of(task),
        elapsed=(ended - task.started_at).total_seconds() if task.started_at else None,
        tone=_tone(task),
    )


def data_page(now: datetime | None = None, *, seen: str = "") -> DataPage:
    """Return what the data page shows now. ``seen``: the id of an ended task whose news was dismissed."""
    now = now or timezone.now()
    active = _by_turn(ImportTask.objects.filter(status__in=ACTIVE))
    recent = list(ImportTask.objects.filter(status__in=FINISHED).order_by("-finished_at")[:RECENT_TASKS])
    status = data_status(now)
    working, known_until = workers(), last_known_day()
    running = next((task for task in active if task.status == Status.RUNNING), None)
    leading = card_of(active[0], now) if active else None
    news = _news(recent, leading, now, seen)
    return DataPage(
        verdict=_verdict(completeness(now), running, known_until),
        calendar=calendar_note(known_until, now.astimezone(EXCHANGE_TIME).date()),
        status=status,
        space=space(),
        leading=leading,
        news=news,
        waiting=_waiting(active, leading, working.count, now),
        recent=[card_of(task, now) for task in recent],
        sources=source_lines(_sources_shown(), pacing.states()),
        daily=daily_line(),
        workers=working,
        hosts=host_lines(working),
        spoken=_spoken(leading, news),
        unheard=given_up_since(now - UNHEARD_FOR),
    )


def workers() -> Workers:
    """Return whose workers are alive."""
    hosts = live_hosts()
    return Workers(hosts, sum(host.workers for host in hosts), trouble_here(hosts))


def host_lines(working: Workers) -> list[HostLine]:
    """Return every host that works or is missed; nothing where this is one machine in good health."""
    missed = missed_hosts()
    if not missed and len(working.hosts) < 2:
        return []
    held = LaneSlot.objects.exclude(pid=None).order_by().values("host").annotate(lanes=Count("pk"))
    busy = {row["host"]: row["lanes"] for row in held}
    alive = [HostLine(host, busy.get(host.name, 0), missed=False) for host in working.hosts]
    return alive + [HostLine(host, 0, missed=True) for host in missed]


def is_simulated() -> bool:
    """Say whether this database holds a simulated market, or is to be filled with one: every page then says so."""
    origin = current_origin()
    return origin == Origin.SIMULATED or (not origin and settings.SOURCE == "simulated")


def lanes_of(task: ImportTask) -> list[LaneSlot]:
    """Return the lanes of a running task."""
    return list(LaneSlot.objects.filter(task=task).order_by("number"))


def failure_lines(task: ImportTask, failures: Iterable[Failure]) -> list[FailureLine]:
    """Return failures of a task in words, without the places of the files they name."""
    path = task.parameters.get("path")
    shown = list(failures)
    stocks = known_stocks([each.symbol for each in shown])
    names = {symbol: stock.name for symbol, stock in stocks.items()}
    return [
        FailureLine(each, names.get(each.symbol, ""), source_names_text(each.source), told(each.reason, path))
        for each in shown
    ]


def per_source(task: ImportTask) -> list[PerSource]:
    """Return what each source gave to a task, and how often a failure names it; the most stocks first."""
    stocks: Counter[str] = Counter(task.summary.get("by_source", {}))
    for counts in task.chunks.values_list("by_source", flat=True):
        stocks.update(counts)
    failures: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    named = Failure.objects.filter(task=task).order_by()
    rows = [*named.values("source", "finding").annotate(count=Count("pk")), *task.summary.get("failures", ())]
    for row in rows:
        for name in filter(None, row["source"].split(", ")):
            (findings if row["finding"] else failures)[name] += row["count"]
    names = sorted({*stocks, *failures, *findings}, key=lambda name: (-stocks[name], name))
    return [PerSource(source_names_text(name), stocks[name], failures[name], findings[name]) for name in names]


def _by_turn(tasks: Iterable[ImportTask]) -> list[ImportTask]:
    """Return the running task, then the waiting ones in the order of their turn, then the paused ones."""
    order = {Status.RUNNING: 0, Status.PENDING: 1, Status.PAUSED: 2}
    return sorted(tasks, key=lambda task: (order[Status(task.status)], -task.priority, task.created_at))


def _waiting(active: Sequence[ImportTask], leading: TaskCard | None, worker_count: int, now: datetime) -> list[Waiting]:
    shown, position = [], 0
    is_running = leading is not None and leading.task.status == Status.RUNNING
    for task in active:
        if task.status == Status.PENDING:
            position += 1
        if leading is not None and task.pk == leading.task.pk:
            continue
        if task.status == Status.PENDING:
            eta = leading.eta if leading is not None and is_running else None
            turn = turn_text(position, eta, workers=worker_count, running=is_running)
            shown.append(Waiting(card_of(task, now), position, turn))
        else:
            shown.append(Waiting(card_of(task, now), None, None))
    return shown


def _verdict(stored: Completeness, running: ImportTask | None, known_until: date) -> Verdict:
    importing = None
    if running is not None and running.kind == Kind.IMPORT and not running.parameters.get("symbols"):
        importing = (running.done + running.failed + running.skipped, running.total)
    return verdict(
        stored.known,
        newest=recently_with_index(newest_figures(stored.newest)),
        missing_days=stored.missing_days,
        assumed=stored.newest > known_until,
        importing=importing,
        absent=never_imported(stored.newest),
    )


def _news(recent: Sequence[ImportTask], leading: TaskCard | None, now: datetime, seen: str) -> TaskCard | None:
    """Return the task that ended last, while that is news: for a day, until it is dismissed or more was asked for."""
    if not recent or recent[0].finished_at is None or str(recent[0].pk) == seen:
        return None
    if leading is not None and leading.task.created_at > recent[0].finished_at:
        return None
    return card_of(recent[0], now) if now - recent[0].finished_at < NEWS_FOR else None


def _spoken(leading: TaskCard | None, news: TaskCard | None) -> Text:
    if leading is not None:
        return spoken_text(leading.task)
    if news is None:
        return Text("")
    task = news.task
    message = Text(task.message_id, task.message_values)
    return Text("%(task)s %(message)s", {"task": sentence(spoken_text(task)), "message": sentence(message)})


def _sources_shown() -> Sequence[str]:
    if is_simulated() or settings.SOURCE == "simulated":
        return ["simulated"]
    try:
        return auto_order()
    except BadRequest:
        # A mistake in the setting: the estimate shows the sentence.
        return []


def _tone(task: ImportTask) -> str:
    if task.status == Status.FAILED:
        return "bad"
    if task.status == Status.COMPLETED:
        return "warn" if task.failed else "ok"
    if task.status == Status.CANCELLED or task.status == Status.PAUSED or task.waiting_until:
        return "warn"
    return ""
