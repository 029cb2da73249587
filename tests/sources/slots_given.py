"""The slots that processes were given, from what they log at the level DEBUG: exact, whatever the machine's load."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

_SLOT = re.compile(r"(\w+): a slot at (\d{4}-\S+T\S+)")


def slots_in(logs: Sequence[Path], source: str) -> list[float]:
    """Return when ``source`` might be asked, in seconds since the epoch, in order."""
    return sorted(slot for log in logs for slot in slots_of(log.read_text(errors="replace"), source))


def slots_of(log: str, source: str) -> list[float]:
    """Return when ``source`` might be asked, in the order in which the slots were given."""
    return [datetime.fromisoformat(moment).timestamp() for name, moment in _SLOT.findall(log) if name == source]


def shortest_gap(moments: Sequence[float]) -> float:
    return min(after - before for before, after in pairwise(moments))


def most_in_a_window(moments: Sequence[float], seconds: float) -> int:
    """Return the largest number of ``moments`` (in order) within any window of so many seconds."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
