"""The first step of a task: get the list of stocks, decide which are meant, cut them into chunks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from importer import pacing, progress, slots
from importer.dbtime import db_now
from importer.exceptions import LostLease
from importer.models import ImportChunk, ImportTask, Kind, Status
from importer.planning import split
from importer.slots import Hold
from importer.sources.base import Banned, ListedStock, SourceError
from importer.sources.registry import auto_order, get_source
from importer.task_requests import TaskRequest, request_of
from marketdata.models import Stock
from marketdata.store import save_listing
from marketdata.texts import ExplainedError, Text, sentences

logger = logging.getLogger(__name__)

ATTEMPTS = 3


class PlanFailed(ExplainedError):
    """The list of stocks cannot be had. ``until`` is when to try again; None when trying again makes no sense."""

    code = "no_stock_list"
    until: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """The stocks of a task in order, and what the source lists (to be saved with them)."""

    symbols: Sequence[str]
    listed: Sequence[ListedStock]
    list_known: bool
    simulated: bool


def fetch_plan(task: ImportTask) -> Plan:
    """Return the plan of a task; asks a source for its list where the database cannot tell.

    Named stocks that are all known need no list. An update or repair takes the stocks that have bars.
    Raises PlanFailed or StopRequested.
    """
    request = request_of(task)
    if request.kind != Kind.IMPORT:
        return Plan(_stocks_with_bars(request), (), True, False)
    if request.symbols is not None and _all_known(request.symbols):
        return Plan(request.symbols, (), True, False)
    listed, simulated = _fetch_list(request)
    if request.symbols is not None:
        return Plan(request.symbols, listed or (), listed is not None, simulated)
    return Plan(_meant(request, listed or ()), listed or (), True, simulated)


def save_plan(task: ImportTask, plan: Plan, hold: Hold) -> None:
    """Write the stocks and the chunks in one transaction, if the lane still holds its slot and nobody was faster.

    Raises LostLease otherwise; then nothing was written.
    """
    if plan.listed:
        # Before the transaction: thousands of rows, and right whoever plans in the end.
        save_listing(plan.listed, simulated=plan.simulated)
    now = db_now()
    with transaction.atomic():
        text = progress.starting_text(len(plan.symbols))
        if not slots.renew(hold, now):
            raise LostLease(lane=str(hold.number))
        planned = ImportTask.objects.filter(pk=task.pk, status=Status.RUNNING, planned_at=None).update(
            planned_at=now,
            heartbeat_at=now,
            total=len(plan.symbols),
            progress=1,
            parameters={**task.parameters, "list_known": plan.list_known},
            message_id=text.msgid,
            message_values=dict(text.values),
        )
        if not planned:
            raise LostLease(lane=str(hold.number))
        ImportChunk.objects.bulk_create(
            ImportChunk(task=task, number=number, symbols=symbols, size=len(symbols))
            for number, symbols in enumerate(split(plan.symbols))
        )


def _all_known(symbols: Sequence[str]) -> bool:
    return Stock.objects.filter(symbol__in=symbols).count() == len(set(symbols))


def _stocks_with_bars(request: TaskRequest) -> list[str]:
    if request.symbols is not None:
        return list(request.symbols)
    return list(Stock.objects.filter(bar_count__gt=0).order_by("symbol").values_list("symbol", flat=True))


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


def _fetch_list(request: TaskRequest) -> tuple[list[ListedStock] | None, bool]:
    names = auto_order() if request.source == "auto" else [request.source]
    reasons: list[Text] = []
    resting: list[str] = []
    for name in names:
        source = get_source(name, path=request.path)
        for _attempt in range(ATTEMPTS):
            try:
                return list(source.stocks()), source.simulated
            except Banned as error:
                reasons.append(error.text)
                resting.append(name)
                break
            except SourceError as error:
                logger.info("stock list from %s: %s", name, error)
                reason = error.text
        else:
            reasons.append(reason)
    if resting:
        failed = PlanFailed(gettext_noop("%(reasons)s"), reasons=sentences(reasons))
        failed.until = pacing.earliest_retry(resting)
        if failed.until is not None:
            raise failed
    if request.symbols is not None:
        return None, False
    raise PlanFailed(
        gettext_noop("The list of stocks is not to be had: %(reasons)s Try again later, or name the symbols."),
        reasons=sentences(reasons),
    )
