"""What one process remembers between two writes to SourceState: answers not yet written, and the probe it was given."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime

# Answers of a source without a pace, which may come by the hundred a second, are written so often.
WRITE_UNPACED_EVERY = 5.0


@dataclass(frozen=True)
class _Probe:
    """``until`` equals SourceState.probe_until as long as the probe is this process's."""

    until: datetime
    thread: object
    sent: bool = False


class _ThreadMark(threading.local):
    """An object that is this thread's alone; thread numbers are used again when a thread ends."""

    def __init__(self) -> None:
        self.mark = object()


_this_thread = _ThreadMark()


class PaceMemory:
    """Safe for the threads of one process; a forked child starts with an empty one."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._successes: dict[str, int] = {}
        self._written_at: dict[str, float] = {}
        self._unwell: set[str] = set()
        self._probes: dict[str, _Probe] = {}

    def count_success(self, source: str, *, paced: bool) -> bool:
        """Count an answer; say whether it has to be written at once: where it ends a series of refusals."""
        with self._lock:
            self._successes[source] = self._successes.get(source, 0) + 1
            if paced:
                return source in self._unwell
            return time.monotonic() - self._written_at.get(source, 0.0) > WRITE_UNPACED_EVERY

    def take_successes(self, source: str) -> int:
        """Return the answers that are not written yet, to be written now."""
        with self._lock:
            self._written_at[source] = time.monotonic()
            return self._successes.pop(source, 0)

    def sources_with_successes(self) -> list[str]:
        with self._lock:
            return list(self._successes)

    def note(self, source: str, *, well: bool) -> None:
        """Remember whether the source was well when its row was last seen."""
        with self._lock:
            (self._unwell.discard if well else self._unwell.add)(source)

    def claim_probe(self, source: str, until: datetime) -> None:
        """Remember that this thread was chosen to send the probe."""
        with self._lock:
            self._probes[source] = _Probe(until, _this_thread.mark)
            self._unwell.add(source)

    def may_send_probe(self, source: str, until: datetime | None, *, this_thread: bool = False) -> bool:
        """Say whether the probe is this process's (or this thread's) and not sent yet."""
        with self._lock:
            probe = self._probes.get(source)
            if probe is None or probe.until != until or probe.sent:
                return False
            return not this_thread or probe.thread is _this_thread.mark

    def probe_is_ours(self, source: str, until: datetime | None) -> bool:
        """Say whether the probe is this process's, sent or not."""
        with self._lock:
            probe = self._probes.get(source)
            return probe is not None and probe.until == until

    def probe_sent(self, source: str) -> None:
        with self._lock:
            probe = self._probes.get(source)
            if probe is not None:
                self._probes[source] = replace(probe, sent=True)

    def probe_answered(self, source: str) -> None:
        with self._lock:
            self._probes.pop(source, None)


memory = PaceMemory()
os.register_at_fork(after_in_child=memory.forget)
