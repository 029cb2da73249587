"""What ``serve`` costs while there is nothing to do: the time of the processor, and the memory of each process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import CannotMeasure, Figure, Run, benchmark
from benchmarks.installations import Installation

WORKERS = 2
_TICKS = os.sysconf("SC_CLK_TCK")


@benchmark("idle", "serve with nothing to do: share of a core, and memory")
def idle(run: Run) -> Iterator[Figure]:
    if not Path("/proc/self/smaps_rollup").exists():
        raise CannotMeasure("Needs Linux: processes are looked up in /proc.")
    settle, watched = (2, 3) if run.quick else (20, 60)
    with Installation(run.folder / "var") as installation:
        installation.start_serve(WORKERS)
        time.sleep(settle)
        before, began = _cpu_seconds(installation), time.monotonic()
        time.sleep(watched)
        used, passed = _cpu_seconds(installation), time.monotonic() - began
        share = 100 * sum(used[pid] - before.get(pid, 0.0) for pid in used) / passed
        memory = {pid: _memory_mb(pid) for pid in used}
        names = {pid: _name(pid) for pid in used}
    yield Figure("serve_idle_cpu", share, "% core", 2, "<=", f"{len(used)} processes in {passed:.0f} s")
    each = ", ".join(f"{names[pid]} {memory[pid][1]:.0f}" for pid in sorted(memory))
    yield Figure(
        "serve_largest_process",
        max(resident for resident, _own in memory.values()),
        "MB",
        300,
        "<=",
        f"resident; shared pages split, {sum(own for _resident, own in memory.values()):.0f} MB together: {each}",
    )


def _cpu_seconds(installation: Installation) -> dict[int, float]:
    """Return the processor time of each process so far, by its id."""
    found = {}
    for pid in installation.process_ids():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[pid] = (int(fields[11]) + int(fields[12])) / _TICKS
    return found


def _memory_mb(pid: int) -> tuple[float, float]:
    """Return the resident and the proportional memory of a process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    sizes = {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines}
    return sizes["Rss"], sizes["Pss"]


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip().removeprefix("bv-")
