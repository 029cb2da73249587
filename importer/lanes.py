"""What a django-q2 worker runs: claim a chunk, fetch, store, move the cursor; give way when asked.

The queue's message is only a bell: what is to be done stands in ImportTask and ImportChunk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
    transaction,
)

from config.log_lines import about_task
from importer import lifecycle, pacing, progress, slots
from importer.chunks import Claim, free_expired, lock_task
from importer.chunks import claim as claim_chunk
from importer.chunks import release as release_chunk
from importer.chunks import renew as renew_chunk
from importer.cluster_signs import out_of_service
from importer.dbtime import db_now
from importer.dispatch import dispatch_soon
from importer.exceptions import LostLease, StopRequested
from importer.finishing import finish_if_done
from importer.models import Action, ImportTask, Status
from importer.slots import Bell, Hold
from importer.sources.base import NetworkDown
from importer.sources.fetching import FetchContext, fetching
from importer.stock_work import ChunkWork, StockDone
from importer.stopping import stop_requested
from importer.storage_trouble import disk_full_text
from importer.waiting import wait_for_list, wait_for_network, wait_for_sources
from marketdata.texts import Text

if TYPE_CHECKING:
    from importer.plan_task import PlanFailed

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A lane takes no new stock after this long and lets its successor go on: stops and deploys wait for nobody.
TIME_BOX = 20.0
# A stock's fetch, all its requests together, by the wall clock.
FETCH_LIMIT = 30.0
# What is fetched before the first stock: lists, a snapshot of the market (AKShare sleeps a second before each of its
# pages), corporate actions. Below slots.PLAN_TIMEOUT, django-q2's own for such a message.
PLAN_LIMIT = 540.0
HEARTBEAT_EVERY = 2.0
LOOK_EVERY = 0.5


def run_lane(task_id: str, number: int, token: str) -> None:
    """Work for the task until the time box is over, then ring for the successor. Run by django-q2.

    A void message (repeated, late, of a task that has left) does nothing. One that was on its way when this host
    was found to be unfit is left: the others' dispatchers send it again.
    """
    if out_of_service():
        return
    work_in_lane(task_id, number, token, bell=slots.ring_by_queue, on_planned=dispatch_soon)


def work_in_lane(
    task_id: str,
    number: int,
    token: str,
    *,
    bell: Bell,
    on_stock: Callable[[StockDone], None] | None = None,
    on_planned: Callable[[], None] | None = None,
) -> None:
    """Do what ``run_lane`` does, with another bell and with callbacks: for work in this process."""
    with about_task(task_id):
        _work(task_id, number, token, bell, on_stock, on_planned)


def _work(
    task_id: str,
    number: int,
    token: str,
    bell: Bell,
    on_stock: Callable[[StockDone], None] | None,
    on_planned: Callable[[], None] | None,
) -> None:
    close_old_connections()
    hold = slots.take(UUID(task_id), number, token, db_now())
    if hold is None:
        logger.debug("task %s: the message for lane %s is void", task_id, number)
        return
    lane = Lane(hold, bell, on_stock, on_planned)
    try:
        lane.run()
    except (OperationalError, InterfaceError) as error:
        _survive_storage_trouble(lane, error)
    finally:
        lane.close()


class Lane:
    """One lane at work. Its own thread stores and renews the lease; a helper thread asks the sources."""

    def __init__(
        self,
        hold: Hold,
        bell: Bell,
        on_stock: Callable[[StockDone], None] | None = None,
        on_planned: Callable[[], None] | None = None,
    ) -> None:
        self.hold = hold
        self.bell = bell
        self.on_stock = on_stock
        self.on_planned = on_planned
        self.claimed: Claim | None = None
        self.doing = ""
        self.give_way = Event()
        self._helper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fetch")
        self._box_ends = time.monotonic() + TIME_BOX
        self._next_heartbeat = time.monotonic() + HEARTBEAT_EVERY
        self._next_look = 0.0
        self._since_progress = 0
        self._last_progress = time.monotonic()

    def run(self) -> None:
        """Plan the task if it is not planned yet, then work on chunks.

        1. While there is time and nobody asked to give way: claim a chunk and work on it.
        2. Leave: give the chunk back; ring for the successor, or give the slot up when nothing is left for it.
        3. The lane that finds every chunk finished ends the task; one that was asked to give way settles it.
        """
        task = ImportTask.objects.get(pk=self.hold.task_id)
        nothing_left = False
        try:
            if task.planned_at is None:
                self._plan(task)
                task.refresh_from_db()
            work = ChunkWork(self, task)
            while not self.has_to_leave():
                self.claimed = self._claim()
                if self.claimed is None:
                    nothing_left = True
                    break
                work.run(self.claimed)
                release_chunk(self.claimed)
                self.claimed = None
        except LostLease:
            logger.info("task %s: lane %s lost its lease", self.hold.task_id, self.hold.number)
            self.claimed = None
        except StopRequested:
            pass
        self._leave(nothing_left)

    def _claim(self) -> Claim | None:
        """Take a chunk, if the slot is still this lane's: in one transaction, or a lane without a slot could hold one.

        Raises LostLease when somebody else has this lane's place.
        """
        free_expired(self.hold.task_id, db_now())
        with transaction.atomic():
            now = db_now()
            if not slots.renew(self.hold, now, self.doing):
                raise LostLease(lane=str(self.hold.number))
            return claim_chunk(self.hold.task_id, self.hold.number, now)

    def has_to_leave(self) -> bool:
        """Say whether to take no further stock: time is up, the code is too old, or somebody asked to give way."""
        return time.monotonic() >= self._box_ends or out_of_service() or self.must_stop()

    def must_stop(self) -> bool:
        """Say whether to give way now; looks at the task's row twice a second at most."""
        if self.give_way.is_set() or stop_requested():
            return True
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            row = ImportTask.objects.filter(pk=self.hold.task_id).values("status", "requested_action").first()
            if row is None or row["status"] != Status.RUNNING or row["requested_action"] != Action.NONE:
                self.give_way.set()
        return self.give_way.is_set()

    def submit(self, function: Callable[..., T], *args: Any, limit: float = FETCH_LIMIT) -> Future[T]:
        """Start ``function`` in the helper thread, bounded by ``limit`` seconds and told when to give way."""

        def bounded() -> T:
            bounds = FetchContext(
                deadline=time.monotonic() + limit,
                should_stop=lambda: self.give_way.is_set() or stop_requested(),
            )
            with fetching(bounds):
                return function(*args)

        # What the helper logs is about the same task.
        return self._helper.submit(copy_context().run, bounded)

    def wait(self, future: Future[T]) -> T:
        """Return the helper's result; meanwhile renew the lease and look whether to give way.

        Raises what the function raised, StopRequested, or LostLease. Whoever has to give way waits for as long as a
        request may take: what hangs where no time limit reaches (a name that is looked up, a folder on the network)
        is left behind, and its answer is not stored.
        """
        left_at: float | None = None
        while not futures.wait([future], timeout=0.1).done:
            if self.must_stop():
                left_at = left_at or time.monotonic() + settings.REQUEST_TIMEOUT
                if time.monotonic() >= left_at:
                    logger.warning("task %s: lane %s leaves a request that hangs", self.hold.task_id, self.hold.number)
                    raise StopRequested
            self.heartbeat()
        return future.result()

    def heartbeat(self) -> None:
        """Renew the slot's and the chunk's lease every HEARTBEAT_EVERY seconds, and the task's figures with them.

        Raises LostLease when another lane has taken over.
        """
        if time.monotonic() < self._next_heartbeat:
            return
        self._next_heartbeat = time.monotonic() + HEARTBEAT_EVERY
        now = db_now()
        if not slots.renew(self.hold, now, self.doing) or (self.claimed and not renew_chunk(self.claimed, now)):
            self.give_way.set()
            raise LostLease(lane=str(self.hold.number))
        progress.refresh(self.hold.task_id, doing=self.doing)

    def finished(self, done: StockDone) -> None:
        """Report a stock: to the callback, and to the task's row every ten stocks or every second."""
        self._since_progress += done.stocks
        if self._since_progress >= 10 or time.monotonic() - self._last_progress >= 1:
            self._since_progress = 0
            self._last_progress = time.monotonic()
            progress.refresh(self.hold.task_id, doing=self.doing)
        if self.on_stock is not None:
            self.on_stock(done)

    def sources_rest(self, until: datetime, without_network: Text | None = None) -> None:
        """Make the task wait: no source may be asked before ``until``, or can be (``without_network`` says why)."""
        if without_network is None:
            wait_for_sources(self.hold.task_id, until)
        else:
            wait_for_network(self.hold.task_id, until, without_network)
        self.give_way.set()

    def close(self) -> None:
        """End the helper thread and its database connections."""
        self.give_way.set()
        # The answers that sources gave are written with their next request: there may be none.
        self._helper.submit(pacing.flush)
        self._helper.submit(connections.close_all)
        # A request that hangs is bounded by the gate; the worker does not wait for it.
        self._helper.shutdown(wait=False, cancel_futures=False)

    def _plan(self, task: ImportTask) -> None:
        from importer.plan_task import PlanFailed, fetch_plan, save_plan

        progress.say(task.pk, progress.LISTING_TEXT)
        try:
            plan = self.wait(self.submit(fetch_plan, task, limit=PLAN_LIMIT))
        except (NetworkDown, PlanFailed) as error:
            self._go_without_plan(error)
            raise StopRequested from error
        save_plan(task, plan, self.hold)
        if self.on_planned is not None:
            self.on_planned()

    def _go_without_plan(self, error: NetworkDown | PlanFailed) -> None:
        """Have the task wait, or fail, because there is no list of stocks.

        Raises LostLease when another lane has taken over: it may have got the list that this one did not.
        """
        with transaction.atomic():
            lock_task(self.hold.task_id)
            if not slots.renew(self.hold, db_now()):
                raise LostLease(lane=str(self.hold.number))
            if isinstance(error, NetworkDown):
                wait_for_network(self.hold.task_id, error.until, error.text)
            elif error.until is not None:
                wait_for_list(self.hold.task_id, error.until, error.text)
            else:
                lifecycle.fail(self.hold.task_id, error.text)
        self.give_way.set()

    def _leave(self, nothing_left: bool) -> None:
        if self.claimed is not None:
            release_chunk(self.claimed)
            self.claimed = None
        progress.refresh(self.hold.task_id, doing=self.doing)
        if nothing_left or self.give_way.is_set() or stop_requested():
            slots.give_up(self.hold)
        else:
            slots.pass_on(self.hold, self.bell, db_now())
        if nothing_left:
            finish_if_done(self.hold.task_id)
        elif self.give_way.is_set():
            lifecycle.settle(self.hold.task_id)


def _survive_storage_trouble(lane: Lane, error: DatabaseError | InterfaceError) -> None:
    """End the lane without a trace in the data: the transaction was rolled back, the lease runs out or is given back.

    A full disk ends the task with a sentence; everything else (locked, restarted) is tried again by the dispatcher.
    """
    logger.warning("task %s: lane %s: database trouble: %s", lane.hold.task_id, lane.hold.number, error)
    connection.close()
    try:
        full = disk_full_text(error)
        if full is not None:
            lifecycle.fail(lane.hold.task_id, full, totals=progress.sum_chunks(lane.hold.task_id).columns())
            return
        if lane.claimed is not None:
            release_chunk(lane.claimed)
        slots.give_up(lane.hold)
    except (DatabaseError, InterfaceError) as again:
        logger.warning("task %s: the database is still in trouble: %s", lane.hold.task_id, again)
        connection.close()
