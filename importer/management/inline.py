"""``--inline``: the work is done in a thread of this process, while the main thread shows it and hears Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from django.db import connections
from django.utils.translation import gettext as _

from importer import stopping
from importer.management.base import Exit
from importer.management.display import Display
from importer.models import ImportTask
from importer.run import follow_inline
from importer.task_requests import Submission

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InlineWork:
    """The work on a submitted task, as a context: signals are ours in it, and the thread has ended after it.

    The first Ctrl-C or SIGTERM asks the lane to yield, which takes at most as long as a request; the second ends
    the process at once, which loses nothing: what was stored was stored whole.
    """

    def __init__(self, submission: Submission, display: Display) -> None:
        self._submission = submission
        self._display = display
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inline")
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        stopping.reset()
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._asked_to_stop) for number in SIGNALS}
        self._future = self._executor.submit(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None:
            stopping.request_stop()
        self._executor.shutdown(wait=True)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        stopping.reset()

    def has_ended(self) -> bool:
        return self._future.done()

    def raise_error(self) -> None:
        """Raise what the work raised, if it did."""
        self._future.result()

    def _run(self) -> ImportTask:
        try:
            return follow_inline(self._submission)
        finally:
            connections.close_all()

    def _asked_to_stop(self, _number: int, _frame: object) -> None:
        if stopping.stop_requested():
            sys.stdout.flush()
            os._exit(Exit.DETACHED)
        stopping.request_stop()
        self._display.say(_("Stopping after the present stock (once more: at once)."))
