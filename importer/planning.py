"""Which stocks, and which days of each: the decisions, from values alone, and the chunks made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from importer.models import Kind
from importer.task_requests import DEFAULT_START, TaskRequest

CHUNK_SIZE_MAX = 50
# So many chunks per task at least: lanes share the work evenly to the end.
CHUNKS_WANTED = 40


class StockFacts(Protocol):
    """What is known of a stock when its turn comes (a ``marketdata.models.Stock`` is one)."""

    listed_on: date | None
    delisted_on: date | None
    first_bar: date | None
    last_bar: date | None
    bar_count: int
    covered_from: date | None
    covered_until: date | None


@dataclass(frozen=True)
class Work:
    """The days to fetch (None: no bound), and the range that counts as asked for once the answer is stored."""

    start: date | None
    end: date
    covers: tuple[date, date] | None


def split(symbols: Sequence[str], size: int | None = None) -> list[list[str]]:
    """Cut the stocks into chunks of ``size``; else of at most CHUNK_SIZE_MAX, about CHUNKS_WANTED when they are few."""
    if not symbols:
        return []
    size = size or max(1, min(CHUNK_SIZE_MAX, math.ceil(len(symbols) / CHUNKS_WANTED)))
    return [list(symbols[at : at + size]) for at in range(0, len(symbols), size)]


def work_for(request: TaskRequest, stock: StockFacts, *, local: bool, missing: Iterable[date] = ()) -> Work | None:
    """Return what to fetch for a stock; None when nothing is missing.

    ``local``: a source that reads files is read anew, since that costs nothing and only the file knows what it
    holds. ``missing`` are the trading days without a bar, for a repair.
    """
    if request.kind == Kind.REPAIR:
        days = sorted(missing)
        return Work(days[0], days[-1], covers=None) if days else None
    if request.kind == Kind.UPDATE:
        return _update(request, stock, local=local)
    return _import(request, stock, local=local)


def repair_range(request: TaskRequest, stock: StockFacts) -> tuple[date, date] | None:
    """Return the days among which a repair looks for missing bars; None for a stock without any."""
    if stock.first_bar is None or stock.last_bar is None:
        return None
    # Where bars were deleted, the range that a source was asked for may begin after the first bar.
    known_from = min(filter(None, [stock.covered_from, stock.first_bar]))
    start = max(filter(None, [request.start or known_from, stock.listed_on]))
    end = min(filter(None, [request.end, stock.delisted_on]))
    return (start, end) if start <= end else None


def _import(request: TaskRequest, stock: StockFacts, *, local: bool) -> Work | None:
    start, end = request.start, request.end
    if local:
        return Work(start, end, covers=(start, end) if start else None)
    start = start or DEFAULT_START
    first = max(start, stock.listed_on) if stock.listed_on else start
    last = min(end, stock.delisted_on) if stock.delisted_on else end
    if first > last:
        return None
    covers = (start, end)
    if request.refresh or stock.covered_from is None or stock.covered_until is None:
        return Work(first, last, covers)
    if stock.covered_from <= first and last <= stock.covered_until:
        return None
    # The last day that is stored is asked for again: an answer that holds it is known to be about this stock.
    if stock.covered_from <= first <= stock.covered_until:
        return Work(_overlapping(stock, first), last, covers)
    if stock.covered_from <= last <= stock.covered_until:
        return Work(first, stock.first_bar or stock.covered_from, covers)
    return Work(first, last, covers)


def _update(request: TaskRequest, stock: StockFacts, *, local: bool) -> Work | None:
    end = request.end
    if local:
        return Work(None, end, covers=None)
    last = min(end, stock.delisted_on) if stock.delisted_on else end
    if stock.bar_count == 0 or stock.last_bar is None:
        # A stock that was suspended throughout an import starts where that import did.
        start = stock.covered_from or DEFAULT_START
        first = max(start, stock.listed_on) if stock.listed_on else start
        return Work(first, last, (start, end)) if first <= last else None
    known_until = max(stock.covered_until or stock.last_bar, stock.last_bar)
    if known_until >= last and not request.refresh:
        return None
    return Work(_overlapping(stock, stock.last_bar), last, (stock.last_bar, end))


def _overlapping(stock: StockFacts, first: date) -> date:
    if stock.last_bar is None or stock.covered_until is None:
        return first
    return max(first, stock.last_bar) if stock.last_bar <= stock.covered_until else first
