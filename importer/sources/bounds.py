"""The bounds of one request: an end by the wall clock, and a look whether to give way while an answer arrives.

A time limit of ``requests`` is per read: an answer that comes byte by byte outlives it. So the sockets of the gate
read in short steps and look at the request's bounds between them.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from importer.exceptions import StopRequested

LOOK_EVERY = 0.25


class OutOfTime(Exception):
    """The request's time is over. Derives from nothing that requests, urllib3 or AKShare catches or renames."""


class BrokenOff(EOFError):
    """The other side closed the connection in the middle of its answer."""


def _no_slot() -> None:
    """For what is not paced."""


@dataclass
class Bounds:
    """``deadline`` is a ``time.monotonic()`` value, never after ``latest``; ``limit`` the seconds that the request
    had in all. ``sent``: the connection stands, and the request was written. ``half_way``: the answer only says where
    to ask instead.
    """

    deadline: float
    limit: float
    should_stop: Callable[[], bool]
    latest: float = math.inf
    keep_slot: Callable[[], None] = _no_slot
    sent: bool = False
    half_way: bool = False

    def before_sending(self) -> None:
        """To be called when the connection is ready, right before the request is written.

        Getting there may have taken so long that the request would come too near the next one: then this returns
        in another slot, and the time that it waited does not count.
        """
        began = time.monotonic()
        self.keep_slot()
        self.deadline = min(self.deadline + time.monotonic() - began, self.latest)
        self.sent = True

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    def check(self) -> float:
        """Return the seconds that are left. Raises OutOfTime or StopRequested."""
        if self.should_stop():
            raise StopRequested
        left = self.seconds_left()
        if left <= 0:
            raise OutOfTime
        return left


_bounds: ContextVar[Bounds | None] = ContextVar("request_bounds", default=None)


def current_bounds() -> Bounds | None:
    """Return the bounds of the request that runs in this thread, if one does."""
    return _bounds.get()


@contextmanager
def bounded(bounds: Bounds) -> Iterator[None]:
    """Let the gate's sockets keep ``bounds`` in this thread, inside the block."""
    token = _bounds.set(bounds)
    try:
        yield
    finally:
        _bounds.reset(token)


class BoundedSocket(ssl.SSLSocket):
    """A TLS socket that reads in short steps while a request has bounds.

    To wait until it is readable would not do: what arrives may be a message of TLS itself, and no data follow.
    """

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        bounds = _bounds.get()
        if bounds is None:
            return super().recv_into(buffer, nbytes, flags)
        while True:
            left = bounds.check()
            self.settimeout(min(LOOK_EVERY, left))
            try:
                count = super().recv_into(buffer, nbytes, flags)
            except TimeoutError:
                continue
            # The next request on this connection begins with a write.
            self.settimeout(max(left, LOOK_EVERY))
            return count
