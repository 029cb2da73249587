"""No process outlives the one that made it, and a signal to a group reaches only its first process.

Linux kills a child when its parent dies (the death signal). Elsewhere each child looks once a second
whether it still has the parent it was born with.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_ORPHAN_STATUS = 70
_LOOK_EVERY = 1.0

# Loaded before any fork: a child that has just been forked must not load libraries.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_forking_pid = 0


def die_with_parent(parent_pid: int) -> None:
    """Make the kernel (or, without a death signal, a thread) end this process when ``parent_pid`` ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(parent_pid,), name="parent-watch", daemon=True).start()
    # The parent may have died before the line above: then no signal will come.
    if os.getppid() != parent_pid:
        os._exit(_ORPHAN_STATUS)


def make_forks_die_with_parent() -> None:
    """From now on each process that this one forks, and theirs, dies with its parent and has its own group.

    A group of its own, because a signal to the whole group (Ctrl-C, ``kill -- -pgid``) would end workers in
    the middle of their work before the main process could ask them to yield.
    """
    os.register_at_fork(before=_remember_forking_pid, after_in_child=_after_fork_in_child)


def name_process(name: str) -> None:
    """Set the name that ``ps -o comm`` and ``top`` show (at most 15 bytes; Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def is_alive(pid: int) -> bool:
    """Say whether there is a process with this id (one that ended and was not yet waited for counts)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def reap_adopted(own_children: frozenset[int]) -> None:
    """As process 1 of a container: clear away processes that ended after their own parent had died."""
    if os.getpid() != 1 or not hasattr(os, "waitid"):
        return
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        # A child of our own stays: whoever started it wants its exit status.
        if ended is None or ended.si_pid in own_children:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def _remember_forking_pid() -> None:
    global _forking_pid
    _forking_pid = os.getpid()


def _after_fork_in_child() -> None:
    os.setpgid(0, 0)
    die_with_parent(_forking_pid)


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_LOOK_EVERY)
    os._exit(_ORPHAN_STATUS)
