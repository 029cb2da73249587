"""Are these volumes shares or lots? The rows themselves say: on raw bars amount / shares lies within low..high."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from importer.sources.rows import Precision, amount_fits, read_rows

# So many rows have to agree before the rows are believed rather than what is known of the source.
CLEAR_SHARE = 0.9


def shares_factor(bars: pd.DataFrame, expected: float, others: Sequence[float]) -> float:
    """Return by what the volumes of raw ``bars`` (columns of BAR_COLUMNS) have to be multiplied to be shares.

    ``expected`` is what is known of the source, and stays unless nearly all rows contradict it and nearly all agree
    with one of ``others``. Rows that agree with nothing are left to validation.
    """
    traded = bars[(bars["volume"] > 0) & (bars["amount"] > 0)]
    if traded.empty:
        return expected
    fits = {factor: _share_that_fits(traded, factor) for factor in (expected, *others)}
    if fits[expected] > 1 - CLEAR_SHARE:
        return expected
    best = max(others, key=lambda factor: fits[factor], default=expected)
    return best if fits[best] >= CLEAR_SHARE else expected


def _share_that_fits(traded: pd.DataFrame, factor: float) -> float:
    rows = read_rows(traded.assign(volume=traded["volume"] * factor))
    return float(amount_fits(rows, Precision(volume_step=100, amount_step=100)).mean())
