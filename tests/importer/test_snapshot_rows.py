"""What a snapshot decides about each stock, and what speaks against a part of it: from values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.snapshot_rows import (
    DayTable,
    Decision,
    Row,
    decide,
    objection,
    probe_objection,
    probes_of,
    read_table,
)
from importer.sources.rows import Precision
from marketdata.store import Standing

DAY, BEFORE, EARLIER = date(2024, 6, 13), date(2024, 6, 12), date(2024, 6, 11)
ROW = Row("600519.SH", "贵州茅台", 10.0, 10.5, 9.9, 10.2, 1000.0, 10_200.0, 10.1)
STANDING = Standing(1, "600519.SH", BEFORE, 10.0, 10.2, 9.9, 10.1, 900, 9_090.0, (date(2024, 1, 1), BEFORE))
NAN = float("nan")


def decided(row: Row | None = ROW, standing: Standing | None = STANDING, **options: bool) -> Decision:
    return decide(row, standing, day=DAY, previous_day=BEFORE, **{"doubtful": False, "explained": False, **options})


def test_a_stock_that_stands_at_the_day_before_and_follows_on_gets_its_bar() -> None:
    assert decided() == Decision.STORE


@pytest.mark.parametrize("off", [0.006, -0.01, 1.0])
def test_a_previous_close_that_is_not_the_stored_one_has_to_be_explained(off: float) -> None:
    row = ROW._replace(prev_close=10.1 + off)
    assert decided(row) == Decision.ASK
    assert decided(row, explained=True) == Decision.STORE


def test_half_a_tick_is_no_difference() -> None:
    assert decided(ROW._replace(prev_close=10.104)) == Decision.STORE


def test_a_suspended_stock_is_known_to_have_no_bar() -> None:
    nothing = ROW._replace(open=NAN, high=NAN, low=NAN, close=NAN, volume=NAN, amount=NAN)
    assert decided(nothing) == Decision.SUSPENDED
    assert decided(nothing._replace(prev_close=7.0)) == Decision.SUSPENDED, "its ex-date fell into the suspension"


def test_one_that_was_suspended_until_the_day_before_goes_on() -> None:
    resumed = replace(STANDING, last_bar=date(2024, 5, 6), covered=(date(2024, 1, 1), BEFORE))
    assert decided(standing=resumed) == Decision.STORE


def test_a_missing_day_is_asked_for() -> None:
    assert decided(standing=replace(STANDING, last_bar=EARLIER, covered=(date(2024, 1, 1), EARLIER))) == Decision.ASK


def test_what_is_known_already_is_left_alone() -> None:
    assert decided(standing=replace(STANDING, last_bar=DAY)) == Decision.KNOWN
    assert decided(standing=replace(STANDING, covered=(date(2024, 1, 1), DAY))) == Decision.KNOWN


def test_a_row_that_is_missing_doubtful_or_of_the_day_before_decides_nothing() -> None:
    assert decided(None) == Decision.ASK
    assert decided(doubtful=True) == Decision.ASK
    again = ROW._replace(close=STANDING.close, volume=float(STANDING.volume))
    assert decided(again) == Decision.ASK


def test_a_stock_without_bars_and_a_delisted_one_are_asked_for() -> None:
    assert decided(standing=None) == Decision.ASK
    assert decided(standing=replace(STANDING, delisted_on=DAY)) == Decision.ASK
    assert decided(standing=replace(STANDING, delisted_on=date(2024, 7, 1))) == Decision.STORE


def test_rows_that_repeat_are_one_and_rows_that_differ_are_doubtful() -> None:
    other = ROW._replace(symbol="000001.SZ")
    table = read_table([ROW, ROW, other, other._replace(close=10.3)], day=DAY)
    assert set(table.rows) == {"600519.SH", "000001.SZ"}
    assert table.doubtful == {"000001.SZ"}


@pytest.mark.parametrize(
    "odd",
    [
        {"close": 1020.0, "open": 1000.0, "high": 1050.0, "low": 990.0},
        {"volume": 10.0},
        {"high": 9.0},
        {"close": None},
        {"volume": None},
        {"prev_close": None},
        {"amount": 0.0},
        {"close": 10.213},
    ],
    ids=lambda odd: ",".join(odd),
)
def test_a_row_that_cannot_be_right_is_doubtful(odd: dict[str, float | None]) -> None:
    table = read_table([ROW._replace(**odd)], day=DAY)  # type: ignore[arg-type]
    assert table.doubtful == {"600519.SH"}


def test_a_volume_in_lots_of_a_coarse_source_is_right() -> None:
    table = read_table([ROW._replace(volume=900.0)], day=DAY, precision=Precision(volume_step=100))
    assert table.doubtful == frozenset()


def market(count: int = 300) -> tuple[DayTable, dict[str, Standing]]:
    symbols = [f"{600000 + number}.SH" for number in range(count)]
    rows = {symbol: ROW._replace(symbol=symbol, amount=10_000.0 + at) for at, symbol in enumerate(symbols)}
    return DayTable(rows, frozenset()), {symbol: replace(STANDING, symbol=symbol) for symbol in symbols}


def against(table: DayTable, standings: dict[str, Standing]) -> str:
    reason = objection(table, standings, day=DAY, previous_day=BEFORE)
    return str(reason) if reason is not None else ""


def test_nothing_speaks_against_an_ordinary_day() -> None:
    assert against(*market()) == ""


@given(missing=st.integers(0, 300))
def test_more_than_two_percent_missing_is_too_much(missing: int) -> None:
    table, standings = market()
    shown = dict(list(table.rows.items())[missing:])
    found = against(DayTable(shown, frozenset()), standings)
    assert bool(found) is (missing > 6)


@given(odd=st.integers(0, 300))
def test_more_than_one_percent_of_odd_rows_is_too_much(odd: int) -> None:
    table, standings = market()
    assert bool(against(DayTable(table.rows, frozenset(list(table.rows)[:odd])), standings)) is (odd > 3)


def test_a_market_that_jumps_is_none() -> None:
    table, standings = market()
    jumped = {symbol: row._replace(close=row.prev_close * 1.32) for symbol, row in table.rows.items()}
    assert "moved by more than 31 %" in against(DayTable(jumped, frozenset()), standings)


@given(repeated=st.integers(0, 300))
def test_a_tenth_of_the_bars_of_the_day_before_is_too_much(repeated: int) -> None:
    table, standings = market()
    rows = dict(table.rows)
    for symbol in list(rows)[:repeated]:
        rows[symbol] = rows[symbol]._replace(close=STANDING.close, volume=float(STANDING.volume))
    assert bool(against(DayTable(rows, frozenset()), standings)) is (repeated > 30)


def test_a_part_in_which_nothing_traded_is_not_the_day() -> None:
    table, standings = market(5)
    still = {symbol: row._replace(volume=NAN, close=NAN) for symbol, row in table.rows.items()}
    assert against(DayTable(still, frozenset()), standings) == "No stock in it has traded."


def test_the_most_traded_stocks_are_the_probes() -> None:
    table, _standings = market()
    doubtful = DayTable(table.rows, frozenset({"600299.SH"}))
    assert [row.symbol for row in probes_of(doubtful, 2)] == ["600298.SH", "600297.SH"]


@pytest.mark.parametrize(
    ("own", "contradicts"),
    [
        ({}, False),
        ({"close": 10.21}, False),
        ({"volume": 1099}, False),
        ({"close": 10.22}, True),
        ({"volume": 1200}, True),
        ({"date": pd.Timestamp(BEFORE)}, True),
    ],
    ids=["the same", "a tick", "less than a lot", "two ticks", "two lots", "another day"],
)
def test_a_probe_confirms_or_contradicts(own: dict[str, object], contradicts: bool) -> None:
    bar = {"date": pd.Timestamp(DAY), "open": 10.0, "high": 10.5, "low": 9.9, "close": 10.2, "volume": 1000} | own
    assert (probe_objection(ROW, pd.DataFrame([bar]), DAY) is not None) is contradicts
