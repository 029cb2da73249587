"""The rules that a stock's stored bars have to keep to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from marketdata.adjustment import Action, Event, Occurrence, compose
from marketdata.bar_columns import BarColumns, Days
from marketdata.quality import (
    Finding,
    Rule,
    days_without_bar,
    gaps,
    impossible_bars,
    in_range,
    jumps,
    price_limit,
    staleness,
)
from marketdata.symbols import Board
from tests.marketdata.bars import weekdays

# A Monday.
MONDAY = "2024-03-04"
LONG_AGO = date(2000, 1, 4)
CALENDAR: Days = np.array(weekdays("1990-12-19", 9000), "datetime64[D]")
NOTHING: Days = np.empty(0, "datetime64[D]")


def open_days(count: int = 40) -> Days:
    return np.array(weekdays(MONDAY, count), "datetime64[D]")


def made_bars(closes: Sequence[float], days: Days | None = None) -> BarColumns:
    prices = np.array(closes)
    volume = np.full(len(prices), 100, np.int64)
    return BarColumns(open_days(len(prices)) if days is None else days, *[prices] * 4, volume, prices * 100)


def found(
    closes: Sequence[float],
    *,
    symbol: str = "600000.SH",
    days: Days | None = None,
    events: Sequence[Event] = (),
    missing: Days = NOTHING,
    listed_on: date | None = LONG_AGO,
    delisted_on: date | None = None,
) -> list[Finding]:
    bars = made_bars(closes, days)
    return jumps(symbol, bars, events, missing, CALENDAR, listed_on=listed_on, delisted_on=delisted_on)


def test_a_trading_day_without_a_bar_is_missing() -> None:
    days = open_days(5)

    missing = days_without_bar(days, np.delete(days, 2), days[0].item(), days[-1].item())

    assert missing.tolist() == [date(2024, 3, 6)]


def test_a_day_that_is_known_to_have_no_bar_is_not_missing() -> None:
    days = open_days(5)
    first, last = days[0].item(), days[-1].item()

    assert len(days_without_bar(days, days[:1], first, last, absent=days[1:].tolist())) == 0
    assert days_without_bar(days, days[:1], first, last, covered=(first, days[3].item())).tolist() == [last]


def test_neighbouring_missing_days_are_one_finding_also_over_a_weekend() -> None:
    days = open_days(10)

    findings = gaps("600000.SH", days[[1, 4, 5]], days, days[-1].item())

    assert [(each.day, each.until) for each in findings] == [
        (date(2024, 3, 5), date(2024, 3, 5)),
        (date(2024, 3, 8), date(2024, 3, 11)),
    ]
    assert {each.rule for each in findings} == {Rule.MISSING}
    assert str(findings[1].values) == "2 trading days without a bar"
    assert "repair_bars --symbols 600000.SH --start 2024-03-08 --end 2024-03-11" in str(findings[1].repair)


def test_what_is_missing_at_the_end_makes_a_stock_out_of_date_and_is_no_gap() -> None:
    days = open_days(5)

    assert gaps("600000.SH", days[3:], days, days[2].item()) == []
    (finding,) = staleness("600000.SH", days[3:], days[2].item())

    assert (finding.rule, finding.day, finding.until) == (Rule.STALE, date(2024, 3, 7), date(2024, 3, 8))
    assert str(finding.values) == "the newest bar is of 2024-03-06; 2 trading days after it"


def test_a_gap_alone_does_not_make_a_stock_out_of_date() -> None:
    days = open_days(5)

    assert staleness("600000.SH", days[1:2], days[-1].item()) == []


def test_an_impossible_bar_is_listed_with_its_numbers() -> None:
    (finding,) = impossible_bars("600000.SH", made_bars([10.0, 9.5]), ["", "a number is missing"], CALENDAR)

    assert (finding.rule, finding.day) == (Rule.IMPOSSIBLE, date(2024, 3, 5))
    assert str(finding.values) == "a number is missing (9.5 9.5 9.5 9.5 100 950)"


def test_a_close_beyond_the_limit_is_a_jump() -> None:
    (finding,) = found([10.0, 10.0, 8.5, 8.5])

    assert (finding.rule, finding.day) == (Rule.JUMP, date(2024, 3, 6))
    assert str(finding.values).startswith("close 8.50 after 10.00 on 2024-03-05: -15.0%, beyond the limit of 10%")


def test_the_limit_itself_is_rounded_to_a_tick_and_allowed() -> None:
    assert found([10.05, 11.06, 9.95]) == []
    assert len(found([10.05, 11.08])) == 1


@pytest.mark.parametrize(
    ("board", "day", "limit"),
    [
        (Board.MAIN, date(2024, 3, 4), 0.10),
        (Board.STAR, date(2019, 7, 22), 0.20),
        (Board.CHINEXT, date(2020, 8, 21), 0.10),
        (Board.CHINEXT, date(2020, 8, 24), 0.20),
        (Board.BEIJING, date(2024, 3, 4), 0.30),
    ],
)
def test_each_board_has_its_limit(board: Board, day: date, limit: float) -> None:
    assert price_limit(board, day) == limit


@pytest.mark.parametrize(("symbol", "count"), [("688001.SH", 0), ("300750.SZ", 0), ("920001.BJ", 0), ("000001.SZ", 1)])
def test_a_wider_board_may_move_further(symbol: str, count: int) -> None:
    assert len(found([10.0, 11.9], symbol=symbol)) == count


def test_chinext_had_the_narrow_limit_before_its_reform() -> None:
    days = np.array(["2020-08-20", "2020-08-21", "2020-08-24"], "datetime64[D]")

    assert [each.day for each in found([10.0, 11.9, 14.2], symbol="300750.SZ", days=days)] == [date(2020, 8, 21)]


def dividend(day: str, *, before: str, close: float, **facts: float) -> tuple[Event, ...]:
    action = Action(date.fromisoformat(day), **facts)
    return compose([Occurrence(action, date.fromisoformat(before), close, date.fromisoformat(day), close / 2)])


def test_an_ex_date_explains_a_fall_to_its_theoretical_price() -> None:
    events = dividend("2024-03-05", before=MONDAY, close=10.0, new_shares_per_share=1.0)

    assert found([10.0, 5.0, 5.1], events=events) == []


def test_an_ex_date_does_not_explain_any_price() -> None:
    events = dividend("2024-03-05", before=MONDAY, close=10.0, new_shares_per_share=1.0)

    (finding,) = found([10.0, 9.5], events=events)

    assert "after a theoretical price of 5.00" in str(finding.values)


def test_an_action_that_cannot_be_right_says_nothing_about_the_price() -> None:
    events = dividend("2024-03-05", before=MONDAY, close=10.0, cash_per_share=11.0)

    assert found([10.0, 5.0], events=events) == []


def test_the_first_five_days_after_the_listing_have_no_limit() -> None:
    days = open_days(7)
    closes = [10.0, 20.0, 30.0, 40.0, 50.0, 70.0, 70.0]

    findings = found(closes, days=days, listed_on=date(2024, 3, 4))

    assert [each.day for each in findings] == [days[5].item()]


def test_where_the_listing_is_not_known_the_first_five_bars_have_no_limit() -> None:
    findings = found([10.0, 20.0, 30.0, 40.0, 50.0, 70.0], listed_on=None)

    assert [each.day for each in findings] == [date(2024, 3, 11)]


def test_bars_that_begin_after_the_listing_have_a_limit_at_once() -> None:
    listed_on = date(2024, 2, 26)

    assert len(found([10.0, 20.0], listed_on=listed_on)) == 1


def test_nothing_is_said_of_a_jump_over_missing_days() -> None:
    days = open_days(5)

    assert found([10.0, 5.0], days=days[[0, 2]], missing=days[1:2]) == []
    assert len(found([10.0, 5.0], days=days[[0, 2]], missing=days[3:4])) == 1


def test_the_last_weeks_before_a_delisting_are_left_out() -> None:
    assert found([10.0, 5.0], delisted_on=date(2024, 4, 1)) == []
    assert len(found([10.0, 5.0], delisted_on=date(2024, 6, 3))) == 1


def test_days_before_there_were_limits_are_left_out() -> None:
    days = np.array(["1996-12-12", "1996-12-13", "1996-12-16", "1996-12-17"], "datetime64[D]")

    findings = found([10.0, 13.0, 13.0, 9.0], days=days, listed_on=date(1992, 1, 2))

    assert [each.day for each in findings] == [date(1996, 12, 17)]


def test_the_day_after_a_share_structure_reform_is_left_out() -> None:
    days = np.array(["2006-04-03", "2006-05-12"], "datetime64[D]")

    assert found([10.0, 12.0], days=days) == []
    assert len(found([10.0, 12.0], days=days + np.timedelta64(4 * 365, "D"))) == 1


def test_findings_are_those_of_the_range_in_the_order_of_the_days() -> None:
    days = open_days(10)
    findings = [*found([10.0, 5.0]), *gaps("600000.SH", days[[0, 4, 5, 8]], days, days[-1].item())]

    chosen = in_range(findings, days[5].item(), days[7].item())

    assert [(each.day, each.until) for each in chosen] == [(days[4].item(), days[5].item())]
    assert [each.day for each in in_range(findings, None, None)] == [days[at].item() for at in (0, 1, 4, 8)]
