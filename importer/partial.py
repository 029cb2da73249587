"""Answers that lack a stretch of days: each bar may be right, and half of the history missing all the same. Pure.

Nobody trades for a while when a stock is suspended, so a stretch without bars is no fault by itself. But a server that
knows the last year only, or a website that sends one year and not the next, looks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from importer.sources.arrays import Dates
from importer.sources.findings import Finding

# A month of trading. Suspensions that last longer have been rare since 2018.
LONG_STRETCH = 20


@dataclass(frozen=True)
class Gap:
    """Trading days of a range of which an answer has no bar, in stretches. ``first`` and ``last`` are of the longest.

    ``leading`` and ``trailing``: that one begins, or ends, with the range.
    """

    days: Dates
    first: date
    last: date
    count: int
    leading: bool
    trailing: bool

    def is_filled_by(self, frame: pd.DataFrame) -> bool:
        """Say whether ``frame`` has a bar of one of these days."""
        return bool(np.isin(_days_of(frame), self.days).any())


def gap_of(
    frame: pd.DataFrame,
    findings: Sequence[Finding],
    start: date | None,
    end: date,
    open_days: Dates | None,
    *,
    shortest: int = LONG_STRETCH,
) -> Gap | None:
    """Return what an answer for ``start`` to ``end`` lacks in stretches of ``shortest`` trading days or more.

    None when it lacks nothing, when the range has no start, or the calendar is not given. A day whose row was refused
    (``findings``) is none that it lacks.
    """
    if start is None or open_days is None:
        return None
    wanted = open_days[(open_days >= np.datetime64(start)) & (open_days <= np.datetime64(end))]
    refused = [np.datetime64(finding.date) for finding in findings if finding.date is not None]
    lacks = ~np.isin(wanted, np.concatenate([_days_of(frame), np.array(refused, "datetime64[D]")]))
    if not lacks.any():
        return None
    edges = np.diff(np.concatenate([[False], lacks, [False]]).astype(np.int8))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = ends - begins >= shortest
    if not long.any():
        return None
    begins, ends = begins[long], ends[long]
    longest = int(np.argmax(ends - begins))
    begin, after = int(begins[longest]), int(ends[longest])
    return Gap(
        days=np.concatenate([wanted[one:other] for one, other in zip(begins, ends, strict=True)]),
        first=wanted[begin].item(),
        last=wanted[after - 1].item(),
        count=after - begin,
        leading=begin == 0,
        trailing=after == len(wanted),
    )


def _days_of(frame: pd.DataFrame) -> Dates:
    days: Dates = frame["date"].to_numpy().astype("datetime64[D]")
    return days
