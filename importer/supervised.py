"""What a process that ``serve`` started agrees on with it: to die with it, and to say when it is ready, and alive."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from importer.parents import die_with_parent

_PARENT = "BARVAULT_SUPERVISOR_PID"
_READY = "BARVAULT_READY_FD"

# What a child writes into its supervisor's pipe.
READY, ALIVE = b"r", b"."
_SIGN_EVERY = 1.0
_pipe: int | None = None
_next_sign = 0.0


def environment_for_child(ready_fd: int) -> Mapping[str, str]:
    """In the supervisor: the variables that tell a child who started it and where to say that it is ready."""
    return {_PARENT: str(os.getpid()), _READY: str(ready_fd)}


def join_supervisor() -> bool:
    """In a child, first thing: from now on it dies with its supervisor. Return whether it has one."""
    parent_pid = os.environ.pop(_PARENT, None)
    if parent_pid is None:
        return False
    die_with_parent(int(parent_pid))
    return True


def say_ready() -> None:
    """In a child, once: tell the supervisor, if there is one, that the work has begun."""
    _tell(READY)


def say_alive() -> None:
    """In the main loop of a child, at least every two seconds: a supervisor that hears nothing starts it anew."""
    global _next_sign
    now = time.monotonic()
    if now >= _next_sign:
        _next_sign = now + _SIGN_EVERY
        _tell(ALIVE)


def _tell(sign: bytes) -> None:
    global _pipe
    number = os.environ.pop(_READY, None)
    if number is not None:
        _pipe = int(number)
        # A supervisor that does not read must not hold anybody.
        os.set_blocking(_pipe, False)
    if _pipe is None:
        return
    try:
        os.write(_pipe, sign)
    except BlockingIOError:
        return
    except BrokenPipeError:
        # The supervisor has gone, and so will this process.
        os.close(_pipe)
        _pipe = None
