"""Weekly and monthly bars, by the exchange's calendar."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.resampling import resample
from marketdata.trading_days import installed_calendar

pytestmark = pytest.mark.django_db

UNTIL = date(2024, 12, 31)
# The week of Qingming: Thursday and Friday are holidays.
APRIL = ["2024-04-01", "2024-04-02", "2024-04-03", "2024-04-08", "2024-04-09"]


def daily(days: list[str]) -> pd.DataFrame:
    close = np.arange(10.0, 10.0 + len(days))
    frame = pd.DataFrame(
        {"open": close - 0.5, "high": close + 1, "low": close - 1, "close": close, "volume": 100, "amount": 1000.0},
        index=pd.DatetimeIndex(days, name="date").astype("datetime64[us]"),
    )
    frame.attrs = {"symbol": "600519.SH", "adjust": "none"}
    return frame


def labels(frame: pd.DataFrame) -> list[str]:
    return [str(day.date()) for day in frame.index]


def test_a_week_is_its_first_open_its_extremes_its_last_close_and_its_sums() -> None:
    weekly = resample(daily(APRIL), "weekly", until=UNTIL)
    assert weekly.iloc[0].to_dict() == {
        "open": 9.5, "high": 13.0, "low": 9.0, "close": 12.0, "volume": 300, "amount": 3000.0,
    }  # fmt: skip
    assert weekly["volume"].dtype == np.int64
    assert weekly.attrs == {"symbol": "600519.SH", "adjust": "none", "period": "weekly"}


def test_a_week_is_named_by_its_last_trading_day_holidays_and_suspensions_or_not() -> None:
    assert labels(resample(daily(APRIL), "weekly", until=UNTIL)) == ["2024-04-03", "2024-04-12"]


def test_a_month_is_named_by_its_last_trading_day() -> None:
    assert labels(resample(daily(["2024-03-04", *APRIL]), "monthly", until=UNTIL)) == ["2024-03-29", "2024-04-30"]


def test_the_running_period_is_named_by_the_newest_finished_day() -> None:
    assert labels(resample(daily(APRIL), "weekly", until=date(2024, 4, 10))) == ["2024-04-03", "2024-04-10"]
    assert labels(resample(daily(APRIL), "monthly", until=date(2024, 4, 10))) == ["2024-04-10"]


@pytest.mark.parametrize("as_of", ["2024-04-10", "2024-04-12", "2024-04-13"])
def test_as_of_a_day_the_running_week_had_not_ended(as_of: str) -> None:
    frame = daily(APRIL)
    frame.attrs["as_of"] = as_of
    assert labels(resample(frame, "weekly")) == ["2024-04-03", min(as_of, "2024-04-12")]


def test_a_week_without_a_bar_has_no_row() -> None:
    assert len(resample(daily(["2024-04-01", "2024-04-15"]), "weekly", until=UNTIL)) == 2


def test_a_frame_without_bars_stays_one() -> None:
    assert len(resample(daily(APRIL)[:0], "weekly", until=UNTIL)) == 0


@pytest.mark.parametrize("period", ["weekly", "monthly"])
@given(chosen=st.sets(st.integers(0, 240), min_size=1))
def test_nothing_is_lost_and_no_label_is_a_closed_day(period: str, chosen: set[int]) -> None:
    open_days = installed_calendar().between(date(2023, 1, 1), date(2024, 6, 30)).days
    frame = daily([str(open_days[at]) for at in sorted(chosen)])
    found = resample(frame, period, until=UNTIL)  # type: ignore[arg-type]
    assert found["volume"].sum() == frame["volume"].sum()
    assert (found["high"].max(), found["low"].min()) == (frame["high"].max(), frame["low"].min())
    assert found["close"].iloc[-1] == frame["close"].iloc[-1]
    assert found.index.is_monotonic_increasing
    assert {day.date() for day in found.index} <= set(open_days)


def test_another_period_and_a_panel_are_refused() -> None:
    with pytest.raises(ValueError, match="weekly or monthly"):
        resample(daily(APRIL), "yearly")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one stock"):
        resample(daily(APRIL).rename(columns={"close": "600519.SH"}), "weekly")
