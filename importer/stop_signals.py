"""SIGTERM and Ctrl-C for a process that looks after others: remembered, and acted upon outside the handler."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence


class StopSignals:
    """Counts the signals that ask to stop: at the first everybody may finish, at the second nobody is waited for.

    Made in the main thread, once in a process. ``on_signal`` is called inside the handler.
    """

    def __init__(self, signums: Sequence[int], on_signal: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self._on_signal = on_signal
        self._wake, write_end = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(write_end, False)
        # The interpreter writes a byte when a signal comes, so that a wait ends at once.
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_let_sleep_on)
        for signum in signums:
            # nohup has the hang-up ignored, and that is what its user wants.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, self.receive)

    def receive(self, _signum: int, _frame: object) -> None:
        """The handler."""
        self.count += 1
        self._on_signal()

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` pass, or less when a signal comes."""
        if select.select([self._wake], [], [], max(0.0, seconds))[0]:
            os.read(self._wake, 512)


def _let_sleep_on() -> None:
    # The signals of a child are its own business.
    signal.set_wakeup_fd(-1)
