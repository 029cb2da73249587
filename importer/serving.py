"""``serve``: one small process that keeps the web server, the cluster and the notifier running, and stops them.

It only waits. Each child has a process group of its own, so that Ctrl-C reaches this process alone; it then
signals the first process of each child, never a group, because a cluster whose members are signalled one by
one cannot finish in order.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from importer.cluster_failing import say_cluster_fails
from importer.cluster_watch import Pulse, RestartHistory
from importer.parents import name_process, reap_adopted
from importer.stop_signals import StopSignals
from importer.supervised import READY, environment_for_child

logger = logging.getLogger(__name__)

# Children allow their own work less: the cluster 1.8 s, the web server 1.5 s.
STOP_GRACE = 2.4
# A cluster that does not get going must not keep the page out of reach.
READY_WITHIN = 20.0
_LOOK_EVERY = 0.2


class Child:
    """A process that is to run for as long as the supervisor does.

    One with ``signs`` says again and again that it lives (``supervised.py``), and is killed when it does not.
    ``on_crash_loop`` is called at each of its ends while it ends again and again.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        *,
        signs: bool = False,
        on_crash_loop: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.is_ready = False
        self._arguments = list(arguments)
        self._environment = {**os.environ, **environment}
        self._cwd = cwd
        self._pass_fds: tuple[int, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._signs = signs
        self._on_crash_loop = on_crash_loop
        self._pipe: int | None = None
        self._pulse = Pulse()
        self._looked = 0.0
        self._history = RestartHistory()
        self._started = 0.0
        self._start_at = 0.0

    def give(self, listener: socket.socket) -> None:
        """Hand the child an open socket: its number is the last argument, in each of its lives."""
        self._pass_fds = (listener.fileno(),)
        self._arguments.append(str(listener.fileno()))

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def tend(self) -> None:
        """Start the process, or start it again after a delay that grows while it does not last; kill it if it hangs."""
        now = time.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                self._listen(now)
                return
            self._forget_process()
            self._history = self._history.after_run(progressed=False, lasted=now - self._started)
            self._start_at = now + self._history.delay
            logger.error(
                "The %s ended (%s); starting it again in %.0f s.", self.name, _how(status), self._history.delay
            )
            if self._history.is_crash_loop and self._on_crash_loop is not None:
                self._on_crash_loop()
        if now >= self._start_at:
            self._start()

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            logger.warning("The %s did not stop in time: killing it.", self.name)
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._pipe, child_end = os.pipe()
        os.set_blocking(self._pipe, False)
        self._process = subprocess.Popen(
            self._arguments,
            env={**self._environment, **environment_for_child(child_end)},
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            pass_fds=(*self._pass_fds, child_end),
            process_group=0,
        )
        os.close(child_end)
        self._started = self._looked = time.monotonic()
        self._pulse = Pulse()

    def _listen(self, now: float) -> None:
        heard = self._hear()
        self.is_ready = self.is_ready or READY in heard
        elapsed, self._looked = now - self._looked, now
        if self._signs and self._pulse.has_stopped(heard=bool(heard), elapsed=elapsed) and self._process is not None:
            logger.error("The %s gives no sign of life: killing it.", self.name)
            self._process.kill()

    def _hear(self) -> bytes:
        assert self._pipe is not None
        try:
            return os.read(self._pipe, 4096)
        except BlockingIOError:
            return b""

    def _forget_process(self) -> None:
        self._process = None
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class Supervisor:
    """Keeps its children running until SIGTERM, SIGINT or SIGHUP."""

    def __init__(self, children: Sequence[Child], *, ready: Callable[[], None]) -> None:
        self._children = children
        self._ready: Callable[[], None] | None = ready
        self._signals = StopSignals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))

    def run(self) -> None:
        """Start the children, keep them running, and stop them all within three seconds when asked.

        ``ready`` is called once, when all of them are ready, or when the first one is and the others let wait.
        """
        name_process("bv-serve")
        began = time.monotonic()
        while not self._signals.count:
            for child in self._children:
                child.tend()
            self._say_ready(time.monotonic() - began)
            reap_adopted(frozenset(child.pid for child in self._children if child.pid))
            self._signals.wait(_LOOK_EVERY)
        self._end()

    def _say_ready(self, waited: float) -> None:
        if self._ready is None:
            return
        first, *others = self._children
        if first.is_ready and (waited > READY_WITHIN or all(child.is_ready for child in others)):
            self._ready()
            self._ready = None

    def _end(self) -> None:
        for child in self._children:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE
        while time.monotonic() < deadline and self._signals.count < 2:
            if all(child.has_ended() for child in self._children):
                break
            self._signals.wait(0.02)
        for child in self._children:
            child.kill()


def web_child(listener: socket.socket, base_dir: Path, environment: Mapping[str, str]) -> Child:
    """Return the web server on a socket that the supervisor keeps open: a restart loses no connection."""
    child = Child("web server", [sys.executable, "-m", "importer.web_process"], environment, base_dir, signs=True)
    child.give(listener)
    return child


def cluster_child(base_dir: Path, environment: Mapping[str, str]) -> Child:
    """Return the cluster of workers."""
    command = [sys.executable, str(base_dir / "manage.py"), "qcluster"]
    return Child("cluster", command, environment, base_dir, signs=True, on_crash_loop=say_cluster_fails)


def notifier_child(base_dir: Path, environment: Mapping[str, str]) -> Child:
    """Return the process that tells people what happened, which goes on when the cluster is dead."""
    return Child("notifier", [sys.executable, "-m", "importer.notify.process"], environment, base_dir)


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
