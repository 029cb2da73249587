"""Adjusted prices as ``load_bars`` and ``load_panel`` give them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import date
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketdata.actions import ListedAction, save_actions
from marketdata.adjusted import flag_texts, occurrences_of
from marketdata.adjustment import Action, Adjust, compose, factors, locate
from marketdata.models import CorporateAction
from marketdata.reading import load_bars, load_panel
from marketdata.store import delete_bars, ensure_stocks, store_bars
from tests.marketdata.bars import bars, weekdays
from tests.marketdata.real_bars import day_bars, market_actions

pytestmark = pytest.mark.django_db

DAYS = weekdays("2024-01-01", 6)
SPLIT = Action(DAYS[2], new_shares_per_share=1.0)
DIVIDEND = Action(DAYS[4], cash_per_share=1.0)


def stored(symbol: str, closes: Sequence[float], days: Sequence[date] = DAYS, actions: Sequence[Action] = ()) -> int:
    stock_id = ensure_stocks([symbol])[symbol]
    frame = bars(days)
    for name in ("open", "high", "low", "close"):
        frame[name] = closes
    frame["volume"] = 1000
    store_bars(stock_id, frame, source="tdx", simulated=False, covered=None)
    save_actions([ListedAction(symbol, action) for action in actions], source="tdx")
    return stock_id


@pytest.fixture
def split_and_dividend() -> int:
    return stored("600000.SH", [20.0, 22.0, 11.0, 10.0, 9.0, 9.0], actions=[SPLIT, DIVIDEND])


def closes(**wanted: object) -> list[float]:
    return list(load_bars("600000", **wanted)["close"])  # type: ignore[arg-type]


@pytest.mark.usefixtures("split_and_dividend")
def test_qfq_leaves_the_newest_bar_and_names_it() -> None:
    frame = load_bars("600000", adjust="qfq")

    assert list(frame["close"]) == pytest.approx([9.0, 9.9, 9.9, 9.0, 9.0, 9.0])
    assert frame.attrs == {"symbol": "600000.SH", "adjust": "qfq", "anchor": DAYS[-1].isoformat(), "flags": []}


@pytest.mark.usefixtures("split_and_dividend")
def test_hfq_leaves_the_first_stored_bar_and_names_it() -> None:
    frame = load_bars("600000", adjust="hfq")

    assert list(frame["close"]) == pytest.approx([20.0, 22.0, 22.0, 20.0, 20.0, 20.0])
    assert frame.attrs["anchor"] == DAYS[0].isoformat()


@pytest.mark.usefixtures("split_and_dividend")
def test_broker_is_the_affine_form() -> None:
    frame = load_bars("600000", adjust="broker")

    assert list(frame["close"]) == [9.0, 10.0, 10.0, 9.0, 9.0, 9.0]
    assert frame.attrs["anchor"] == DAYS[-1].isoformat()


@pytest.mark.usefixtures("split_and_dividend")
@pytest.mark.parametrize("adjust", ["qfq", "hfq", "broker"])
def test_a_part_of_the_days_has_the_prices_of_the_whole(adjust: str) -> None:
    whole = load_bars("600000", adjust=adjust)

    for first in range(6):
        for last in range(first, 6):
            part = load_bars("600000", DAYS[first], DAYS[last], adjust)
            pd.testing.assert_frame_equal(part, whole.iloc[first : last + 1])


@pytest.mark.usefixtures("split_and_dividend")
def test_every_price_is_adjusted_and_amounts_are_not() -> None:
    raw, qfq = load_bars("600000"), load_bars("600000", adjust="qfq")

    for name in ("open", "high", "low", "close"):
        assert qfq[name].iloc[0] == pytest.approx(9.0)
    assert list(qfq["amount"]) == list(raw["amount"])
    assert list(qfq["volume"]) == list(raw["volume"])


@pytest.mark.usefixtures("split_and_dividend")
def test_volumes_are_adjusted_for_shares_alone_when_asked() -> None:
    assert list(load_bars("600000", adjust="qfq", adjust_volume=True)["volume"]) == [2000.0] * 2 + [1000.0] * 4
    assert list(load_bars("600000", adjust="hfq", adjust_volume=True)["volume"]) == [1000.0] * 2 + [500.0] * 4


@pytest.mark.usefixtures("split_and_dividend")
def test_as_of_shows_the_prices_of_that_day_and_nothing_later() -> None:
    frame = load_bars("600000", adjust="qfq", as_of=DAYS[3])

    assert list(frame["close"]) == [10.0, 11.0, 11.0, 10.0]
    assert (frame.attrs["anchor"], frame.attrs["as_of"]) == (DAYS[3].isoformat(), DAYS[3].isoformat())


@pytest.mark.usefixtures("split_and_dividend")
def test_as_of_between_two_bars_is_anchored_at_the_one_before() -> None:
    saturday = date(2024, 1, 6)

    assert load_bars("600000", adjust="qfq", as_of=saturday).attrs["anchor"] == "2024-01-05"


@pytest.mark.usefixtures("split_and_dividend")
def test_as_of_cuts_unadjusted_bars_too() -> None:
    frame = load_bars("600000", as_of=DAYS[1])

    assert len(frame) == 2
    assert frame.attrs == {"symbol": "600000.SH", "adjust": "none", "as_of": DAYS[1].isoformat()}


@pytest.mark.usefixtures("split_and_dividend")
@pytest.mark.parametrize("adjust", ["hfq", "qfq", "broker"])
def test_as_of_before_every_bar_is_an_empty_frame(adjust: str) -> None:
    frame = load_bars("600000", adjust=adjust, as_of="2020-01-01")

    assert len(frame) == 0
    assert frame.attrs["anchor"] is None


def test_a_future_ex_date_changes_nothing_yet() -> None:
    stored("600000.SH", [10.0] * 6, actions=[Action(date(2024, 1, 9), cash_per_share=1.0)])

    assert closes(adjust="qfq") == [10.0] * 6


@pytest.mark.usefixtures("split_and_dividend")
def test_a_form_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="none, qfq, hfq, broker, not 'forward'"):
        load_bars("600000", adjust="forward")


@pytest.mark.usefixtures("split_and_dividend")
def test_unadjusted_prices_with_adjusted_volumes_are_refused() -> None:
    with pytest.raises(ValueError, match="adjust_volume"):
        load_bars("600000", adjust_volume=True)


def test_what_is_in_doubt_is_flagged_in_the_readers_words() -> None:
    stored("600000.SH", [10.0] * 3 + [5.0] * 3, actions=[Action(DAYS[3], previous_close=5.0)])

    frame = load_bars("600000", adjust="hfq")

    assert list(frame["close"]) == [10.0] * 6
    assert frame.attrs["flags"] == [
        {"symbol": "600000.SH", "ex_date": DAYS[3].isoformat(), "flag": "ex_right_without_known_action"}
    ]
    (text,) = flag_texts(frame.attrs["flags"])
    assert str(text).startswith("600000.SH: ex-right without a known action on 2024-01-04.")


def test_a_panel_adjusts_each_stock_by_its_own_actions() -> None:
    stored("600000.SH", [20.0, 22.0, 11.0, 10.0, 9.0, 9.0], actions=[SPLIT, DIVIDEND])
    stored("000002.SZ", [20.0] * 6)
    stored("600519.SH", [20.0] * 3 + [10.0], DAYS[:4], actions=[Action(DAYS[3], new_shares_per_share=1.0)])

    panel = load_panel(["600519", "600000", "000002"], adjust="qfq")

    assert list(panel["600000.SH"]) == pytest.approx([9.0, 9.9, 9.9, 9.0, 9.0, 9.0])
    assert list(panel["000002.SZ"]) == [20.0] * 6
    assert list(panel["600519.SH"].dropna()) == [10.0] * 4
    assert panel.attrs["anchor"] == {
        "600519.SH": DAYS[3].isoformat(),
        "600000.SH": DAYS[5].isoformat(),
        "000002.SZ": DAYS[5].isoformat(),
    }


@pytest.mark.parametrize("adjust", ["qfq", "hfq", "broker"])
def test_a_panel_has_the_prices_of_the_single_stocks(adjust: str) -> None:
    stored("600000.SH", [20.0, 22.0, 11.0, 10.0, 9.0, 9.0], actions=[SPLIT, DIVIDEND])
    stored("000002.SZ", [30.0, 31.0, 14.0, 15.0, 16.0, 17.0], actions=[SPLIT])
    fields = ["close", "volume"]

    panel = load_panel(None, DAYS[1], DAYS[4], fields, adjust, adjust_volume=True)
    long = load_panel(None, DAYS[1], DAYS[4], fields, adjust, layout="long", adjust_volume=True)

    for symbol in ("600000.SH", "000002.SZ"):
        single = load_bars(symbol, DAYS[1], DAYS[4], adjust, adjust_volume=True)[fields]
        for name in fields:
            assert list(panel[name][symbol]) == list(single[name])
            assert list(long.loc[long["symbol"] == symbol, name]) == list(single[name])


def test_a_panel_whose_stocks_share_the_anchor_names_one_day() -> None:
    stored("600000.SH", [20.0] * 6)
    stored("000002.SZ", [20.0] * 6)

    said = load_panel(adjust="qfq").attrs
    assert (said["adjust"], said["anchor"], said["flags"]) == ("qfq", DAYS[5].isoformat(), [])


def test_an_adjusted_frame_survives_parquet_with_what_it_says(tmp_path: Path) -> None:
    stored("600000.SH", [20.0, 22.0, 11.0, 10.0, 9.0, 9.0], actions=[SPLIT, DIVIDEND])
    frame = load_bars("600000", adjust="qfq")

    frame.to_parquet(tmp_path / "bars.parquet")

    assert pd.read_parquet(tmp_path / "bars.parquet").attrs == frame.attrs


def test_slices_of_a_panel_share_what_it_says_instead_of_copying_it() -> None:
    stored("600000.SH", [20.0] * 6)
    stored("000002.SZ", [20.0] * 5, days=DAYS[1:])
    panel = load_panel(adjust="hfq")

    row = panel.iloc[0]

    assert row.attrs["anchor"] is panel.attrs["anchor"]
    assert row.attrs["flags"] is panel.attrs["flags"]


def test_a_pickled_frame_can_be_read_where_barvault_is_not() -> None:
    stored("600000.SH", [20.0, 22.0, 11.0, 10.0, 9.0, 9.0], actions=[SPLIT, DIVIDEND])
    stored("000002.SZ", [20.0] * 5, days=DAYS[1:])
    panel = load_panel(adjust="hfq")

    pickled = pickle.dumps(panel)

    assert b"marketdata" not in pickled
    assert pickle.loads(pickled).attrs == panel.attrs


def test_the_same_final_data_read_the_same_whatever_the_order_they_came_in() -> None:
    first, second = bars(DAYS[:4]), bars(DAYS[3:])
    steps = {
        "old bars": lambda stock: store_bars(stock, first, source="tdx", simulated=False, covered=None),
        "new bars": lambda stock: store_bars(stock, second, source="tdx", simulated=False, covered=None),
        "split": lambda _stock: save_actions([ListedAction("600000.SH", SPLIT)], source="tdx"),
        "dividend": lambda _stock: save_actions([ListedAction("600000.SH", DIVIDEND)], source="eastmoney"),
    }
    stock_id = ensure_stocks(["600000.SH"])["600000.SH"]
    read = []
    for order in permutations(steps):
        delete_bars(stock_id)
        CorporateAction.objects.all().delete()
        for name in order:
            steps[name](stock_id)
        read.append([load_bars("600000", adjust=form) for form in ("qfq", "hfq", "broker")])

    for frames in read[1:]:
        for frame, other in zip(frames, read[0], strict=True):
            pd.testing.assert_frame_equal(frame, other, check_exact=True)


@pytest.mark.parametrize(
    ("symbol", "path"),
    [("600000.SH", "vipdoc/sh/lday/sh600000.day"), ("000001.SZ", "vipdoc/sz/lday/sz000001.day")],
)
def test_the_database_finds_the_bars_around_each_real_action(real_data: Path, symbol: str, path: str) -> None:
    frame, actions = day_bars(real_data / path), market_actions(real_data, symbol)
    stock_id = ensure_stocks([symbol])[symbol]
    store_bars(stock_id, frame, source="tdx", simulated=False, covered=None)
    save_actions([ListedAction(symbol, action) for action in actions], source="file")

    located = locate(frame["date"].to_numpy(), frame["open"].to_numpy(), frame["close"].to_numpy(), actions)

    assert occurrences_of([stock_id])[stock_id] == list(located)
    expected = factors(compose(located), Adjust.HFQ).prices(frame["date"].to_numpy(), frame["close"].to_numpy())
    assert np.array_equal(load_bars(symbol, adjust="hfq")["close"].to_numpy(), expected)
