"""A task's slices of stocks: claimed by a lane, moved on with each stock, fenced by a generation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Least
from django.utils.translation import gettext_noop

from importer import queries
from importer.exceptions import LostLease
from importer.leases import SLOT_LEASE, lease_over
from importer.models import Failure, ImportChunk, ImportTask

# A stock that was in flight at this many deaths of its lane is set aside and tried alone at the end.
DEATHS_BEFORE_ISOLATION = 2
# After this many more deaths there it is a listed failure.
DEATHS_IN_ISOLATION = 3
# Stocks that were put off until the same moment share a chunk; a lane may die over it, so it is no larger than others.
PUT_OFF_TOGETHER = 50
PUT_OFF_COUNTED = 1000

_OPEN = Q(cursor__lt=F("size"))


@dataclass(frozen=True)
class Claim:
    """A chunk as its lane holds it: good only while ``generation`` is the row's.

    ``at_the_end``: it holds stocks that were set aside, ``put_off`` times by now.
    """

    chunk_id: int
    generation: int
    symbols: tuple[str, ...]
    cursor: int
    careful: bool
    by_source: Mapping[str, int]
    put_off: int = 0
    at_the_end: bool = False


def claim(task_id: UUID, lane: int, now: datetime) -> Claim | None:
    """Take the next open chunk that no lane holds; None when there is none. Call ``free_expired`` before.

    Chunks with a single suspected stock come only after all others are finished; those that were put off, not before
    their time. ``careful`` says that a lane died at the cursor: one stock at a time, so that a further death is
    blamed on the right one.
    """
    with transaction.atomic():
        open_chunks = ImportChunk.objects.filter(_OPEN, due(now), task_id=task_id)
        waiting = open_chunks.filter(lane=None).order_by("number")
        if connection.features.has_select_for_update_skip_locked:
            waiting = waiting.select_for_update(skip_locked=True)
        chunk = waiting.filter(isolated=False).first()
        if chunk is None and not open_chunks.filter(isolated=False).exists():
            chunk = waiting.filter(isolated=True).first()
        if chunk is None:
            return None
        taken = ImportChunk.objects.filter(pk=chunk.pk, generation=chunk.generation).update(
            generation=F("generation") + 1, lane=lane, leased_until=now + SLOT_LEASE
        )
        if not taken:
            return None
    return Claim(
        chunk.pk,
        chunk.generation + 1,
        tuple(chunk.symbols),
        chunk.cursor,
        bool(chunk.deaths),
        chunk.by_source,
        chunk.put_off,
        chunk.isolated or chunk.not_before is not None,
    )


def advance(
    claimed: Claim,
    cursor: int,
    now: datetime,
    *,
    done: int = 0,
    failed: int = 0,
    skipped: int = 0,
    set_aside: int = 0,
    rows: int = 0,
    by_source: Mapping[str, int] | None = None,
) -> None:
    """Move the cursor from ``cursor`` on by the stocks that are finished, and count them.

    ``by_source`` are the chunk's counts from its beginning on; None leaves them as they are.

    Call it last in the transaction that stores their bars. Raises LostLease when another lane holds the chunk
    now: the transaction must be rolled back.
    """
    lease = connection.ops.adapt_datetimefield_value(now + SLOT_LEASE)
    with connection.cursor() as database:
        database.execute(
            queries.ADVANCE_CHUNK,
            (
                done + failed + skipped + set_aside, done, failed, skipped, set_aside, rows,
                json.dumps(by_source) if by_source is not None else None,
                lease, claimed.chunk_id, claimed.generation, cursor,
            ),
        )  # fmt: skip
        moved = database.rowcount
    if not moved:
        raise LostLease(lane=str(claimed.chunk_id))


def reorder(claimed: Claim, symbols: Sequence[str]) -> None:
    """Give the chunk's stocks from the cursor on another order; call it before ``advance``, in its transaction.

    Raises LostLease when another lane holds the chunk now.
    """
    if sorted(symbols) != sorted(claimed.symbols):
        raise ValueError("a chunk keeps its stocks")
    held = ImportChunk.objects.filter(pk=claimed.chunk_id, generation=claimed.generation, cursor=claimed.cursor)
    if not held.update(symbols=list(symbols)):
        raise LostLease(lane=str(claimed.chunk_id))


def renew(claimed: Claim, now: datetime) -> bool:
    """Prolong the hold; False when it is lost."""
    held = ImportChunk.objects.filter(pk=claimed.chunk_id, generation=claimed.generation)
    return bool(held.update(leased_until=now + SLOT_LEASE))


def release(claimed: Claim) -> None:
    """Give the chunk back where it is; not a death."""
    held = ImportChunk.objects.filter(pk=claimed.chunk_id, generation=claimed.generation)
    held.update(lane=None, leased_until=None)


def put_off(claimed: Claim, cursor: int, now: datetime, until: datetime, *, skipped: int = 0) -> bool:
    """Have the stock at the cursor, after ``skipped`` ones that need nothing, asked for again after ``until``.

    A stock's first time moves it to a chunk at the end, shared with others that wait for the same moment, and the
    cursor goes on. Later that whole chunk waits: False, the lane has to leave it. Raises LostLease.
    """
    with transaction.atomic():
        if not claimed.at_the_end:
            chunk = ImportChunk.objects.get(pk=claimed.chunk_id)
            lock_task(chunk.task_id)
            _append(chunk, claimed.symbols[cursor + skipped], until)
            advance(claimed, cursor, now, skipped=skipped, set_aside=1)
            return True
        if skipped:
            advance(claimed, cursor, now, skipped=skipped)
        held = ImportChunk.objects.filter(pk=claimed.chunk_id, generation=claimed.generation)
        counted = Least(F("put_off") + 1, PUT_OFF_COUNTED)
        if not held.update(put_off=counted, not_before=until, lane=None, leased_until=None):
            raise LostLease(lane=str(claimed.chunk_id))
    return False


def due(now: datetime) -> Q:
    """Return the condition that a chunk was not put off beyond ``now``."""
    return Q(not_before=None) | Q(not_before__lte=now)


def next_put_off(task_id: UUID, now: datetime) -> tuple[datetime, int] | None:
    """Return when the first stocks that were put off are due, and how many wait; None when none does."""
    waiting = ImportChunk.objects.filter(_OPEN, task_id=task_id, not_before__gt=now)
    found = waiting.aggregate(until=Min("not_before"), stocks=Sum(F("size") - F("cursor"), default=0))
    return (found["until"], found["stocks"]) if found["until"] else None


def ask_again_now(now: datetime) -> None:
    """Make every chunk due that was put off: its sources may be asked again."""
    ImportChunk.objects.filter(_OPEN, not_before__gt=now).update(not_before=now)


def free_expired(task_id: UUID, now: datetime) -> None:
    """Do what ``free_after_death`` does with every chunk whose lease has run out.

    For whoever looks for work before the dispatcher has found the dead: taken without a word, the chunk would be
    another lane's by then, and a stock that kills its lanes would never be blamed.
    """
    expired = ImportChunk.objects.filter(_OPEN, lease_over(now), task_id=task_id)
    if expired.exists():
        with transaction.atomic():
            lock_task(task_id)
            _count_deaths(expired)


def free_after_death(task_id: UUID, lane: int) -> None:
    """Take the chunks of a dead lane from it, and remember the stock that was in flight.

    1. A new generation: what the dead one still writes is refused.
    2. At the second death at the same stock, set it aside: a chunk of its own, tried alone at the end.
    3. After three more deaths there, list it as a failure.
    """
    with transaction.atomic():
        lock_task(task_id)
        _count_deaths(ImportChunk.objects.filter(_OPEN, task_id=task_id, lane=lane))


def _count_deaths(held: QuerySet[ImportChunk]) -> None:
    for chunk in held.select_for_update():
        chunk.generation += 1
        chunk.lane = None
        chunk.leased_until = None
        chunk.deaths += 1
        symbol = chunk.symbols[chunk.cursor]
        if chunk.isolated:
            if chunk.deaths >= DEATHS_IN_ISOLATION:
                _list_as_failure(chunk, symbol)
        elif chunk.deaths >= DEATHS_BEFORE_ISOLATION:
            _set_aside(chunk, symbol)
        chunk.save()


def _set_aside(chunk: ImportChunk, symbol: str) -> None:
    _new_chunk(chunk, symbol, isolated=True)
    chunk.cursor += 1
    chunk.set_aside += 1
    chunk.deaths = 0


def _append(chunk: ImportChunk, symbol: str, until: datetime) -> None:
    """Add the stock to a chunk of its task that waits until the same moment and that nobody holds, or to a new one."""
    same = ImportChunk.objects.filter(task_id=chunk.task_id, not_before=until, put_off=1, cursor=0, lane=None)
    open_one = same.filter(size__lt=PUT_OFF_TOGETHER).order_by("number").last()
    if open_one is not None:
        unchanged = same.filter(pk=open_one.pk, generation=open_one.generation, size=open_one.size)
        if unchanged.update(symbols=[*open_one.symbols, symbol], size=F("size") + 1):
            return
    _new_chunk(chunk, symbol, not_before=until, put_off=1)


def lock_task(task_id: UUID) -> None:
    """Let nobody else number a new chunk of this task, or change its state, until the transaction ends.

    Whoever needs locks of several kinds takes them in this order: task, slot, chunk. Two who differed would wait for
    each other, until PostgreSQL ends one of them with an error.
    """
    ImportTask.objects.select_for_update().filter(pk=task_id).values_list("pk").first()


def _new_chunk(chunk: ImportChunk, symbol: str, **columns: Any) -> None:
    last = ImportChunk.objects.filter(task_id=chunk.task_id).aggregate(last=Max("number"))["last"]
    ImportChunk.objects.create(task_id=chunk.task_id, number=last + 1, symbols=[symbol], size=1, **columns)


def _list_as_failure(chunk: ImportChunk, symbol: str) -> None:
    Failure.objects.create(
        task_id=chunk.task_id,
        symbol=symbol,
        code="lane_died",
        attempts=DEATHS_BEFORE_ISOLATION + DEATHS_IN_ISOLATION,
        reason_id=gettext_noop(
            "The worker process died %(times)s times while it imported %(symbol)s. "
            "Look at the log and the memory of the machine, then retry."
        ),
        reason_values={"symbol": symbol, "times": DEATHS_BEFORE_ISOLATION + DEATHS_IN_ISOLATION},
    )
    chunk.cursor += 1
    chunk.failed += 1
