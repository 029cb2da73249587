"""What the stand-in's bars look like once a source has made a frame of them."""

from __future__ import annotations

from datetime import date

import pandas as pd

from tests.sources.standin import StandIn


def expected_bars(
    standin: StandIn, symbol: str, start: date | None = None, end: date | None = None, *, lots: bool = False
) -> pd.DataFrame:
    """Return the bars in canonical columns; ``lots``: volumes cut to whole lots, as some sources send them."""
    bars = standin.market.bars(symbol, start, end)
    return pd.DataFrame(
        {
            "date": pd.to_datetime([bar.day for bar in bars]).astype("datetime64[s]"),
            **{name: [getattr(bar, name) / 100 for bar in bars] for name in ("open", "high", "low", "close")},
            "volume": [bar.volume // 100 * 100 if lots else bar.volume for bar in bars],
            "amount": [bar.amount for bar in bars],
        }
    )


def same_bars(found: pd.DataFrame, expected: pd.DataFrame, *, amount_step: float = 0.01) -> bool:
    """Say whether two frames hold the same bars; raises AssertionError where they do not."""
    pd.testing.assert_frame_equal(
        found.drop(columns="amount"), expected.drop(columns="amount"), check_dtype=False, rtol=0, atol=1e-9
    )
    assert ((found["amount"] - expected["amount"]).abs() <= amount_step).all()
    return True
