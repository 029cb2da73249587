"""Weekly and monthly bars out of daily ones, by the exchange's calendar. Pure but for the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd
from django.utils import timezone

from marketdata.given_days import GivenDay, parse_bound
from marketdata.trading_days import known_calendar, newest_finished_day

Period = Literal["weekly", "monthly"]

_HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "amount": "sum"}


def resample(bars: pd.DataFrame, period: Period, *, until: GivenDay | None = None) -> pd.DataFrame:
    """Return weekly or monthly bars of a frame as ``load_bars`` returns it, raw or adjusted.

    Open of the first day, highest high, lowest low, close of the last day, sums of volume and amount. The index is the
    period's last trading day at the exchange, whether the stock traded on it or not, so that stocks can be joined;
    that of the running period is ``until`` (None: the newest finished day, for bars as of a day the one of then). A
    period without a bar has no row.
    ``attrs`` are kept. Weeks begin on Monday. Raises ValueError for another period or a frame that is no stock's.
    """
    if period not in ("weekly", "monthly"):
        raise ValueError(f"period is weekly or monthly, not {period}")
    if not isinstance(bars.index, pd.DatetimeIndex) or not set(bars.columns) <= set(_HOW):
        raise ValueError("resample takes the bars of one stock, as load_bars returns them")
    days = bars.index.to_numpy().astype("datetime64[D]")
    firsts = _first_days(days, period)
    grouped = bars.groupby(firsts, sort=True)
    found = grouped.agg({name: _HOW[name] for name in bars.columns})
    starts = [start.date() for start in found.index]
    labels = _last_trading_days(starts, period, parse_bound(until) or _newest_day(bars))
    # A bar of a later day than the newest finished one is there all the same.
    last_bars = [day.date() for day in grouped.apply(lambda each: each.index[-1])] if starts else []
    labels = [max(pair) for pair in zip(labels, last_bars, strict=True)]
    found.index = pd.DatetimeIndex(labels, name="date").astype(bars.index.dtype)
    found.attrs = {**bars.attrs, "period": period}
    return found


def _newest_day(bars: pd.DataFrame) -> date:
    newest, as_of = newest_finished_day(timezone.now()), parse_bound(bars.attrs.get("as_of"))
    if as_of is None or newest <= as_of:
        return newest
    # The days after it do not exist for these bars: a week that was running then has not ended.
    return known_calendar().last_before(as_of + timedelta(days=1)) or as_of


def _first_days(days: np.ndarray[tuple[int], np.dtype[np.datetime64]], period: Period) -> pd.DatetimeIndex:
    if period == "monthly":
        return pd.DatetimeIndex(days.astype("datetime64[M]").astype("datetime64[us]"))
    # 1970-01-01 was a Thursday.
    weekday = (days.astype(np.int64) + 3) % 7
    return pd.DatetimeIndex((days - weekday).astype("datetime64[us]"))


def _last_trading_days(starts: Sequence[date], period: Period, until: date) -> list[date]:
    calendar = known_calendar()
    found = []
    for start in starts:
        following = start + timedelta(days=7) if period == "weekly" else (start + timedelta(days=31)).replace(day=1)
        last = calendar.last_before(following) or start
        found.append(until if start <= until < last else last)
    return found
