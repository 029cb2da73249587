"""Work in this process, without a cluster: for scripts, tests and the command line's ``--inline``."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

from importer import progress
from importer.dispatch import dispatch
from importer.lanes import work_in_lane
from importer.models import FINISHED, ImportTask, Kind, Status
from importer.progress import Progress
from importer.stock_work import StockDone
from importer.stopping import stop_requested
from importer.task_requests import Submission, build_request, submit

REPORT_EVERY = 10
IDLE_PAUSE = 0.2


def run_import(
    kind: Kind | str = Kind.IMPORT,
    *,
    start: date | str | None = None,
    end: date | str | None = None,
    symbols: list[str] | str | None = None,
    source: str | None = None,
    path: str | None = None,
    refresh: bool = False,
    priority: int = 0,
    by: str = "python",
    on_progress: Callable[[Progress], Any] | None = None,
) -> ImportTask:
    """Import, update or repair in this process and return the task when it has ended.

    ``on_progress`` gets a Progress at 0, at 1 when the import starts, every 10 stocks, and at 100; never falling.
    It also returns when the process is asked to stop, or the task is paused: the task's row says which.
    Raises BadRequest, EmptyDatabase or MixedOrigins before anything is changed.
    """
    request = build_request(
        kind,
        start=start,
        end=end,
        symbols=symbols,
        source=source,
        path=path,
        refresh=refresh,
        priority=priority,
        trusted_path=True,
    )
    submission = submit(request, by=by)
    return follow_inline(submission, on_progress=on_progress)


def follow_inline(submission: Submission, *, on_progress: Callable[[Progress], Any] | None = None) -> ImportTask:
    """Work, in this process, until the task has ended, is paused, or the process is asked to stop.

    Tasks that go before it (running, or of higher priority) are worked on first. A cluster that is alive helps.
    """
    reporter = _Reporter(submission.task.pk, on_progress)
    reporter.at_start()
    messages: list[tuple[str, int, str]] = []

    def bell(task_id: str, number: int, token: str) -> None:
        messages.append((task_id, number, token))

    while not stop_requested():
        task = ImportTask.objects.get(pk=submission.task.pk)
        if task.status in FINISHED or task.status == Status.PAUSED:
            break
        dispatch(bell=bell, lanes=lambda: 1)
        if not messages:
            time.sleep(IDLE_PAUSE)
            continue
        task_id, number, token = messages.pop(0)
        mine = task_id == str(submission.task.pk)
        work_in_lane(
            task_id,
            number,
            token,
            bell=bell,
            on_stock=reporter.on_stock if mine else None,
            on_planned=reporter.on_planned if mine else None,
        )
    task = ImportTask.objects.get(pk=submission.task.pk)
    reporter.at_end(task)
    return task


class _Reporter:
    """Calls ``on_progress`` at 0, 1, every 10 stocks and at the end, never with a smaller percent than before."""

    def __init__(self, task_id: UUID, on_progress: Callable[[Progress], Any] | None) -> None:
        self.task_id = task_id
        self.on_progress = on_progress
        self.highest = 0
        self.reported = 0
        self.seen = 0

    def at_start(self) -> None:
        task = ImportTask.objects.get(pk=self.task_id)
        self.seen = self.reported = task.done + task.failed + task.skipped
        self._report(progress.of_task(task))

    def on_planned(self) -> None:
        self._report(progress.of_task(ImportTask.objects.get(pk=self.task_id)))

    def on_stock(self, done: StockDone) -> None:
        self.seen += done.stocks
        if self.on_progress is None:
            return
        if self.seen // REPORT_EVERY == self.reported // REPORT_EVERY:
            return
        self.reported = self.seen
        progress.refresh(self.task_id, force=True)
        self._report(progress.of_task(ImportTask.objects.get(pk=self.task_id)))

    def at_end(self, task: ImportTask) -> None:
        if task.status in FINISHED:
            self._report(progress.of_task(task))

    def _report(self, now: Progress) -> None:
        if self.on_progress is None or now.percent < self.highest:
            return
        self.highest = now.percent
        self.on_progress(now)
