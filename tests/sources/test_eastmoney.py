from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from importer.sources.akshare.calls import asking
from importer.sources.akshare.eastmoney import SHARES_PER_LOT, Eastmoney
from importer.sources.base import BAR_COLUMNS, BadData, Source
from importer.sources.units import shares_factor
from importer.sources.validation import validate_bars
from tests.sources.expected import expected_bars, same_bars
from tests.sources.standin import StandIn, running_standin

EVERY_BOARD = ["600519.SH", "000001.SZ", "300750.SZ", "688981.SH", "689009.SH", "920001.BJ", "430047.BJ"]
START, END = date(2024, 1, 1), date(2024, 6, 28)


def bars(symbol: str = "600519.SH", start: date | None = START, end: date | None = END) -> pd.DataFrame:
    return Eastmoney().daily_bars(symbol, start, end)


def test_it_keeps_the_protocol_of_sources() -> None:
    assert isinstance(Eastmoney(), Source)


def test_a_stock_takes_one_request(standin: StandIn) -> None:
    bars()
    assert len(standin.arrivals()) == 1


@pytest.mark.parametrize("symbol", EVERY_BOARD)
def test_lots_become_shares_on_every_board(standin: StandIn, symbol: str) -> None:
    assert same_bars(bars(symbol), expected_bars(standin, symbol, START, END, lots=True))


def test_the_frame_has_the_canonical_columns_and_types(standin: StandIn) -> None:
    frame = bars()
    assert tuple(frame.columns) == BAR_COLUMNS
    kinds = [frame[column].dtype.kind for column in BAR_COLUMNS]
    assert kinds == ["M", "f", "f", "f", "f", "i", "f"]


def test_without_bounds_the_whole_history_comes(standin: StandIn) -> None:
    assert same_bars(bars("688981.SH", None, None), expected_bars(standin, "688981.SH", lots=True))


def test_a_delisted_stock_has_its_bars(standin: StandIn) -> None:
    assert same_bars(bars("600001.SH", None, None), expected_bars(standin, "600001.SH", lots=True))


@pytest.mark.parametrize(
    ("symbol", "start", "end"),
    [
        ("601999.SH", START, END),
        ("000002.SZ", date(2024, 3, 4), date(2024, 3, 15)),
        ("301999.SZ", START, END),
        ("600519.SH", END, START),
    ],
    ids=["unknown", "suspended", "not listed yet", "turned round"],
)
def test_a_range_without_bars_and_an_unknown_stock_are_the_same_empty_frame(
    standin: StandIn, symbol: str, start: date, end: date
) -> None:
    frame = bars(symbol, start, end)
    assert frame.empty
    assert tuple(frame.columns) == BAR_COLUMNS


def test_volumes_that_come_in_shares_on_the_star_market_are_recognised(standin: StandIn) -> None:
    in_shares = expected_bars(standin, "688981.SH", START, END)
    assert shares_factor(in_shares, float(SHARES_PER_LOT), (1.0,)) == 1.0


def test_volumes_that_fit_nothing_are_left_to_validation(standin: StandIn) -> None:
    odd = expected_bars(standin, "688981.SH", START, END)
    odd["volume"] *= 7
    assert shares_factor(odd, float(SHARES_PER_LOT), (1.0,)) == SHARES_PER_LOT


def test_days_without_trade_say_nothing_about_units() -> None:
    nothing = pd.DataFrame({name: [0.0] for name in BAR_COLUMNS[1:]}).assign(date=pd.Timestamp("2024-01-02"))
    assert shares_factor(nothing, 100.0, (1.0,)) == 100.0


def test_eastmoney_counts_lots_on_the_star_market_too(real_data: Path) -> None:
    rows = json.loads((real_data / "eastmoney_clist_all_a_20210915.json").read_text())["data"]["diff"]
    star = [row for row in rows if row["f12"].startswith(("688", "689")) and row["f5"] not in ("-", 0)]
    average = np.array([row["f6"] / (row["f5"] * SHARES_PER_LOT) for row in star])
    low, high = (np.array([row[name] for row in star]) for name in ("f16", "f15"))
    assert len(star) > 300
    assert ((average >= low - 0.011) & (average <= high + 0.011)).all()


def test_the_answer_of_another_stock_is_refused(standin: StandIn) -> None:
    standin.fault("wrong_symbol")
    with pytest.raises(BadData, match="answered with 600999"):
        bars()


def test_other_columns_are_refused(standin: StandIn) -> None:
    standin.fault("changed_columns")
    with pytest.raises(BadData, match="AKShare cannot read"):
        bars()


def test_half_an_answer_is_refused(standin: StandIn) -> None:
    standin.fault("truncated")
    with pytest.raises(BadData, match="JSONDecodeError"):
        bars()


def test_a_missing_number_does_not_become_one(standin: StandIn) -> None:
    standin.fault("nan")
    assert bars()["close"].isna().sum() == 1


@pytest.fixture
def real_standin(standin: StandIn, real_data: Path, tmp_path: Path) -> object:
    with running_standin(tmp_path, real=real_data) as real, real.redirected():
        yield real


def test_the_real_bars_of_a_bank_come_through(real_standin: StandIn) -> None:
    frame = bars("600000.SH", date(2021, 1, 1), date(2025, 8, 5))
    last = frame.iloc[-1]
    assert (last["date"], last["close"], len(frame)) == (pd.Timestamp("2025-08-05"), 13.75, 1112)
    validated = validate_bars(
        frame,
        symbol="600000.SH",
        source="eastmoney",
        start=date(2021, 1, 1),
        end=date(2025, 8, 5),
        today=date(2025, 8, 5),
        precision=Eastmoney.precision,
    )
    assert validated.findings == ()


@pytest.mark.parametrize("error", [RecursionError("maximum depth"), OverflowError("infinity"), SyntaxError("half")])
def test_what_akshare_stumbles_over_is_an_answer_that_cannot_be_read(error: Exception) -> None:
    with pytest.raises(BadData) as caught, asking("eastmoney", "600519.SH"):
        raise error
    assert caught.value.__cause__ is error
