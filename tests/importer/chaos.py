"""An import while processes are killed at random: what it takes to set up, disturb, watch and judge."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from tests.importer.processes import Installation, Process, wait_until

# Each death costs a lease and the start of processes, which a busy machine makes long.
IMPORT_PATIENCE = 600.0


def seed() -> int:
    """Return the seed of this run and print it: BARVAULT_TEST_CHAOS_SEED repeats a run."""
    chosen = int(os.environ.get("BARVAULT_TEST_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"chaos seed: {chosen} (BARVAULT_TEST_CHAOS_SEED repeats it)")  # noqa: T201
    return chosen


@dataclass(frozen=True)
class Look:
    """What a poller saw: the oldest task's progress, and the stocks that all tasks have finished.

    ``is_due``: some task waits for its turn, or runs and nobody wants it to stop; stocks are to be finished.
    """

    at: float
    progress: int
    finished: int
    is_due: bool


@dataclass
class Watcher:
    """Polls the tables as a page would, and keeps what it saw."""

    installation: Installation
    seen: list[Look] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watcher:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            progress, finished, due = self.installation.sql(
                "SELECT (SELECT progress FROM importer_importtask ORDER BY created_at LIMIT 1), "
                "(SELECT SUM(cursor) FROM importer_importchunk), "
                "(SELECT COUNT(*) FROM importer_importtask WHERE status = 'pending' "
                "OR (status = 'running' AND requested_action NOT IN ('pause', 'cancel')))"
            )[0]
            if progress is not None:
                self.seen.append(Look(time.monotonic(), progress, int(finished or 0), bool(due)))

    def never_went_back(self) -> bool:
        progress = [look.progress for look in self.seen]
        return progress == sorted(progress)

    def longest_standstill(self, since: float = 0.0, *, until_now: bool = False) -> float:
        """Return the longest time in seconds from one finished stock to the next, from ``since`` on.

        Of whichever task, and without the time in which none was to be finished: somebody had asked for a pause.
        ``until_now``: the time after the last finished stock counts, too.
        """
        looks = list(self.seen)
        if until_now and looks:
            looks.append(replace(looks[-1], at=time.monotonic()))
        longest = still = 0.0
        for before, after in pairwise(looks):
            if before.is_due:
                still += max(0.0, after.at - max(before.at, since))
                longest = max(longest, still)
            if after.finished != before.finished:
                still = 0.0
        return longest


def ask_for_import(installation: Installation, *options: str) -> None:
    """Make the task, as a user does; whatever cluster is there starts it."""
    installation.manage("import_bars", "--detach", *options, check=False)
    assert installation.sql("SELECT COUNT(*) FROM importer_importtask")[0][0] == 1


def status_of(installation: Installation) -> str:
    return str(installation.sql("SELECT status FROM importer_importtask ORDER BY created_at")[0][0])


def has_ended(installation: Installation) -> bool:
    return status_of(installation) in ("completed", "failed", "cancelled")


def wait_for_end(installation: Installation) -> None:
    wait_until(lambda: has_ended(installation), "the import has ended", patience=IMPORT_PATIENCE)


def wait_for_all_ends(installation: Installation, *, meanwhile: Callable[[], None]) -> None:
    active = "SELECT 1 FROM importer_importtask WHERE status IN ('pending', 'running', 'paused')"

    def all_ended() -> bool:
        meanwhile()
        return not installation.sql(active)

    wait_until(all_ended, "every task has ended", patience=IMPORT_PATIENCE)


def stocks_done(installation: Installation) -> int:
    return int(installation.sql("SELECT COALESCE(SUM(cursor), 0) FROM importer_importchunk")[0][0])


def victims(installation: Installation, role: str) -> Sequence[Process]:
    if role == "group":
        return installation.processes()
    if role == "lock holder":
        return [process for process in installation.processes("idle") if process.reads_the_queue]
    found = installation.processes(role)
    return found[:1] if role in ("busy", "idle") else found


def kill(installation: Installation, role: str) -> bool:
    """Kill a process of ``role`` (all of them for "group") with SIGKILL; False when there is none now.

    When it returns they are gone: whoever looks next who has to be started again must not see one that is dying.
    """
    found = victims(installation, role)
    for process in found:
        process.kill()
    wait_until(lambda: not any(process.is_there for process in found), f"{role} is gone")
    return bool(found)


def assert_same_as_undisturbed(disturbed: Installation, undisturbed: Installation) -> None:
    """Compare the hash over all bars, summaries, invariants and failures of two installations."""
    assert status_of(disturbed) == "completed", disturbed.sql("SELECT status, message_id FROM importer_importtask")
    assert disturbed.sql("SELECT symbol, code, reason_values FROM importer_failure") == []
    assert bars_hash(disturbed) == bars_hash(undisturbed)
    assert wrong_tables(disturbed) == ""
    totals = "SELECT total, done, failed, skipped FROM importer_importtask ORDER BY created_at LIMIT 1"
    assert disturbed.sql(totals) == undisturbed.sql(totals)


def bars_hash(installation: Installation) -> str:
    return run_python(installation, "from marketdata.store import bars_hash; print(bars_hash())")


def wrong_tables(installation: Installation) -> str:
    """Return what is wrong with summaries and invariants, as text; empty when all is well."""
    return run_python(
        installation,
        "from marketdata.store import verify_summaries; from importer.invariants import violations; "
        "print(*map(str, [*verify_summaries(), *violations()]))",
    )


def run_python(installation: Installation, code: str) -> str:
    done = installation.manage("shell", "--no-imports", "-c", code)
    return done.stdout.strip()


def repeatedly(act: Callable[[], bool], *, times: int, pause: Callable[[], float], while_: Callable[[], bool]) -> int:
    """Call ``act`` up to ``times`` times with pauses while ``while_`` holds; return how often it did something."""
    acted = 0
    for _time in range(times):
        time.sleep(pause())
        if not while_():
            break
        acted += act()
    if not acted:
        pytest.fail("Nothing was disturbed: the import ended before anything could be killed.")
    return acted
