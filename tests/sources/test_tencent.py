from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from importer.sources.akshare.tencent import Tencent
from importer.sources.base import BAR_COLUMNS, BadData, Source, SourceUnavailable, UnknownSymbol
from importer.sources.validation import validate_bars
from tests.sources.expected import expected_bars, same_bars
from tests.sources.standin import StandIn

START, END = date(2024, 1, 1), date(2024, 6, 28)


def bars(symbol: str = "600519.SH", start: date | None = START, end: date | None = END) -> pd.DataFrame:
    return Tencent().daily_bars(symbol, start, end)


def test_it_keeps_the_protocol_of_sources() -> None:
    assert isinstance(Tencent(), Source)


@pytest.mark.parametrize(
    ("symbol", "lots"),
    [("600519.SH", True), ("000001.SZ", True), ("300750.SZ", True), ("688981.SH", False), ("689009.SH", False)],
)
def test_volumes_are_shares_whatever_akshare_makes_of_them(standin: StandIn, symbol: str, lots: bool) -> None:
    assert same_bars(bars(symbol), expected_bars(standin, symbol, START, END, lots=lots), amount_step=100)


@pytest.mark.parametrize("symbol", ["600519.SH", "000001.SZ", "689009.SH"])
def test_its_amounts_fit_within_their_precision(standin: StandIn, symbol: str) -> None:
    checked = validate_bars(
        bars(symbol), symbol=symbol, source="tencent", start=START, end=END, today=END, precision=Tencent.precision
    )
    assert checked.findings == ()


def test_a_year_takes_two_requests(standin: StandIn) -> None:
    bars()
    assert len(standin.arrivals()) == 2


def test_each_further_year_takes_one_more(standin: StandIn) -> None:
    bars(start=date(2021, 5, 1), end=END)
    assert len(standin.arrivals()) == 5


def test_bars_of_several_years_come_once(standin: StandIn) -> None:
    frame = bars(start=date(2021, 5, 1), end=END)
    assert same_bars(frame, expected_bars(standin, "600519.SH", date(2021, 5, 1), END, lots=True), amount_step=100)


def test_without_bounds_the_whole_history_comes(standin: StandIn) -> None:
    assert same_bars(bars("688981.SH", None, None), expected_bars(standin, "688981.SH"), amount_step=100)


def test_beijing_is_not_asked_for(standin: StandIn) -> None:
    with pytest.raises(UnknownSymbol):
        bars("430047.BJ")
    assert standin.arrivals() == []


def test_an_unknown_stock_is_named(standin: StandIn) -> None:
    with pytest.raises(UnknownSymbol, match=r"601999\.SH"):
        bars("601999.SH")


@pytest.mark.parametrize(
    ("symbol", "start", "end"),
    [
        ("301999.SZ", START, END),
        ("000024.SZ", date(2024, 1, 1), date(2024, 12, 31)),
        ("000002.SZ", date(2024, 3, 4), date(2024, 3, 15)),
    ],
    ids=["not listed yet", "delisted", "suspended"],
)
def test_a_range_without_bars_is_an_empty_frame(standin: StandIn, symbol: str, start: date, end: date) -> None:
    frame = bars(symbol, start, end)
    assert frame.empty
    assert tuple(frame.columns) == BAR_COLUMNS


def test_the_answer_of_another_stock_is_refused(standin: StandIn) -> None:
    standin.fault("wrong_symbol")
    with pytest.raises(BadData, match="answered with sh600999"):
        bars()


@pytest.mark.parametrize("kind", ["truncated", "changed_columns"])
def test_an_answer_that_cannot_be_read_is_bad_data(standin: StandIn, kind: str) -> None:
    standin.fault(kind, path="newfqkline")
    with pytest.raises(BadData):
        bars()


def test_the_request_for_the_first_day_has_a_time_limit_too(standin: StandIn, settings: object) -> None:
    settings.REQUEST_TIMEOUT = 0.3  # type: ignore[attr-defined]
    standin.fault("silence", path="weekTrends")
    with pytest.raises(SourceUnavailable):
        bars()
