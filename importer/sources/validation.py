"""Is an answer fit to be stored? Pure: a frame and what was asked for in, the good rows and the findings out.

What is checked, and why with these limits: docs/decisions/004-validation.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from importer.sources.arrays import Dates, Floats, Mask, Places
from importer.sources.base import BAR_COLUMNS
from importer.sources.findings import Finding, describe
from importer.sources.reasons import REASONS
from importer.sources.refusals import adjusted_stretch, columns_missing, refusal
from importer.sources.rows import EXACT, PRICES, Precision, Rows, amount_fits, read_rows

__all__ = [
    "Finding",
    "Precision",
    "Validated",
    "empty_bars",
    "row_faults",
    "sound_rows",
    "to_tick",
    "too_many",
    "validate_bars",
]

# The tick of an A-share, and how far a price may be from one: a float32's rounding at 1,500 yuan.
TICKS_PER_YUAN = 100
TICK_TOLERANCE = 2e-4
HALF_A_TICK = 0.005
# More shares or yuan than any day can see; also what fits into an int64 and is exact in a float64.
LARGEST = 2.0**53
# A few rows that fail are findings; more than these are an answer that is wrong as a whole.
FEW_ROWS = 3
FEW_SHARE = 10

_CANONICAL_TYPES = [np.dtype("datetime64[s]"), *[np.dtype(np.float64)] * 4, np.dtype(np.int64), np.dtype(np.float64)]

# A row's fault is a number, for speed: its code's place here; 0 is none.
CODES: Sequence[str] = ("", *REASONS)
_NUMBER = {code: number for number, code in enumerate(CODES)}
Faults = np.ndarray[Any, np.dtype[np.int8]]


@dataclass(frozen=True)
class Validated:
    """What may be stored, and what may not.

    ``frame``: BAR_COLUMNS; ``date`` datetime64[s] at midnight, sorted, unique; prices float64 in yuan, the nearest
    to a whole tick; ``volume`` int64 in shares; ``amount`` float64 in yuan.
    ``findings``: the rows that failed, by date, with their values. ``suspended`` and ``duplicates`` count rows that
    say nothing: days without a trade, and rows that repeat another one exactly.
    """

    frame: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    suspended: int = 0
    duplicates: int = 0


def validate_bars(
    frame: pd.DataFrame,
    *,
    symbol: str,
    source: str,
    start: date | None,
    end: date | None,
    today: date,
    precision: Precision = EXACT,
    open_days: Dates | None = None,
) -> Validated:
    """Check raw bars of ``symbol``, asked for from ``start`` to ``end`` (None: no bound), as ``source`` sent them.

    ``source`` is its name. ``today`` is the newest day that can have a bar.
    ``precision`` says how coarse the source's volumes and amounts are. ``open_days``: the exchange's days, sorted;
    a bar between its first and last day that is on none of them fails.

    1. Take the columns in their types; rows of days without a trade are counted and dropped.
    2. Name for each row the first check that it fails.
    3. Refuse an answer of which more than a few rows fail, or which is adjusted for a stretch of days.
    4. Sort the rows that passed; rows of one date that differ fail all, rows that repeat one are dropped.

    Raises BadData for an answer that is wrong as a whole, with the explanation that fits.
    """
    if frame.empty:
        return Validated(empty_bars())
    missing = [column for column in BAR_COLUMNS if column not in frame.columns]
    if missing:
        raise columns_missing(missing, symbol=symbol, source=source)
    rows, suspended = _without_suspended(read_rows(frame))
    faults = _faults(rows, start, end, today, precision, open_days)
    good, duplicates = _mark_duplicates(rows, faults)
    bad = np.flatnonzero(faults)
    if too_many(len(bad), len(rows)):
        raise refusal(rows, faults, precision, symbol=symbol, source=source)
    kept = rows.take(good)
    # A day whose average price is too far off belongs to its stretch, if there is one.
    suspects = kept if len(bad) == 0 else rows.take(np.flatnonzero((faults == 0) | (faults == _NUMBER["amount"])))
    if (stretch := adjusted_stretch(suspects, precision, symbol=symbol, source=source)) is not None:
        raise stretch
    findings = [describe(rows, int(at), CODES[faults[at]], symbol=symbol, source=source) for at in bad]
    findings.sort(key=lambda finding: (finding.date or date.min, finding.code))
    if len(kept) == len(frame) and _is_canonical(frame, kept):
        return Validated(frame)
    return Validated(_frame(kept), tuple(findings), suspended, duplicates)


def sound_rows(frame: pd.DataFrame, *, today: date, precision: Precision = EXACT) -> Mask:
    """Return which rows of a frame in BAR_COLUMNS pass every check that a bar has to pass by itself.

    For rows of many stocks, such as a day of the whole market; ``validate_bars`` also looks at what rows say together.
    """
    sound: Mask = _faults(read_rows(frame), None, None, today, precision, None) == 0
    return sound


def row_faults(frame: pd.DataFrame, *, today: date, precision: Precision, open_days: Dates) -> list[str]:
    """Return for each row of one stock's frame in BAR_COLUMNS the msgid of the first check that it fails, else "".

    For rows that are stored already: what ``validate_bars`` would say of each by itself.
    """
    faults = _faults(read_rows(frame), None, None, today, precision, open_days)
    return [REASONS[CODES[fault]] if fault else "" for fault in faults.tolist()]


def too_many(bad: int, total: int) -> bool:
    """Return whether so many rows fail that the others, which passed, cannot be trusted either."""
    return bad * 2 > total or bad > max(FEW_ROWS, total // FEW_SHARE)


def empty_bars() -> pd.DataFrame:
    """Return a canonical frame without rows."""
    nothing = np.empty(0)
    return _frame(Rows(np.empty(0, dtype="datetime64[D]"), nothing, nothing, nothing, nothing, nothing, nothing))


def _without_suspended(rows: Rows) -> tuple[Rows, int]:
    """Drop the days without a trade: no shares, no money, and no price that moved, or nothing at all."""
    # Nearly every answer has none of them, and this is the cheapest way to know.
    if rows.volume.min() > 0:
        return rows, 0
    unmoved = ~(rows.high > rows.low)
    no_money = (rows.amount == 0) | np.isnan(rows.amount)
    blank = np.isnan(rows.volume) & np.isnan(rows.close)
    suspended = ((rows.volume == 0) | blank) & no_money & unmoved
    if not suspended.any():
        return rows, 0
    return rows.take(~suspended), int(suspended.sum())


def _faults(
    rows: Rows, start: date | None, end: date | None, today: date, precision: Precision, open_days: Dates | None
) -> Faults:
    """Return for each row the number of the first check that it fails, 0 for none."""
    faults = np.zeros(len(rows), dtype=np.int8)

    def fail(code: str, failing: Mask) -> None:
        if failing.any():
            faults[failing & (faults == 0)] = _NUMBER[code]

    days = rows.date
    fail("no_date", np.isnat(days))
    fail("future", days > np.datetime64(today))
    if start is not None:
        fail("outside_range", days < np.datetime64(start))
    if end is not None:
        fail("outside_range", days > np.datetime64(end))
    # Day 0 of the epoch was a Thursday.
    fail("weekend", (days.view(np.int64) + 3) % 7 > 4)
    if open_days is not None and len(open_days):
        fail("closed_day", _is_closed(days, open_days))
    with np.errstate(invalid="ignore", over="ignore"):
        fail("not_finite", ~np.isfinite(rows.open + rows.high + rows.low + rows.close + rows.volume + rows.amount))
        lowest = np.minimum(np.minimum(rows.open, rows.close), rows.low)
        highest = np.maximum(np.maximum(rows.open, rows.close), rows.high)
        fail("not_positive", (np.minimum(lowest, rows.high) < HALF_A_TICK) | (rows.volume < 0) | (rows.amount < 0))
        fail("no_volume", rows.volume == 0)
        fail("too_large", np.maximum(rows.volume, rows.amount) > LARGEST)
        fail("not_whole", rows.volume != np.rint(rows.volume))
        fail("high_low", (rows.low > lowest) | (rows.high < highest) | (rows.low > rows.high))
        for name in PRICES:
            price = getattr(rows, name)
            fail("off_tick", np.abs(price - to_tick(price)) > TICK_TOLERANCE)
        fail("amount", ~amount_fits(rows, precision))
    return faults


def _is_closed(days: Dates, open_days: Dates) -> Mask:
    places = np.minimum(np.searchsorted(open_days, days), len(open_days) - 1)
    known = (days >= open_days[0]) & (days <= open_days[-1])
    closed: Mask = known & (open_days[places] != days)
    return closed


def to_tick(prices: Floats) -> Floats:
    """Return the float64 nearest to a whole tick, so that every source's 13.75 is the same number."""
    ticks: Floats = np.rint(prices * TICKS_PER_YUAN) / TICKS_PER_YUAN
    return ticks


def _mark_duplicates(rows: Rows, faults: Faults) -> tuple[Places, int]:
    """Return the places of the rows to keep, by date, and how many exact repeats were dropped.

    Rows of one date that differ are marked as faults: nothing says which one is right.
    """
    good = np.flatnonzero(faults == 0)
    days = rows.date[good]
    steps = np.diff(days.view(np.int64))
    if (steps > 0).all():
        return good, 0
    good = good[np.argsort(days, kind="stable")]
    days = rows.date[good]
    starts = np.flatnonzero(np.append(True, days[1:] != days[:-1]))
    first = good[np.repeat(starts, np.diff(np.append(starts, len(good))))]
    repeats = good != first
    differs = np.zeros(len(good), dtype=bool)
    for name in BAR_COLUMNS[1:]:
        values = getattr(rows, name)
        differs |= values[good] != values[first]
    disputed = np.isin(days, days[differs])
    faults[good[disputed]] = _NUMBER["duplicate"]
    return good[~disputed & ~repeats], int((repeats & ~disputed).sum())


def _is_canonical(frame: pd.DataFrame, rows: Rows) -> bool:
    """Say whether a frame of which every row is kept, in its order, can be handed on as it is."""
    types = frame.dtypes.to_list()
    return (
        tuple(frame.columns) == BAR_COLUMNS
        and types == _CANONICAL_TYPES
        and bool((rows.date[1:] > rows.date[:-1]).all())
        and all(np.array_equal(getattr(rows, name), to_tick(getattr(rows, name))) for name in PRICES)
    )


def _frame(rows: Rows) -> pd.DataFrame:
    columns = {name: to_tick(getattr(rows, name)) for name in PRICES}
    volume = rows.volume.astype(np.int64)
    return pd.DataFrame(
        {"date": rows.date.astype("datetime64[s]"), **columns, "volume": volume, "amount": rows.amount}, copy=False
    )
