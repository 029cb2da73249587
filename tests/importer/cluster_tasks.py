"""What the workers run in the tests of the cluster. Arguments are strings and numbers, as in real messages."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from importer.stopping import stop_requested


def touch(path: str) -> None:
    Path(path).touch()


def sleep(path: str, seconds: float) -> None:
    """Sleep through everything, also a stop; ``path`` appears when it begins."""
    Path(path).touch()
    time.sleep(seconds)


def give_way(path: str, seconds: float) -> None:
    """Do as a lane does: look for the stop every moment. ``path`` gets a word when it ends."""
    Path(path).touch()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if stop_requested():
            Path(path).write_text("gave way")
            return
        time.sleep(0.05)
    Path(path).write_text("finished")


def die() -> None:
    """Do as a crash in a C library does."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail_to_dispatch() -> None:
    raise RuntimeError("a mistake in the program")


def dispatch_nothing() -> None:
    """Stand in for ``importer.dispatch.dispatch`` where a test is about the cluster alone."""
