"""Is the cluster stuck, and how long to wait before it is started again: decisions, no processes.

django-q2's own guard sees only processes that ended. What it does not see: a worker that was killed while it
held the lock of the queue (nobody gets a message any more), a monitor that waits for the lock of a dead one,
a Sentinel that waits for a dead worker. Each of these shows as 'handed over, and nobody took it'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from importer.cluster_signs import Reading


class Symptom(StrEnum):
    """What is wrong, as the end of a log line."""

    SENTINEL_DEAD = "its Sentinel died"
    SENTINEL_STARTS = "its Sentinel does not get going"
    SENTINEL_SILENT = "its Sentinel gives no sign of life"
    QUEUE_STUCK = "a message waits and an idle worker does not take it"
    RESULTS_STUCK = "a result waits and the monitor does not take it"
    RESULTS_UNSAVED = "the monitor does not get a result saved"
    PUSHER_STARTS = "its pusher does not get going"
    PUSHER_SILENT = "its pusher waits for the broker and gets no answer"


# Seconds. The database may keep a process waiting for 60 s (SQLite's busy timeout): that is not being stuck.
PATIENCE: Mapping[Symptom, float] = {
    Symptom.SENTINEL_DEAD: 0.0,
    Symptom.SENTINEL_STARTS: 15.0,
    Symptom.SENTINEL_SILENT: 5.0,
    Symptom.QUEUE_STUCK: 5.0,
    Symptom.RESULTS_STUCK: 5.0,
    Symptom.RESULTS_UNSAVED: 90.0,
    Symptom.PUSHER_STARTS: 15.0,
    Symptom.PUSHER_SILENT: 90.0,
}
# A main process that was itself held up (a suspended laptop, a machine under load) judges nobody for that time.
_LONGEST_STEP = 1.0

_DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
CRASH_LOOP = 5
CALM = 60.0


def symptoms(reading: Reading) -> dict[Symptom, float]:
    """Return what looks wrong at this moment, each with the cell that would change if it were well."""
    found: dict[Symptom, float] = {}
    found[Symptom.SENTINEL_SILENT if reading.sentinel_at else Symptom.SENTINEL_STARTS] = reading.sentinel_at
    if not reading.pusher_at:
        found[Symptom.PUSHER_STARTS] = 0.0
    elif reading.pusher_asks:
        found[Symptom.PUSHER_SILENT] = reading.pusher_at
    if reading.delivered_at > reading.started_at and reading.idle_workers:
        found[Symptom.QUEUE_STUCK] = reading.started_at
    if reading.finished_at > reading.accounted_at:
        waiting = Symptom.RESULTS_UNSAVED if reading.monitor_saves else Symptom.RESULTS_STUCK
        found[waiting] = reading.accounted_at
    return found


class Watch:
    """Says a cluster is stuck when a symptom lasted, unchanged, for longer than the patience for it."""

    def __init__(self) -> None:
        self._clock = 0.0
        self._seen: dict[Symptom, tuple[float, float]] = {}

    def look(self, reading: Reading, elapsed: float) -> Symptom | None:
        """Judge a reading that was taken ``elapsed`` seconds after the one before."""
        self._clock += min(elapsed, _LONGEST_STEP)
        present = symptoms(reading)
        self._seen = {
            symptom: self._seen[symptom]
            if symptom in self._seen and self._seen[symptom][0] == evidence
            else (evidence, self._clock)
            for symptom, evidence in present.items()
        }
        for symptom, (_evidence, since) in self._seen.items():
            if self._clock - since >= PATIENCE[symptom]:
                return symptom
        return None


class Pulse:
    """Says that a process hangs: it has given no sign of life for longer than the patience with it.

    ``first``: seconds until its first sign, ``after``: between two. Only time in which the watching process could look
    counts.
    """

    def __init__(self, first: float = 120.0, after: float = 8.0) -> None:
        self._patience = first
        self._after = after
        self._silent_for = 0.0

    def has_stopped(self, *, heard: bool, elapsed: float) -> bool:
        """Judge what was ``heard`` in the ``elapsed`` seconds since the last look."""
        if heard:
            self._patience = self._after
            self._silent_for = 0.0
            return False
        self._silent_for += min(elapsed, _LONGEST_STEP)
        return self._silent_for > self._patience


@dataclass(frozen=True)
class RestartHistory:
    """How often in a row the cluster had to be restarted with nothing to show for it."""

    fruitless: int = 0

    def after_run(self, *, progressed: bool, lasted: float) -> RestartHistory:
        """Count a run that ended badly: one that stored something, or lasted for a minute, starts the count anew."""
        return RestartHistory(1 if progressed or lasted >= CALM else self.fruitless + 1)

    @property
    def delay(self) -> float:
        """Seconds to wait before the next start."""
        return _DELAYS[min(self.fruitless, len(_DELAYS)) - 1] if self.fruitless else 0.0

    @property
    def is_crash_loop(self) -> bool:
        return self.fruitless >= CRASH_LOOP
