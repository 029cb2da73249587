"""What bounds a fetch: a wall-clock deadline, and whether it has to give way.

A lane sets the context in the thread that asks a source; the gate looks at it before each request and while an
answer arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from importer.exceptions import StopRequested


@dataclass(frozen=True)
class FetchContext:
    """``deadline`` is a ``time.monotonic()`` value; ``should_stop`` is cheap and may be called often."""

    deadline: float
    should_stop: Callable[[], bool]

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()

    def raise_if_stopping(self) -> None:
        """Raise StopRequested when the lane has to give way."""
        if self.should_stop():
            raise StopRequested


_context: ContextVar[FetchContext | None] = ContextVar("fetch_context", default=None)


def current_context() -> FetchContext | None:
    """Return the context of the fetch that runs in this thread, if one does."""
    return _context.get()


@contextmanager
def fetching(context: FetchContext) -> Iterator[None]:
    """Make ``context`` the current one inside the block."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)
