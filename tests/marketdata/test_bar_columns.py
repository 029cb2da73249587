from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from marketdata.bar_columns import compare, empty, from_frame, iso_dates
from tests.marketdata.bars import bars

FIRST = date(2024, 1, 1)
# A stock's closing price on each of a few days, or none.
PRICES = st.dictionaries(st.integers(0, 12), st.sampled_from([10.0, 10.01, 11.0]))


def columns(prices: dict[int, float]):
    days = sorted(prices)
    frame = bars([FIRST + timedelta(days=day) for day in days])
    return from_frame(frame.assign(close=[prices[day] for day in days]))


@given(PRICES, PRICES)
def test_each_offered_bar_is_new_changed_or_the_same(stored: dict[int, float], offered: dict[int, float]) -> None:
    found = compare(columns(stored), columns(offered))
    days = sorted(offered)
    assert found.new.tolist() == [day not in stored for day in days]
    assert found.changed.tolist() == [day in stored and stored[day] != offered[day] for day in days]
    assert found.inserted_count == sum(found.new)
    assert found.changed_count == sum(found.changed)


def test_a_frame_without_rows_or_columns_has_no_bars() -> None:
    assert len(from_frame(pd.DataFrame())) == len(from_frame(bars([]))) == len(empty()) == 0


def test_any_unit_of_dates_and_python_dates_are_taken() -> None:
    expected = from_frame(bars(["2024-01-02"])).days
    for dtype in ("datetime64[s]", "datetime64[ms]", "datetime64[us]", "datetime64[ns]"):
        frame = bars(["2024-01-02"])
        assert (from_frame(frame.assign(date=frame["date"].astype(dtype))).days == expected).all()
    objects = bars(["2024-01-02"]).assign(date=pd.Series([date(2024, 1, 2)], dtype=object))
    assert (from_frame(objects).days == expected).all()


@given(st.lists(st.dates(date(1985, 1, 1), date(2065, 12, 31)), unique=True).map(sorted))
def test_dates_are_written_as_iso_texts_inside_and_outside_the_table(days: list[date]) -> None:
    assert iso_dates(np.array(days, "datetime64[D]")) == [day.isoformat() for day in days]
