"""What a process that ``serve`` started agrees on with it: to die with it, and to say when it is ready."""

from __future__ import annotations

import os
from collections.abc import Mapping

from importer.parents import die_with_parent

_PARENT = "BARVAULT_SUPERVISOR_PID"
_READY = "BARVAULT_READY_FD"


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
    ready_fd = os.environ.pop(_READY, None)
    if ready_fd is None:
        return
    try:
        os.write(int(ready_fd), b"1")
    except BrokenPipeError:
        # The supervisor does not wait any longer; nobody else wants to know.
        return
    finally:
        os.close(int(ready_fd))
