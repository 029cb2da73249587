"""Bars with something wrong in them, on request."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, timedelta

from tests.sources.standin.bars import Market, StandInBar

# What stands for "not a number" on the way to a page.
NOT_A_NUMBER = -1


def faulty_bars(
    market: Market, symbol: str, start: date | None, end: date | None, faults: Collection[str]
) -> Sequence[StandInBar]:
    """Return the bars of ``symbol``, with the data faults that are asked for."""
    asked = _another(market, symbol) if "wrong_symbol" in faults else symbol
    bars = list(market.bars(asked, start, end))
    if not bars or "null" in faults:
        return [] if "null" in faults else bars
    # Near the end, so that a source that sends the whole history has it in the range that is asked for.
    place = len(bars) - 1 - min(len(bars) // 2, 20)
    if "future_day" in faults:
        bars.append(replace(bars[-1], day=market.until + timedelta(days=400)))
    if "weekend_day" in faults:
        saturday = bars[-1].day - timedelta(days=bars[-1].day.weekday() + 2)
        # Not the same numbers as any other day's: AKShare drops rows that repeat one.
        extra = replace(bars[-1], day=saturday, volume=bars[-1].volume + 100, amount=bars[-1].amount + bars[-1].close)
        bars = sorted([*bars, extra], key=lambda bar: bar.day)
    if "high_below_low" in faults:
        bars[place] = replace(bars[place], high=bars[place].low - 1)
    if "nan" in faults:
        bars[place] = replace(bars[place], close=NOT_A_NUMBER)
    if "duplicate_days" in faults:
        # The same day twice with different prices: nothing says which one is right.
        twin = bars[place]
        bars.insert(place, replace(twin, high=twin.high + 1))
    if "lots" in faults:
        bars = [replace(bar, volume=max(1, bar.volume // 100)) for bar in bars]
    if "adjusted" in faults:
        bars = [_scaled(bar, 0.7) for bar in bars]
    return bars


def _another(market: Market, symbol: str) -> str:
    symbols = [other for other in market.listed() if other[-2:] == symbol[-2:] and other != symbol]
    return symbols[0]


def _scaled(bar: StandInBar, factor: float) -> StandInBar:
    prices = {name: round(getattr(bar, name) * factor) for name in ("open", "high", "low", "close")}
    return replace(bar, **prices)
