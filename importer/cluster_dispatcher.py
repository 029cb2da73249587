"""The process beside the Sentinel that hands out work, runs the schedules and says that this host is alive.

A process of its own, because a database may keep a caller waiting for a minute: the main process, which
must answer a stop at once and fork safely, never touches the database.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import django.db
from django.conf import settings
from django.db.models import Sum
from django.utils.module_loading import import_string

from importer.belonging import misfit, misfit_text
from importer.cluster_signs import Cell, SignsOfLife
from importer.hosts import MISFITS, Trouble, forget_old_hosts, say_alive, say_gone
from importer.models import ImportChunk, Status
from importer.outages import OutageLog
from importer.parents import name_process
from importer.schedule_firing import ring_due_bells
from importer.stopping import stop_requested
from importer.storage_trouble import storage_errors

logger = logging.getLogger(__name__)

ROUND = 2.0
TIDY_EVERY = 3600.0
_NAP = 0.1


@dataclass(frozen=True)
class Dispatcher:
    """What the process needs to know; ``dispatch`` is the dotted path of the function that it calls each round."""

    signs: SignsOfLife
    workers: int
    dispatch: str
    main_pid: int

    def run(self) -> None:
        """Until the stop flag is set, every two seconds: say that the host is alive, ring for what is due, then hand
        out work.

        While the host does not belong to the database (``belonging.py``) it says so and hands out nothing.
        An error of the database or of the broker is logged and the next round tries again.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        name_process("bv-dispatcher")
        dispatch: Callable[[], None] = import_string(self.dispatch)
        threading.Thread(target=self._beat, daemon=True).start()
        storage = OutageLog(logger, "The database or the queue")
        progress = _ProgressMeter(self.signs)
        tidy_at = time.monotonic()
        failing = False
        while not stop_requested():
            began = time.monotonic()
            self.signs.now(Cell.DISPATCHER_AT)
            try:
                if self._may_work(failing=failing):
                    progress.measure()
                    if began >= tidy_at:
                        tidy_at = began + TIDY_EVERY
                        forget_old_hosts()
                    ring_due_bells()
                    dispatch()
                    failing = False
                storage.worked()
            except storage_errors() as error:
                storage.failed(error)
                django.db.connections.close_all()
            except Exception:
                # A mistake in the program: the host stays in sight, with its trouble, and tries again.
                failing = True
                logger.exception("Handing out work failed; trying again.")
            while not stop_requested() and time.monotonic() - began < ROUND:
                time.sleep(_NAP)
        self._say_gone()

    def _beat(self) -> None:
        """In a thread: say that this process runs, also while it waits for the database."""
        while True:
            self.signs.now(Cell.DISPATCHER_PULSE)
            time.sleep(1.0)

    def _may_work(self, *, failing: bool) -> bool:
        """Look whether this host belongs to the database; tell the cluster, then everybody else."""
        unfit = misfit()
        if unfit is not None and not self.signs.get(Cell.OUT_OF_SERVICE):
            logger.error("This host takes no new work: %s", misfit_text(unfit))
        self.signs.set(Cell.OUT_OF_SERVICE, float(unfit is not None))
        trouble = Trouble(int(self.signs.get(Cell.TROUBLE)))
        if unfit is not None:
            trouble = MISFITS[unfit]
        elif failing and trouble is Trouble.NONE:
            trouble = Trouble.DISPATCH_FAILS
        say_alive(
            settings.HOST_NAME,
            pid=self.main_pid,
            workers=0 if unfit is not None else self.workers,
            restarts=int(self.signs.get(Cell.RESTARTS)),
            trouble=trouble,
        )
        return unfit is None

    def _say_gone(self) -> None:
        try:
            say_gone(settings.HOST_NAME, pid=self.main_pid)
        except django.db.Error as error:
            logger.warning("Could not say that this host stops: %s", error)


class _ProgressMeter:
    """Tells the main process, through the signs, whether anything was stored since the last look."""

    def __init__(self, signs: SignsOfLife) -> None:
        self._signs = signs
        self._last: int | None = None

    def measure(self) -> None:
        running = ImportChunk.objects.filter(task__status=Status.RUNNING)
        cursors: int = running.aggregate(total=Sum("cursor"))["total"] or 0
        if self._last is not None and cursors != self._last:
            self._signs.set(Cell.PROGRESS, self._signs.get(Cell.PROGRESS) + 1)
        self._last = cursors


def run_dispatcher(signs: SignsOfLife, workers: int, dispatch: str) -> None:
    """The body of the process; its parent is the main process."""
    Dispatcher(signs, workers, dispatch, main_pid=os.getppid()).run()
