from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from importer.sources.base import BAR_COLUMNS, BadData
from importer.sources.rows import Precision
from importer.sources.validation import Validated, empty_bars, validate_bars
from marketdata.trading_days import installed_calendar
from tests.sources.made_bars import bars

TODAY = date(2026, 6, 30)


def validate(frame: pd.DataFrame, **asked: object) -> Validated:
    values = {"symbol": "600519.SH", "source": "files", "start": None, "end": None, "today": TODAY, **asked}
    return validate_bars(frame, **values)


def changed(frame: pd.DataFrame, at: int, **values: object) -> pd.DataFrame:
    frame = frame.copy()
    for name, value in values.items():
        if isinstance(value, float):
            frame[name] = frame[name].astype(float)
        frame.loc[at, name] = value
    return frame


def assert_same(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """To the last bit: tolerance would hide prices that are no whole ticks."""
    assert_frame_equal(first, second, check_exact=True)


def only_finding(result: Validated) -> str:
    (finding,) = result.findings
    return finding.code


def test_raw_bars_pass_as_they_are() -> None:
    frame = bars()
    result = validate(frame)
    assert_same(result.frame, frame)
    assert (result.findings, result.suspended, result.duplicates) == ((), 0, 0)


def test_an_empty_answer_is_an_empty_canonical_frame() -> None:
    assert_same(validate(pd.DataFrame()).frame, bars()[:0].reset_index(drop=True))


def test_other_types_orders_and_more_columns_come_out_canonical() -> None:
    frame = bars()
    other = frame.sort_values("date", ascending=False)[[*reversed(BAR_COLUMNS)]].assign(turnover=0.1)
    other["date"] = other["date"].dt.date
    other["volume"] = other["volume"].astype(float)
    other["close"] = other["close"].astype(str)
    other["amount"] = other["amount"].astype("Float64")
    assert_same(validate(other).frame, frame)


def test_prices_read_as_float32_become_the_nearest_whole_tick() -> None:
    frame = bars(price=1500.0)
    rough = frame.assign(**{name: frame[name].astype(np.float32) for name in ("open", "high", "low", "close")})
    assert_same(validate(rough).frame, frame)


@pytest.mark.parametrize("dates", [["20230102", "20230103"], ["2023-01-02", "2023-01-03"]])
def test_dates_as_text_are_read(dates: list[str]) -> None:
    assert_same(validate(bars(2).assign(date=dates)).frame, bars(2))


@pytest.mark.parametrize(
    "dates",
    [
        [20230102, 20230103],
        pd.to_datetime(["2023-01-02", "2023-01-03"]).tz_localize("UTC"),
        pd.to_datetime(["2023-01-02 08:00", "2023-01-03 08:00"]),
        ["someday", "2023-02-30"],
        ["2023", "2023-01"],
        [None, None],
    ],
    ids=["numbers", "with a time zone", "with a time of day", "words", "less than a day", "nothing"],
)
def test_what_is_not_plainly_a_date_is_refused(dates: object) -> None:
    with pytest.raises(BadData, match="its date cannot be read"):
        validate(bars(2).assign(date=dates))


def test_missing_columns_are_named() -> None:
    with pytest.raises(BadData, match=r"600519\.SH lack volume, amount"):
        validate(bars().drop(columns=["volume", "amount"]))


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("no_date", {"date": pd.NaT}),
        ("future", {"date": pd.Timestamp("2026-07-01")}),
        ("outside_range", {"date": pd.Timestamp("2022-12-30")}),
        ("outside_range", {"date": pd.Timestamp("2024-01-02")}),
        ("weekend", {"date": pd.Timestamp("2023-01-07")}),
        ("not_finite", {"close": float("nan")}),
        ("not_finite", {"high": float("inf")}),
        ("not_finite", {"volume": float("nan")}),
        ("not_finite", {"amount": float("nan")}),
        ("not_positive", {"low": -0.01}),
        ("not_positive", {"open": 0.0}),
        ("not_positive", {"volume": -100}),
        ("not_positive", {"amount": -1.0}),
        ("no_volume", {"volume": 0}),
        ("no_volume", {"volume": 0, "amount": 0.0}),
        ("too_large", {"volume": 1e300}),
        ("not_whole", {"volume": 100.5}),
        ("high_low", {"high": 0.01}),
        ("high_low", {"low": 1000.0}),
        ("high_low", {"close": 1000.0}),
        ("high_low", {"open": 0.01}),
        ("off_tick", {"close": 12.004, "open": 12.0, "high": 12.5, "low": 11.5}),
        ("amount", {"amount": 0.0}),
        ("amount", {"volume": 1}),
        ("duplicate", {"date": pd.Timestamp("2023-01-02")}),
    ],
)
def test_a_row_that_fails_is_listed_and_the_others_are_kept(code: str, values: dict[str, object]) -> None:
    frame = bars(60)
    result = validate(changed(frame, 7, **values), start=date(2023, 1, 2), end=date(2023, 12, 31))
    assert {finding.code for finding in result.findings} == {code}
    lost = [7] if code != "duplicate" else [0, 7]
    assert len(result.findings) == len(lost)
    assert_same(result.frame, frame.drop(index=lost).reset_index(drop=True))


def test_a_finding_tells_the_day_the_reason_and_the_values() -> None:
    frame = changed(bars(60), 7, high=0.01)
    (finding,) = validate(frame).findings
    assert finding.date == frame["date"][7].date()
    row = frame.iloc[7]
    for part in ("Files", "600519.SH", "2023-01-11", "contradict", "high 0.01", f"close {row['close']:g}"):
        assert part in str(finding.text)
    assert f"{row['volume']:,} shares" in str(finding.text)


def test_what_a_finding_holds_can_be_stored_as_json() -> None:
    (finding,) = validate(changed(bars(60), 7, close=float("nan"))).findings
    json.dumps(finding.text.values, allow_nan=False)


def test_bars_of_the_first_and_the_last_day_asked_for_are_kept() -> None:
    frame = bars(5)
    assert len(validate(frame, start=date(2023, 1, 2), end=date(2023, 1, 6), today=date(2023, 1, 6)).frame) == 5


def test_a_bar_on_a_holiday_is_listed_when_the_exchanges_days_are_given() -> None:
    open_days = np.array(installed_calendar().days, dtype="datetime64[D]")
    frame = bars(60, first="2023-01-03")
    holidays = [str(day.date()) for day in frame["date"] if day.to_datetime64() not in open_days]
    assert holidays[0] == "2023-01-23"
    # The days of one holiday week are more than a few of 60 rows: leave one.
    frame = frame[~frame["date"].isin(pd.to_datetime(holidays[1:]))].reset_index(drop=True)
    result = validate(frame, open_days=open_days)
    assert [(finding.code, str(finding.date)) for finding in result.findings] == [("closed_day", "2023-01-23")]


def test_days_without_a_trade_are_dropped_and_counted() -> None:
    frame = bars(60).astype({"volume": float})
    nothing = float("nan")
    frame.loc[3, ["open", "high", "low", "close", "volume", "amount"]] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    frame.loc[4, ["open", "high", "low", "close", "volume", "amount"]] = [12.0, 12.0, 12.0, 12.0, 0.0, 0.0]
    frame.loc[5, ["open", "high", "low", "close", "volume", "amount"]] = [nothing] * 6
    frame.loc[6, ["open", "high", "low", "close", "volume", "amount"]] = [0.0, 0.0, 0.0, 12.0, 0.0, nothing]
    result = validate(frame)
    assert (len(result.frame), result.suspended, result.findings) == (56, 4, ())


def test_an_answer_of_suspended_days_only_is_empty() -> None:
    result = validate(bars(5).assign(volume=0, amount=0.0, open=9.0, high=9.0, low=9.0, close=9.0))
    assert (len(result.frame), result.suspended) == (0, 5)


def test_a_repeated_row_is_kept_once() -> None:
    frame = bars(60)
    result = validate(pd.concat([frame, frame[10:12]]))
    assert_same(result.frame, frame)
    assert (result.duplicates, result.findings) == (2, ())


def test_a_row_that_fails_does_not_spoil_a_good_one_of_the_same_day() -> None:
    frame = bars(60)
    result = validate(pd.concat([frame, frame[10:11].assign(high=0.01)]))
    assert_same(result.frame, frame)
    assert only_finding(result) == "high_low"


@pytest.mark.parametrize(
    ("total", "bad", "refused"),
    [
        (1, 1, True),
        (2, 1, False),
        (4, 3, True),
        (20, 3, False),
        (20, 4, True),
        (100, 10, False),
        (100, 11, True),
    ],
)
def test_more_than_a_few_bad_rows_refuse_the_answer(total: int, bad: int, refused: bool) -> None:
    frame = bars(total)
    frame.loc[: bad - 1, "high"] = 0.01
    if refused:
        with pytest.raises(BadData, match=rf"on {bad} of {total} days something is wrong.*contradict"):
            validate(frame)
    else:
        assert len(validate(frame).findings) == bad


def test_lots_instead_of_shares_are_called_so() -> None:
    frame = bars()
    with pytest.raises(BadData, match="lots instead of shares"):
        validate(frame.assign(volume=frame["volume"] // 100))


def test_prices_times_a_hundred_are_called_so() -> None:
    frame = bars()
    frame[["open", "high", "low", "close"]] *= 100
    with pytest.raises(BadData, match="100 times too high"):
        validate(frame)


@pytest.mark.parametrize(("unit", "words"), [(1_000, "1,000 yuan"), (10_000, "10,000 yuan")])
def test_amounts_in_another_unit_are_called_so(unit: int, words: str) -> None:
    frame = bars()
    with pytest.raises(BadData, match=words):
        validate(frame.assign(amount=frame["amount"] / unit))


def test_lots_with_amounts_in_thousands_are_called_so() -> None:
    frame = bars()
    with pytest.raises(BadData, match="thousands of yuan"):
        validate(frame.assign(volume=frame["volume"] // 100, amount=frame["amount"] / 1000))


def test_amounts_that_are_all_zero_are_called_missing() -> None:
    with pytest.raises(BadData, match="has no amounts"):
        validate(bars().assign(amount=0.0))


@pytest.mark.parametrize("shift", [-1.5, 5.0], ids=["forward", "backward"])
def test_adjusted_prices_are_called_so(shift: float) -> None:
    frame = bars()
    frame[["open", "high", "low", "close"]] = (frame[["open", "high", "low", "close"]] + shift).round(2)
    with pytest.raises(BadData, match="look adjusted for dividends") as error:
        validate(frame)
    assert "without adjustment" in str(error.value)


def test_prices_below_zero_are_called_adjusted() -> None:
    frame = bars()
    frame[["open", "high", "low", "close"]] = (frame[["open", "high", "low", "close"]] - 20).round(2)
    with pytest.raises(BadData, match=r"look adjusted for dividends.* below zero"):
        validate(frame)


def test_prices_with_many_decimals_are_called_adjusted() -> None:
    frame = bars()
    frame[["open", "high", "low", "close"]] *= 1.00012345
    with pytest.raises(BadData, match=r"look adjusted for dividends.* more than two decimals"):
        validate(frame)


def wide_bars(count: int) -> pd.DataFrame:
    """Return bars with a range of 3.2 % and an average price in its middle."""
    frame = bars(count, price=20.0)
    frame["high"] = np.maximum(frame["high"], frame["close"] * 1.016).round(2)
    frame["low"] = np.minimum(frame["low"], frame["close"] * 0.984).round(2)
    typical = frame[["open", "high", "low", "close"]].mean(axis=1)
    return frame.assign(amount=(typical * frame["volume"]).round(2))


def lowered(frame: pd.DataFrame, rows: slice, dividend: float) -> pd.DataFrame:
    prices = frame.loc[rows, ["open", "high", "low", "close"]]
    return frame.assign(**(prices - dividend).round(2).reindex(frame.index).fillna(frame[prices.columns]))


def test_a_small_dividend_is_noticed_although_every_single_day_passes() -> None:
    frame = lowered(wide_bars(360), slice(0, 239), 0.23)
    with pytest.raises(BadData, match=r"adjusted for dividends .* from 2023-01-02 to 2023-12-01"):
        validate(frame)


def test_a_short_adjusted_stretch_is_noticed_with_the_days_that_fail_in_it() -> None:
    frame = lowered(wide_bars(840), slice(60, 119), 0.29)
    with pytest.raises(BadData, match=r"adjusted for dividends .* from 2023-03-27 to 2023-06-16"):
        validate(frame)


def test_wide_raw_bars_pass() -> None:
    assert validate(wide_bars(840)).findings == ()


def test_numbers_that_do_not_belong_together_are_called_so() -> None:
    frame = bars()
    shuffled = frame["amount"].sample(frac=1, random_state=1).to_numpy()
    with pytest.raises(BadData, match="do not belong together"):
        validate(frame.assign(amount=shuffled))


def test_a_source_that_counts_in_lots_and_hundreds_of_yuan_passes_with_its_precision() -> None:
    frame = bars()
    frame["volume"] = np.random.default_rng(5).integers(150, 900, len(frame))
    frame["amount"] = frame["volume"] * (frame["high"] + frame["low"]) / 2
    rounded = frame.assign(volume=frame["volume"] // 100 * 100, amount=(frame["amount"] / 100).round() * 100)
    with pytest.raises(BadData):
        validate(rounded)
    assert validate(rounded, precision=Precision(volume_step=100, amount_step=100.0)).findings == ()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_comes_in_only_good_rows_come_out(data: st.DataObject) -> None:
    frame = bars(data.draw(st.integers(1, 40)), seed=data.draw(st.integers(0, 5))).astype({"volume": float})
    cells = st.tuples(st.integers(0, len(frame) - 1), st.sampled_from(BAR_COLUMNS[1:]), st.floats(width=64))
    for at, name, value in data.draw(st.lists(cells, max_size=6)):
        frame.loc[at, name] = value
    moves = st.tuples(st.integers(0, len(frame) - 1), st.dates(date(1989, 1, 1), date(2031, 1, 1)))
    for at, day in data.draw(st.lists(moves, max_size=3)):
        frame.loc[at, "date"] = pd.Timestamp(day)
    frame = frame.iloc[data.draw(st.permutations(range(len(frame))))]
    start, end = date(2023, 1, 4), date(2023, 12, 29)
    try:
        result = validate(frame, start=start, end=end)
    except BadData:
        return
    good = result.frame
    assert tuple(good.columns) == BAR_COLUMNS
    assert good.dtypes.to_list() == empty_bars().dtypes.to_list()
    assert len(good) + len(result.findings) + result.suspended + result.duplicates == len(frame)
    assert good["date"].is_monotonic_increasing
    assert good["date"].is_unique
    assert ((good["date"] >= pd.Timestamp(start)) & (good["date"] <= pd.Timestamp(end))).all()
    assert (good["date"].dt.day_of_week < 5).all()
    assert (good[["open", "high", "low", "close", "volume"]] > 0).all(axis=None)
    assert (good["low"] <= good[["open", "close", "high"]].min(axis=1)).all()
    assert (good["high"] >= good[["open", "close"]].max(axis=1)).all()
    average = good["amount"] / good["volume"]
    slack = 0.0111 + average * 1e-6
    assert ((average >= good["low"] - slack) & (average <= good["high"] + slack)).all()
    for finding in result.findings:
        assert str(finding.text)
        json.dumps(finding.text.values, allow_nan=False)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 300), price=st.floats(1.0, 2000.0))
def test_raw_bars_pass_whatever_they_are_and_a_second_look_changes_nothing(seed: int, count: int, price: float) -> None:
    frame = bars(count, seed=seed, price=price)
    once = validate(frame)
    assert once.findings == ()
    assert_same(once.frame, frame)
    assert_same(validate(once.frame).frame, frame)
