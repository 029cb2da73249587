"""The flag that tells every process of a cluster to stop: shared memory without a lock.

It is made at import, before the cluster forks, so that all children see the same byte. A lock could be held
by a process that was killed; one byte cannot.
"""

from __future__ import annotations

from multiprocessing.sharedctypes import RawValue

_flag = RawValue("b", 0)


def stop_requested() -> bool:
    """Say whether this process was asked to stop: lanes yield, and no new request is sent."""
    return bool(_flag.value)


def request_stop() -> None:
    """Ask this process, and those it forked after importing this module, to stop. Safe in a signal handler."""
    _flag.value = 1


def reset() -> None:
    """Take the request back: a new cluster starts in this process."""
    _flag.value = 0
