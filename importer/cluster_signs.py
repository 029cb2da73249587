"""Signs of life: what each process of the cluster did last, in memory that all of them share.

No locks, on purpose: a process that is killed while it holds one stops all the others, and that is the very
thing that has to be noticed here. Each cell is one aligned double, written whole. Times are
``time.monotonic()``, which is one clock for all processes of a machine; 0 means never.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import IntEnum
from multiprocessing.sharedctypes import RawArray
from typing import Any

from importer.parents import is_alive, name_process


class Cell(IntEnum):
    SENTINEL_AT = 0  # the Sentinel's last round
    PUSHER_AT = 1  # the pusher last asked the broker, or got its answer
    PUSHER_ASKS = 2  # 1 while the pusher waits for the broker's answer
    DELIVERED_AT = 3  # the broker's last message for the workers
    STARTED_AT = 4  # a worker last began a message
    FINISHED_AT = 5  # a worker last handed a result to the monitor
    ACCOUNTED_AT = 6  # the monitor last dealt with a result
    MONITOR_SAVES = 7  # 1 while the monitor may be waiting for the broker or the database
    DISPATCHER_AT = 8  # the dispatcher's last round
    # From here on nothing is cleared when the cluster is restarted.
    PROGRESS = 9  # grows whenever something was stored
    RESTARTS = 10  # of the cluster, since the main process started
    TROUBLE = 11  # a value of hosts.Trouble
    OUT_OF_SERVICE = 12  # 1 while this cluster must take no new work: it does not belong to the database
    DISPATCHER_PULSE = 13  # the dispatcher's process runs, though it may be waiting for the database


_CLEARED = range(Cell.SENTINEL_AT, Cell.PROGRESS)
_HEAD = len(Cell)
_PID, _BUSY, _WIDTH = 0, 1, 2
# Seconds after which a pusher that took no message looks whether a worker has become free: shared memory, no query.
LOOK_AGAIN = 0.05
# Of 19: decision 002 has what it does for the page.
WORKER_NICENESS = 10


@dataclass(frozen=True)
class Reading:
    """The cells at one moment, for a decision."""

    sentinel_at: float = 0.0
    pusher_at: float = 0.0
    pusher_asks: bool = False
    delivered_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    accounted_at: float = 0.0
    monitor_saves: bool = False
    idle_workers: int = 0


class SignsOfLife:
    """The shared cells: made by the main process before it forks; its children write, it reads."""

    def __init__(self, workers: int) -> None:
        # A worker that ended keeps its place until another one takes it: a few more than there are workers.
        self._places = 2 * workers + 8
        self._cells = RawArray("d", _HEAD + _WIDTH * self._places)
        self._next_place = 0
        self._place: int | None = None

    def get(self, cell: Cell) -> float:
        return float(self._cells[cell])

    def set(self, cell: Cell, value: float) -> None:
        self._cells[cell] = value

    def now(self, cell: Cell) -> None:
        self._cells[cell] = time.monotonic()

    def clear(self) -> None:
        """Forget what the processes of an ended cluster wrote."""
        for cell in _CLEARED:
            if cell != Cell.DISPATCHER_AT:
                self._cells[cell] = 0.0
        for index in range(_HEAD, len(self._cells)):
            self._cells[index] = 0.0

    def prepare_place(self) -> None:
        """In the Sentinel, before it forks: choose the place that the child takes if it is a worker.

        The Sentinel alone forks workers, so no two of them get the same place and no lock is needed.
        """
        for step in range(1, self._places + 1):
            place = (self._next_place + step) % self._places
            pid = int(self._cells[_HEAD + _WIDTH * place + _PID])
            if not pid or not is_alive(pid):
                break
        self._next_place = place

    def take_place(self) -> None:
        """In a worker that is ready: say so in the place that the Sentinel chose."""
        self._place = self._next_place
        self._write(_BUSY, 0.0)
        self._write(_PID, float(os.getpid()))

    def set_busy(self, busy: bool) -> None:
        if self._place is not None:
            self._write(_BUSY, float(busy))

    def worker_pids(self, *, idle: bool = False) -> list[int]:
        """Return the workers that are alive; with ``idle`` only those that have no message."""
        found = []
        for place in range(self._places):
            pid = int(self._cells[_HEAD + _WIDTH * place + _PID])
            busy = bool(self._cells[_HEAD + _WIDTH * place + _BUSY])
            if pid and not (idle and busy) and is_alive(pid):
                found.append(pid)
        return found

    def leaves_messages_to_others(self) -> bool:
        """Say whether the pusher must take no message: this host is out of service, or all of its workers are busy.

        What it took now would lie here until one of them is free, while a worker of another host has nothing to do.
        """
        if self.get(Cell.OUT_OF_SERVICE):
            return True
        return bool(self.worker_pids()) and not self.worker_pids(idle=True)

    def read(self) -> Reading:
        return Reading(
            sentinel_at=self.get(Cell.SENTINEL_AT),
            pusher_at=self.get(Cell.PUSHER_AT),
            pusher_asks=bool(self.get(Cell.PUSHER_ASKS)),
            delivered_at=self.get(Cell.DELIVERED_AT),
            started_at=self.get(Cell.STARTED_AT),
            finished_at=self.get(Cell.FINISHED_AT),
            accounted_at=self.get(Cell.ACCOUNTED_AT),
            monitor_saves=bool(self.get(Cell.MONITOR_SAVES)),
            idle_workers=len(self.worker_pids(idle=True)),
        )

    def _write(self, field: int, value: float) -> None:
        assert self._place is not None
        self._cells[_HEAD + _WIDTH * self._place + field] = value


# Set by the main process of a cluster before it forks; None in every other process (web, commands).
_current: SignsOfLife | None = None


def current_signs() -> SignsOfLife | None:
    """Return the signs of the cluster that this process belongs to, if it belongs to one."""
    return _current


def out_of_service() -> bool:
    """Say whether this process is of a cluster that must take no new work."""
    return _current is not None and bool(_current.get(Cell.OUT_OF_SERVICE))


def watch_this_cluster(workers: int) -> SignsOfLife:
    """In the main process, once: make the cells and have all children write them."""
    from django_q import signals

    global _current
    signs = _current = SignsOfLife(workers)
    os.register_at_fork(before=signs.prepare_place, after_in_child=_name_child)
    # Weak references to nested functions would be gone at once; these live as long as the process.
    signals.post_spawn.connect(_worker_is_ready, weak=False)
    signals.pre_execute.connect(_worker_begins, weak=False)
    signals.post_execute_in_worker.connect(_worker_ends, weak=False)
    signals.post_execute.connect(_result_is_accounted, weak=False)
    return signs


def _name_child() -> None:
    # The monitor alone has no moment to name itself before its first result; all others soon do.
    name_process("bv-monitor")


def _worker_is_ready(**_kwargs: Any) -> None:
    if _current is not None:
        _current.take_place()
        # Imports wait for nobody's eyes: the page and the API go first where the cores are few.
        os.nice(WORKER_NICENESS)
        name_process("bv-idle")


def _worker_begins(**_kwargs: Any) -> None:
    if _current is not None:
        _current.set_busy(True)
        _current.now(Cell.STARTED_AT)
        name_process("bv-busy")


def _worker_ends(task: dict[str, Any], **_kwargs: Any) -> None:
    if _current is not None:
        if not task["success"]:
            # A failure is saved in the database, and that may take as long as the database wants.
            _current.set(Cell.MONITOR_SAVES, 1.0)
        _current.now(Cell.FINISHED_AT)
        _current.set_busy(False)
        name_process("bv-idle")


def _result_is_accounted(**_kwargs: Any) -> None:
    if _current is not None:
        _current.now(Cell.ACCOUNTED_AT)
        _current.set(Cell.MONITOR_SAVES, 0.0)
