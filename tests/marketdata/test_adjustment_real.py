"""Our steps against what the exchange and the vendors published for real stocks."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketdata.adjustment import (
    Action,
    Adjust,
    Event,
    Status,
    compose,
    factors,
    locate,
    round_half_up,
    theoretical_ex_price,
)
from tests.marketdata.real_bars import csv_bars, day_bars, market_actions, per_ten_actions


def events_of(bars: pd.DataFrame, actions: list[Action]) -> tuple[Event, ...]:
    dates = bars["date"].to_numpy()
    return compose(locate(dates, bars["open"].to_numpy(), bars["close"].to_numpy(), actions))


def test_the_steps_of_000002_equal_sinas_factors_on_all_21_events(real_data: Path) -> None:
    events = events_of(
        csv_bars(real_data / "000002_raw_1993_2011.csv"),
        per_ten_actions(real_data / "000002_events_with_sina_factor.csv"),
    )
    with (real_data / "000002_events_with_sina_factor.csv").open(newline="") as lines:
        sina = [float(row["sina_step"]) for row in csv.DictReader(lines)]

    assert len(events) == 21
    assert [event.status for event in events] == [Status.APPLIED] * 21
    assert [event.step for event in events] == pytest.approx(sina, rel=1e-5)


def test_the_hfq_factor_of_000002_equals_sinas_from_1993_to_2011(real_data: Path) -> None:
    bars = csv_bars(real_data / "000002_raw_1993_2011.csv")
    events = events_of(bars, per_ten_actions(real_data / "000002_events_with_sina_factor.csv"))
    sina = pd.read_csv(real_data / "000002_sina_hfq_factor.csv", parse_dates=["date"]).set_index("date")["factor"]
    before_first_bar = sina[sina.index < bars["date"].iloc[0]].iloc[0]

    ours = factors(events, Adjust.HFQ).scale[-1]

    assert ours == pytest.approx(sina.loc["2011-05-27"] / before_first_bar, rel=1e-4)


def test_the_theoretical_prices_of_300027_equal_the_exchanges_previous_close_to_the_cent(real_data: Path) -> None:
    bars = csv_bars(real_data / "300027_raw_preclose_sina_hfq.csv")
    published = bars.set_index("date")["exchange_preclose"]
    events = events_of(bars, per_ten_actions(real_data / "300027_events.csv"))

    assert len(events) == 9
    for event in events:
        assert event.theoretical is not None
        assert round_half_up(event.theoretical) == published.loc[pd.Timestamp(event.applies_on)], event


def test_the_previous_close_of_300027_differs_from_the_close_before_on_its_events_alone(real_data: Path) -> None:
    bars = csv_bars(real_data / "300027_raw_preclose_sina_hfq.csv")
    events = events_of(bars, per_ten_actions(real_data / "300027_events.csv"))
    went_ex = bars["date"].iloc[1:][np.abs(bars["exchange_preclose"].iloc[1:] - bars["close"].shift().iloc[1:]) > 0.005]

    assert [day.date() for day in went_ex] == [event.applies_on for event in events]


def test_baostock_publishes_the_step_of_the_rounded_price(real_data: Path) -> None:
    action = next(each for each in market_actions(real_data, "600000.SH") if each.ex_date == date(2016, 6, 23))

    theoretical = theoretical_ex_price(17.89, action)

    baostock = 7.128788 / 6.295967
    assert 17.89 / round_half_up(theoretical) == pytest.approx(baostock, abs=1e-6)
    assert 17.89 / theoretical == pytest.approx(19.679 / 17.375, abs=1e-9)
    assert abs(17.89 / theoretical - baostock) > 3e-4


def test_baostocks_factor_of_16_years_leaves_out_the_reform_of_2006(real_data: Path) -> None:
    bars = day_bars(real_data / "vipdoc/sh/lday/sh600000.day")
    before_2016 = [each for each in market_actions(real_data, "600000.SH") if each.ex_date < date(2016, 6, 1)]
    events = events_of(bars, before_2016)

    rounded = np.prod([e.reference / round_half_up(e.theoretical) for e in events if e.counts])  # type: ignore[operator, arg-type]

    assert [event.action.ex_date for event in events if event.status == Status.NOT_EX] == [date(2006, 5, 12)]
    assert rounded == pytest.approx(6.295967, abs=1e-6)
    assert factors(events, Adjust.HFQ).scale[-1] == pytest.approx(6.296630, abs=1e-6)


@pytest.mark.parametrize(
    ("symbol", "path", "reform"),
    [
        ("600000.SH", "vipdoc/sh/lday/sh600000.day", date(2006, 5, 12)),
        ("000001.SZ", "vipdoc/sz/lday/sz000001.day", date(2007, 6, 18)),
    ],
)
def test_the_reform_is_the_only_action_the_market_did_not_follow(
    real_data: Path, symbol: str, path: str, reform: date
) -> None:
    events = events_of(day_bars(real_data / path), market_actions(real_data, symbol))

    assert [event.action.ex_date for event in events if event.status == Status.NOT_EX] == [reform]
    assert {event.status for event in events} <= {Status.APPLIED, Status.NOT_EX, Status.BEFORE_FIRST_BAR}


def test_the_affine_form_equals_eastmoneys_qfq_of_000001(real_data: Path) -> None:
    eastmoney = csv_bars(real_data / "000001_eastmoney_raw_qfq_hfq_akshare_docs.csv")
    # The table of actions ends in 2021; these two were paid by the time the rows were published.
    later = [Action(date(2022, 7, 22), cash_per_share=0.228), Action(date(2023, 6, 14), cash_per_share=0.285)]
    actions = [*market_actions(real_data, "000001.SZ"), *later]
    raw = day_bars(real_data / "vipdoc/sz/lday/sz000001.day")
    rows = eastmoney.rename(columns={"em_raw_close": "close"}).assign(open=eastmoney["em_raw_close"])
    bars = pd.concat([raw, rows]).drop_duplicates("date").sort_values("date")
    events = events_of(bars, actions)

    ours = factors(events, Adjust.BROKER).prices(eastmoney["date"].to_numpy(), eastmoney["em_raw_close"].to_numpy())

    assert [round_half_up(price) for price in ours] == list(eastmoney["em_qfq_close"])


def test_the_affine_form_gives_wrong_returns(real_data: Path) -> None:
    """The holder lost 1.38 % on 2024-05-23; Eastmoney's 后复权 says 1.22 %."""
    rows = csv_bars(real_data / "000001_eastmoney_raw_qfq_hfq_akshare_docs.csv").set_index("date")

    def change(column: str) -> float:
        return round((rows.loc["2024-05-23", column] / rows.loc["2024-05-22", column] - 1) * 100, 2)

    assert change("em_raw_close") == -1.38
    assert change("em_hfq_close") == -1.22
