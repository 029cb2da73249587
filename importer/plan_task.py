"""The first step of a task: which stocks are meant, what is known of all of them at once, and the chunks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer import pacing, progress, slots
from importer.calendar_update import FETCHED_ON, follow_calendar
from importer.chunks import lock_task
from importer.company_actions import refresh_actions
from importer.day_work import STOCKS_AT_ONCE
from importer.dbtime import db_now
from importer.exceptions import LostLease
from importer.index_update import follow_indexes
from importer.models import Failure, ImportChunk, ImportTask, Kind, Status
from importer.plan_update import plan_named, plan_update
from importer.planning import split
from importer.recording import task_finding
from importer.slots import Hold
from importer.sources.base import Banned, ListedStock, Source, SourceError
from importer.sources.labels import label_of
from importer.sources.registry import auto_order, by_list, get_source, has_partial_list
from importer.task_requests import DEFAULT_START, TaskRequest, request_of
from marketdata.listing import symbols_with_bars
from marketdata.recoding import known_stocks
from marketdata.store import save_listing
from marketdata.texts import ExplainedError, Text, sentences, word

logger = logging.getLogger(__name__)

ATTEMPTS = 3

_PARTIAL = gettext_noop(
    "The list of stocks came from %(source)s, which lacks Beijing's, and perhaps those that were delisted: they were "
    "not imported. Import again when the exchanges' own lists are to be had."
)


class PlanFailed(ExplainedError):
    """The list of stocks cannot be had. ``until`` is when to try again; None when trying again makes no sense."""

    code = "no_stock_list"
    until: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """The stocks of a task in order. ``together``: those before them that a snapshot seems to decide.

    ``list_known``: who is not in the database is no stock. ``snapshot``, ``findings`` and ``calendar_on`` (the day on
    which the exchange's published days were fetched for it) belong to the task.
    """

    symbols: Sequence[str]
    list_known: bool = True
    together: Sequence[str] = ()
    snapshot: dict[str, Any] | None = None
    findings: Sequence[Text] = ()
    calendar_on: date | None = None

    @property
    def total(self) -> int:
        return len(self.symbols) + len(self.together)


def fetch_plan(task: ImportTask, now: Callable[[], datetime] = timezone.now) -> Plan:
    """Return the plan of a task; asks a source for its list where the database cannot tell, and saves that list.

    Named stocks that are all known need no list. An update or repair takes the stocks that have bars; an update of
    the whole market may take a snapshot, gets the exchanges' indexes, and follows the exchange's calendar. An import,
    and an update, get corporate actions, too.
    Raises PlanFailed or StopRequested.
    """
    request = request_of(task)
    if request.kind == Kind.UPDATE and request.symbols is None:
        sources, today = _sources(request), timezone.localdate(now())
        plan = plan_update(request, sources, now=now, say=lambda day: progress.say_snapshot(task.pk, day))
        follow_indexes(sources, plan.exchanges, end=request.end)
        # Last: should Sina refuse, its market pages have been asked for already.
        calendar_on = today if follow_calendar(sources, today=today) else None
        return Plan(
            plan.singly,
            together=plan.together,
            snapshot=plan.snapshot,
            findings=plan.findings,
            calendar_on=calendar_on,
        )
    if request.kind == Kind.UPDATE:
        plan = plan_named(request, _sources(request), now=now())
        return Plan(plan.singly, findings=plan.findings)
    if request.kind != Kind.IMPORT:
        return Plan(_stocks_with_bars(request))
    if request.symbols is not None and _all_known(request.symbols):
        return Plan(request.symbols, findings=_actions(task, request, now()))
    listed, lister = _fetch_list(request)
    if request.symbols is None:
        symbols: Sequence[str] = _meant(request, listed or ())
    else:
        symbols = request.symbols
    if listed:
        save_listing(listed, simulated=lister is not None and lister.simulated)
    findings = [*_partial_list(request, lister), *_actions(task, request, now())]
    known = listed is not None and lister is not None and not has_partial_list(lister)
    return Plan(symbols, list_known=known, findings=findings)


def _partial_list(request: TaskRequest, lister: Source | None) -> list[Text]:
    """Say that a list is not the whole market, where the whole market was meant."""
    if request.symbols is not None or lister is None or not has_partial_list(lister):
        return []
    return [Text(_PARTIAL, {"source": word(label_of(lister.name))})]


def _actions(task: ImportTask, request: TaskRequest, now: datetime) -> list[Text]:
    """Get the corporate actions of an import; return what is to be said if they cannot be had."""
    if request.retry_of is not None:
        return []
    progress.say(task.pk, progress.ACTIONS_TEXT)
    today = timezone.localdate(now)
    problem = refresh_actions(_sources(request), request.start or DEFAULT_START, today=today, symbols=request.symbols)
    return [problem] if problem else []


def _sources(request: TaskRequest) -> list[Source]:
    names = auto_order() if request.source == "auto" else [request.source]
    return [get_source(name, path=request.path) for name in names]


def save_plan(task: ImportTask, plan: Plan, hold: Hold) -> None:
    """Write the chunks in one transaction, if the lane still holds its slot and nobody was faster.

    Raises LostLease otherwise; then nothing was written.
    """
    now = db_now()
    with transaction.atomic():
        text = progress.starting_text(plan.total)
        lock_task(task.pk)
        if not slots.renew(hold, now):
            raise LostLease(lane=str(hold.number))
        planned = ImportTask.objects.filter(pk=task.pk, status=Status.RUNNING, planned_at=None).update(
            planned_at=now,
            heartbeat_at=now,
            total=plan.total,
            progress=1,
            parameters={
                **task.parameters,
                "list_known": plan.list_known,
                "snapshot": plan.snapshot,
                FETCHED_ON: plan.calendar_on.isoformat() if plan.calendar_on else None,
            },
            message_id=text.msgid,
            message_values=dict(text.values),
        )
        if not planned:
            raise LostLease(lane=str(hold.number))
        ImportChunk.objects.bulk_create(
            ImportChunk(task=task, number=number, symbols=symbols, size=len(symbols))
            for number, symbols in enumerate([*split(plan.together, STOCKS_AT_ONCE), *split(plan.symbols)])
        )
        Failure.objects.bulk_create(task_finding(task, text) for text in plan.findings)


def _all_known(symbols: Sequence[str]) -> bool:
    return len(known_stocks(symbols)) == len(set(symbols))


def _stocks_with_bars(request: TaskRequest) -> list[str]:
    if request.symbols is not None:
        return list(request.symbols)
    return symbols_with_bars()


def _meant(request: TaskRequest, listed: Iterable[ListedStock]) -> list[str]:
    symbols = [
        stock.symbol
        for stock in listed
        if (stock.listed_on is None or stock.listed_on <= request.end)
        and (stock.delisted_on is None or request.start is None or stock.delisted_on >= request.start)
    ]
    if not symbols:
        raise PlanFailed(gettext_noop("The source lists no stock for these dates. Check the source and its path."))
    return sorted(symbols)


def _fetch_list(request: TaskRequest) -> tuple[list[ListedStock] | None, Source | None]:
    """Return what the first source lists that answers, whole lists first, and which one that is.

    Named stocks do without a list where none is to be had. Raises PlanFailed: with a time to try again when sources
    rest, which is nobody's failure.
    """
    reasons: dict[str, Text] = {}
    untils: list[datetime] = []
    for source in by_list(_sources(request)):
        for _attempt in range(ATTEMPTS):
            try:
                return list(source.stocks()), source
            except pacing.SourceResting as error:
                untils.append(error.until)
                reasons[str(error.text)] = error.text
                break
            except SourceError as error:
                logger.info("stock list from %s: %s", source.name, error)
                reasons[str(error.text)] = error.text
                if isinstance(error, Banned):
                    break
    if request.symbols is not None:
        return None, None
    names = ["exchanges", *(source.name for source in _sources(request))]
    until = min(untils, default=None) or pacing.earliest_retry(names)
    if until is not None:
        failed = PlanFailed(gettext_noop("%(reasons)s"), reasons=sentences(list(reasons.values())))
        failed.until = until
        raise failed
    raise PlanFailed(
        gettext_noop("The list of stocks is not to be had: %(reasons)s Try again later, or name the symbols."),
        reasons=sentences(list(reasons.values())),
    )
