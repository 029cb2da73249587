"""Run django-q2's cluster so that it stops when asked, dies with its parent and is restarted when stuck.

    qcluster, the main process: forks, watches, stops; never touches the database
    ├── Sentinel (django-q2): its guard
    │   ├── workers: run lanes
    │   ├── pusher: takes messages from the queue
    │   └── monitor: takes results from the workers
    └── dispatcher: hands out work, says that this host is alive

Whoever is killed, what is left of the cluster ends with it or is restarted from here; what was being done
stands in the database. The reasons and measurements are in docs/decisions/002-django-q2.md.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from multiprocessing import Event
from multiprocessing.process import BaseProcess

import django.db
from django.utils import translation
from django_q.cluster import Cluster, Sentinel, get_mp_context
from django_q.conf import Conf

from importer import stopping
from importer.belonging import running_code
from importer.cluster_dispatcher import run_dispatcher
from importer.cluster_signs import Cell, SignsOfLife, watch_this_cluster
from importer.cluster_watch import CALM, Pulse, RestartHistory, Symptom, Watch
from importer.hosts import Trouble
from importer.parents import make_forks_die_with_parent, name_process, reap_adopted
from importer.stop_signals import StopSignals
from importer.supervised import say_alive

logger = logging.getLogger(__name__)

DISPATCH = "importer.dispatch.dispatch"
# Who stops the main process allows it three seconds; lanes yield within one.
STOP_GRACE = 1.8
_LOOK_EVERY = 0.2
# Longer than SQLite's busy timeout: the dispatcher may wait for the database.
_DISPATCHER_PATIENCE = 90.0


class _OneRun(Cluster):  # type: ignore[misc]
    """One life of django-q2's cluster, without the parts of it that block or act inside a signal handler."""

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        super().__init__()

    def sig_handler(self, signum: int, frame: object) -> None:
        self._signals.receive(signum, frame)

    def start(self) -> int:
        """Fork the Sentinel and return; whether it gets going is for the watch to see."""
        self.stop_event = Event()
        self.start_event = Event()
        self.sentinel = get_mp_context().Process(
            target=Sentinel,
            name=f"Process-{uuid.uuid4().hex}",
            args=(self.stop_event, self.start_event, self.cluster_id, self.broker, self.timeout),
        )
        self.sentinel.start()
        return int(self.pid)

    def stop(self) -> bool:
        """Ask the Sentinel to let its workers finish; does not wait for it.

        In a thread: setting an Event waits for ever when a sleeper on it was killed.
        """
        if not self.sentinel.is_alive():
            return False
        threading.Thread(target=self.stop_event.set, daemon=True).start()
        return True

    def kill(self, signs: SignsOfLife) -> None:
        """End all processes of this run. The Sentinel's children die with it; where they only look, help them."""
        workers = signs.worker_pids()
        self.sentinel.kill()
        self.sentinel.join()
        for pid in workers:
            _kill(pid)


class _Dispatcher:
    """The dispatcher process and its restarts."""

    def __init__(self, signs: SignsOfLife, workers: int, dispatch: str) -> None:
        self._signs = signs
        self._arguments = (signs, workers, dispatch)
        self._process: BaseProcess | None = None
        self._history = RestartHistory()
        self._started = 0.0
        self._start_at = 0.0
        self._pulse = Pulse()
        self._last_pulse = 0.0
        self._looked = 0.0

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def tend(self) -> None:
        """Start the process if it is not there; kill it if it hangs, or waits for the database for too long."""
        now = time.monotonic()
        if self.is_alive:
            pulse = self._signs.get(Cell.DISPATCHER_PULSE)
            hangs = self._pulse.has_stopped(heard=pulse != self._last_pulse, elapsed=now - self._looked)
            self._last_pulse, self._looked = pulse, now
            waits_for = now - max(self._signs.get(Cell.DISPATCHER_AT), self._started)
            if hangs or waits_for > _DISPATCHER_PATIENCE:
                logger.error("The dispatcher gives no sign of life: killing it.")
                self.kill()
            return
        if self._process is not None:
            logger.error("The dispatcher ended with status %s; starting it again.", self._process.exitcode)
            self._history = self._history.after_run(progressed=False, lasted=now - self._started)
            self._start_at = now + self._history.delay
            self._process = None
        if now >= self._start_at:
            django.db.connections.close_all()
            self._process = get_mp_context().Process(
                target=run_dispatcher, args=self._arguments, name="dispatcher", daemon=True
            )
            self._started = self._looked = now
            self._pulse = Pulse()
            self._process.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()


class ClusterKeeper:
    """The main process: one run of the cluster after the other until it is asked to stop."""

    def __init__(
        self, *, workers: int, signals: StopSignals, dispatch: str = DISPATCH, ready: Callable[[], None] | None = None
    ) -> None:
        Conf.WORKERS = workers
        self._ready = ready
        self._signals = signals
        self._signs = watch_this_cluster(workers)
        self._dispatcher = _Dispatcher(self._signs, workers, dispatch)
        self._history = RestartHistory()

    def keep(self) -> None:
        """Run until SIGTERM or SIGINT; everything this process started has ended when it returns.

        1. Start the cluster and the dispatcher, and watch them.
        2. When the cluster is stuck or dead: kill what is left of it, wait (longer each time only if nothing
           was stored in between), start it again.
        3. When asked to stop: ask everybody to yield, kill who has not after a grace.
        """
        make_forks_die_with_parent()
        while not stopping.stop_requested():
            run = _OneRun(self._signals)
            django.db.connections.close_all()
            self._signs.clear()
            run.start()
            started = time.monotonic()
            progress = self._signs.get(Cell.PROGRESS)
            symptom = self._watch(run, started, progress)
            if symptom is None:
                self._end(run)
                return
            run.kill(self._signs)
            progressed = self._signs.get(Cell.PROGRESS) != progress
            self._history = self._history.after_run(progressed=progressed, lasted=time.monotonic() - started)
            self._signs.set(Cell.RESTARTS, self._signs.get(Cell.RESTARTS) + 1)
            if self._history.is_crash_loop:
                self._signs.set(Cell.TROUBLE, Trouble.CRASH_LOOP)
            logger.error("Restarting the cluster in %.0f s: %s.", self._history.delay, symptom)
            self._wait(self._history.delay)
        self._end(None)

    def _watch(self, run: _OneRun, started: float, progress: float) -> Symptom | None:
        """Return what is wrong with the run as soon as it is certain; None when asked to stop."""
        watch = Watch()
        said_ready = False
        last = time.monotonic()
        while not stopping.stop_requested():
            if not run.sentinel.is_alive():
                return Symptom.SENTINEL_DEAD
            now = time.monotonic()
            reading = self._signs.read()
            symptom = watch.look(reading, now - last)
            last = now
            if symptom is not None:
                return symptom
            if not said_ready and reading.pusher_at and reading.idle_workers:
                said_ready = True
                self._say_ready()
            if self._signs.get(Cell.PROGRESS) != progress or now - started >= CALM:
                self._history = RestartHistory()
                self._signs.set(Cell.TROUBLE, Trouble.NONE)
            self._wait(_LOOK_EVERY)
        return None

    def _wait(self, seconds: float) -> None:
        """Let ``seconds`` pass, or less when asked to stop, and look after the dispatcher meanwhile."""
        until = time.monotonic() + seconds
        while not stopping.stop_requested():
            say_alive()
            self._dispatcher.tend()
            reap_adopted(frozenset(child.pid or 0 for child in multiprocessing.active_children()))
            left = until - time.monotonic()
            if left <= 0:
                return
            self._signals.wait(min(left, _LOOK_EVERY))

    def _say_ready(self) -> None:
        if self._ready is not None:
            self._ready()
            self._ready = None
        logger.info("The cluster is running with %s workers.", Conf.WORKERS)

    def _end(self, run: _OneRun | None) -> None:
        """Let everybody finish within the grace, then kill who is left."""
        logger.info("Stopping the cluster.")
        deadline = time.monotonic() + STOP_GRACE
        if run is not None:
            run.stop()
        while time.monotonic() < deadline and self._signals.count < 2:
            if not self._dispatcher.is_alive and (run is None or not run.sentinel.is_alive()):
                break
            self._signals.wait(0.05)
        if run is not None:
            if run.sentinel.is_alive():
                logger.warning("Not everything stopped in time: killing the rest.")
            run.kill(self._signs)
        self._dispatcher.kill()
        logger.info("The cluster has stopped.")


def run_cluster(
    *,
    workers: int,
    dispatch: str = DISPATCH,
    preload: Callable[[], None] | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Keep a cluster of ``workers`` running until SIGTERM or SIGINT.

    ``dispatch`` is the dotted path of the function that hands out work. ``preload`` is called before the fork:
    what it imports, all processes share. ``ready`` is called once, when the cluster takes messages.
    """
    # Log lines are for whoever looks after the machine, and are searched for: one language.
    translation.activate("en")
    name_process("bv-cluster")
    stopping.reset()
    # Before the first import that takes its time: from here on a stop is never a traceback.
    signals = StopSignals((signal.SIGTERM, signal.SIGINT), stopping.request_stop)
    if preload is not None:
        preload()
    # Before the fork: after an upgrade the files are not what these processes run.
    running_code()
    gc.collect()
    # What exists now lives as long as the process: keeping the collector off it keeps its pages shared.
    gc.freeze()
    ClusterKeeper(workers=workers, signals=signals, dispatch=dispatch, ready=ready).keep()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
