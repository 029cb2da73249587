"""What must be true of the tables of tasks at every moment, whatever was killed; ``doctor`` and tests look for it.

A reading is several queries. On a database where lanes work, one that falls between two commits may see a
violation that is none: ``lasting_violations`` looks twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, Sum
from django.utils.translation import gettext_noop

from importer.dbtime import db_now
from importer.leases import lease_over
from importer.models import ACTIVE, FINISHED, Failure, ImportChunk, ImportTask, LaneSlot, Status, Transition
from marketdata.texts import Text

LOOK_AGAIN_AFTER = 1.5


def violations() -> list[Text]:
    """Return one sentence for each invariant that does not hold now."""
    return [text for check in _CHECKS for text in check()]


def lasting_violations() -> list[Text]:
    """Return the violations that are still there after a moment."""
    first = violations()
    if not first:
        return []
    time.sleep(LOOK_AGAIN_AFTER)
    again = violations()
    return [text for text in first if text in again]


def one_running_task() -> Iterator[Text]:
    running = ImportTask.objects.filter(status=Status.RUNNING).count()
    if running > 1:
        yield Text(gettext_noop("%(count)s tasks are running; there may be one."), {"count": running})


def progress_in_its_range() -> Iterator[Text]:
    """0..100; at least 1 and at most 99 in a planned task that runs; 100 exactly when it is completed."""
    completed = Q(status=Status.COMPLETED)
    running = Q(status=Status.RUNNING, planned_at__isnull=False)
    wrong = (
        Q(progress__gt=100)
        | (completed & ~Q(progress=100))
        | (~completed & Q(progress__gte=100))
        | (running & Q(progress__lt=1))
    )
    for task in ImportTask.objects.filter(wrong):
        yield Text(
            gettext_noop("Task %(task)s is %(status)s at %(progress)s percent."),
            {"task": str(task.pk), "status": task.status, "progress": task.progress},
        )


def times_fit_the_state() -> Iterator[Text]:
    """A task that has ended says when, one that has not does not; one that runs says when it started."""
    wrong = (
        Q(status__in=FINISHED, finished_at=None)
        | Q(status__in=ACTIVE, finished_at__isnull=False)
        | Q(status=Status.RUNNING, started_at=None)
    )
    for task in ImportTask.objects.filter(wrong):
        yield Text(
            gettext_noop("Task %(task)s is %(status)s, but its times of start and end say something else."),
            {"task": str(task.pk), "status": task.status},
        )


def history_leads_to_the_state() -> Iterator[Text]:
    """Each state change begins where the one before ended, and the last one ends in the task's state.

    By id, not by time: a clock may have been set back in between.
    """
    reached: dict[UUID, str] = {}
    broken: set[UUID] = set()
    rows = Transition.objects.order_by("task_id", "id").values_list("task_id", "old", "new")
    for task_id, old, new in rows.iterator():
        if reached.get(task_id, old) != old:
            broken.add(task_id)
        reached[task_id] = new
    for task_id, status in ImportTask.objects.values_list("pk", "status"):
        if task_id in broken or reached.get(task_id, status) != status:
            yield Text(
                gettext_noop("The history of task %(task)s does not lead to its state (%(status)s)."),
                {"task": str(task_id), "status": status},
            )


def only_a_running_task_has_lanes() -> Iterator[Text]:
    slots = LaneSlot.objects.exclude(task__status=Status.RUNNING).values("task_id").annotate(count=Count("pk"))
    for row in slots.order_by("task_id"):
        yield Text(
            gettext_noop("Task %(task)s does not run, but has %(count)s lanes."),
            {"task": str(row["task_id"]), "count": row["count"]},
        )
    held = ImportChunk.objects.exclude(task__status=Status.RUNNING).exclude(lane=None)
    for row in held.values("task_id").annotate(count=Count("pk")).order_by("task_id"):
        yield Text(
            gettext_noop("Task %(task)s does not run, but lanes hold %(count)s of its chunks."),
            {"task": str(row["task_id"]), "count": row["count"]},
        )


def a_lane_holds_one_chunk_and_a_slot() -> Iterator[Text]:
    """No slot number twice, no two chunks under one living lane, and no living hold without a taken slot."""
    numbers = LaneSlot.objects.values("task_id", "number").annotate(count=Count("pk")).filter(count__gt=1)
    for row in numbers.order_by("task_id", "number"):
        yield Text(
            gettext_noop("Lane %(lane)s of task %(task)s is there %(count)s times."),
            {"task": str(row["task_id"]), "lane": str(row["number"]), "count": row["count"]},
        )
    living = ImportChunk.objects.exclude(lane=None).exclude(lease_over(db_now()))
    holders = Counter(living.values_list("task_id", "lane"))
    taken = set(LaneSlot.objects.exclude(pid=None).values_list("task_id", "number"))
    for (task_id, lane), count in sorted(holders.items(), key=str):
        values = {"task": str(task_id), "lane": str(lane), "count": count}
        if count > 1:
            yield Text(gettext_noop("Lane %(lane)s of task %(task)s holds %(count)s chunks at once."), values)
        if (task_id, lane) not in taken:
            yield Text(gettext_noop("Lane %(lane)s of task %(task)s holds a chunk, but not its slot."), values)


def chunks_count_every_stock_once() -> Iterator[Text]:
    """A cursor within the chunk, and each stock before it done, failed, skipped or set aside."""
    counted = F("done") + F("failed") + F("skipped") + F("set_aside")
    for chunk in ImportChunk.objects.filter(Q(cursor__gt=F("size")) | ~Q(cursor=counted)):
        yield Text(
            gettext_noop(
                "Chunk %(chunk)s of task %(task)s is at stock %(cursor)s of %(size)s, but counts %(counted)s."
            ),
            {
                "chunk": str(chunk.number),
                "task": str(chunk.task_id),
                "cursor": chunk.cursor,
                "size": chunk.size,
                "counted": chunk.done + chunk.failed + chunk.skipped + chunk.set_aside,
            },
        )
    active = ImportTask.objects.filter(status__in=ACTIVE)
    for task in active:
        yield from _stocks_are_in_one_chunk(task)


def _stocks_are_in_one_chunk(task: ImportTask) -> Iterator[Text]:
    chunks = list(task.chunks.values_list("number", "symbols", "size", "isolated", "not_before"))
    for number, symbols, size, _isolated, _not_before in chunks:
        if len(symbols) != size:
            yield Text(
                gettext_noop("Chunk %(chunk)s of task %(task)s holds %(held)s stocks instead of %(size)s."),
                {"chunk": str(number), "task": str(task.pk), "held": len(symbols), "size": size},
            )
    # A stock that was set aside, because lanes died over it or because its sources rest, is in the chunk that it came
    # from, too.
    for way in {(isolated, not_before is not None) for _, _, _, isolated, not_before in chunks}:
        times = Counter(
            symbol
            for _, symbols, _, isolated, not_before in chunks
            if (isolated, not_before is not None) == way
            for symbol in symbols
        )
        for symbol, count in times.items():
            if count > 1:
                yield Text(
                    gettext_noop("%(symbol)s is in %(count)s chunks of task %(task)s."),
                    {"symbol": symbol, "count": count, "task": str(task.pk)},
                )


def totals_are_the_sums_of_chunks() -> Iterator[Text]:
    """``done + failed + skipped + open = total``: exactly when the task rests, and never more than the chunks say."""
    rows = ImportTask.objects.exclude(planned_at=None).annotate(
        sum_size=Sum("chunks__size", default=0),
        sum_aside=Sum("chunks__set_aside", default=0),
        sum_done=Sum("chunks__done", default=0),
        sum_failed=Sum("chunks__failed", default=0),
        sum_skipped=Sum("chunks__skipped", default=0),
        sum_rows=Sum("chunks__rows", default=0),
    )
    for task in rows.order_by("created_at"):
        on_row = (task.total, task.done, task.failed, task.skipped, task.rows_written)
        sums = (
            task.sum_size - task.sum_aside, task.sum_done, task.sum_failed, task.sum_skipped, task.sum_rows,
        )  # fmt: skip
        rests = task.status != Status.RUNNING
        wrong = on_row != sums if rests else any(own > whole for own, whole in zip(on_row[1:], sums[1:], strict=True))
        if wrong:
            yield Text(
                gettext_noop("Task %(task)s (%(status)s) counts %(row)s, but its chunks %(sums)s."),
                {"task": str(task.pk), "status": task.status, "row": _figures(on_row), "sums": _figures(sums)},
            )


def every_failure_is_listed() -> Iterator[Text]:
    """As many stocks with a listed failure as the chunks count."""
    listed = dict(
        Failure.objects.filter(finding=False)
        .values_list("task_id")
        .annotate(count=Count("symbol", distinct=True))
        .order_by("task_id")
    )
    counted: dict[UUID, Any] = dict(
        ImportChunk.objects.values_list("task_id").annotate(count=Sum("failed")).order_by("task_id")
    )
    for task_id in sorted({*listed, *counted}):
        if listed.get(task_id, 0) != counted.get(task_id, 0):
            yield Text(
                gettext_noop("Task %(task)s counts %(counted)s failed stocks, but lists %(listed)s."),
                {"task": str(task_id), "counted": counted.get(task_id, 0), "listed": listed.get(task_id, 0)},
            )


def _figures(figures: tuple[int, ...]) -> str:
    return ", ".join(f"{figure:,}" for figure in figures)


_CHECKS: tuple[Callable[[], Iterator[Text]], ...] = (
    one_running_task,
    progress_in_its_range,
    times_fit_the_state,
    history_leads_to_the_state,
    only_a_running_task_has_lanes,
    a_lane_holds_one_chunk_and_a_slot,
    chunks_count_every_stock_once,
    totals_are_the_sums_of_chunks,
    every_failure_is_listed,
)
