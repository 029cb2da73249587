"""A day's certificate: expected, there, missing, suspended."""

from __future__ import annotations

from datetime import date, datetime, time

import numpy as np
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketdata.absences import remember_absent
from marketdata.completeness import (
    DayFigures,
    completeness_among,
    day_completeness,
    newest_figures,
    require_complete,
)
from marketdata.exceptions import IncompleteDay
from marketdata.models import Stock
from marketdata.stock_spans import spans_of
from marketdata.store import delete_bars, ensure_stocks, store_bars
from marketdata.trading_days import EXCHANGE_TIME
from tests.marketdata.bars import bars

pytestmark = pytest.mark.django_db

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04"]
DAY = date(2024, 1, 3)


def stored(symbol: str, days: list[str], covered: tuple[date, date] | None = None, **facts: date) -> int:
    stock_id = ensure_stocks([symbol])[symbol]
    store_bars(stock_id, bars(days), source="tdx", simulated=False, covered=covered)
    Stock.objects.filter(pk=stock_id).update(**facts)
    return stock_id


def test_a_day_is_complete_when_every_listed_stock_has_its_bar() -> None:
    stored("600000.SH", DAYS)
    stored("000001.SZ", DAYS)
    found = day_completeness(DAY)
    assert found.missing == ()
    assert (found.figures.is_complete, found.figures.expected, found.figures.present) == (True, 2, 2)


def test_a_stock_without_its_bar_is_named() -> None:
    stored("600000.SH", DAYS)
    stored("000001.SZ", [DAYS[0], DAYS[2]])
    found = day_completeness(DAY)
    assert (found.figures.is_complete, found.missing) == (False, ("000001.SZ",))
    assert str(found.figures.text) == "2 expected, 1 there, 1 missing"


def test_a_suspended_stock_is_not_expected() -> None:
    stored("600000.SH", DAYS)
    stored("000001.SZ", [DAYS[0], DAYS[2]], covered=(date(2024, 1, 2), date(2024, 1, 4)))
    remember_absent(stored("000002.SZ", [DAYS[0], DAYS[2]]), [DAY], source="sina")
    found = day_completeness(DAY).figures
    assert (found.is_complete, found.expected, found.suspended) == (True, 1, 2)


def test_stocks_count_from_their_listing_until_they_are_delisted() -> None:
    stored("600000.SH", DAYS)
    stored("000001.SZ", DAYS[2:])
    stored("000002.SZ", DAYS[2:], listed_on=date(2024, 1, 2))
    stored("000003.SZ", DAYS[:1], delisted_on=DAY)
    ensure_stocks(["600519.SH"])
    assert day_completeness(DAY).missing == ("000002.SZ",)


def test_a_day_on_which_nobody_traded_is_not_complete() -> None:
    stored("600000.SH", DAYS, covered=(date(2024, 1, 1), date(2024, 1, 7)))
    assert not day_completeness(date(2024, 1, 6)).figures.is_complete


SATURDAY, HOLIDAY, TODAY, TOMORROW = date(2024, 1, 6), date(2024, 1, 1), date(2024, 1, 8), date(2024, 1, 9)


@pytest.mark.parametrize("day", [SATURDAY, HOLIDAY, TODAY, TOMORROW])
def test_nobody_lacks_a_bar_of_a_closed_day_or_of_one_that_is_not_over(day: date) -> None:
    stored("600000.SH", ["2023-12-29", *DAYS])
    stored("000001.SZ", ["2023-12-29", *DAYS], covered=(date(2023, 12, 29), SATURDAY))
    with time_machine.travel(datetime.combine(TODAY, time(15, 59), EXCHANGE_TIME)):
        found = day_completeness(day)
        known_bars = completeness_among(day, spans_of(None), np.array([], np.int64))
    assert found.missing == ()
    assert found.figures == known_bars == DayFigures(day, present=0, missing=0, suspended=0)
    assert not found.figures.is_complete


def test_a_day_that_is_over_is_expected_of_everybody() -> None:
    stored("600000.SH", DAYS)
    with time_machine.travel(datetime.combine(TODAY, time(16, 0), EXCHANGE_TIME)):
        assert day_completeness(TODAY).missing == ("600000.SH",)


def test_a_day_with_a_bar_counts_though_the_calendar_says_that_it_was_closed() -> None:
    stored("600000.SH", DAYS)
    stored("000001.SZ", [*DAYS, SATURDAY.isoformat()])
    assert day_completeness(SATURDAY).missing == ("600000.SH",)


def test_deleted_bars_are_missing() -> None:
    delete_bars(stored("600000.SH", DAYS, covered=(date(2024, 1, 2), date(2024, 1, 4))), DAY, DAY)
    stored("000001.SZ", DAYS)
    assert day_completeness(DAY).missing == ("600000.SH",)


@pytest.fixture
def one_of_each() -> list[int]:
    """Stocks of which the last day is there, missing, suspended by coverage and by repair, and not expected at all."""
    return [
        stored("600000.SH", DAYS),
        stored("600001.SH", DAYS, covered=(date(2024, 1, 2), date(2024, 1, 4))),
        stored("000001.SZ", DAYS[:2]),
        stored("000002.SZ", DAYS[:2], covered=(date(2024, 1, 2), date(2024, 1, 3))),
        stored("000003.SZ", DAYS[:2], covered=(date(2024, 1, 2), date(2024, 1, 4))),
        absent("000004.SZ"),
        stored("000005.SZ", DAYS[:1], delisted_on=date(2024, 1, 3)),
        stored("000006.SZ", DAYS[:1], listed_on=date(2024, 1, 5)),
    ]


def absent(symbol: str) -> int:
    stock_id = stored(symbol, DAYS[:2])
    remember_absent(stock_id, [date(2024, 1, 4)], source="sina")
    return stock_id


def test_the_newest_day_is_counted_without_a_look_at_the_bars(one_of_each: list[int]) -> None:
    with CaptureQueriesContext(connection) as queries:
        figures = newest_figures(date(2024, 1, 4))
    assert (figures.expected, figures.present, figures.missing, figures.suspended) == (4, 2, 2, 2)
    assert figures == day_completeness(date(2024, 1, 4)).figures
    assert len(queries) == 1
    assert "marketdata_bar" not in queries[0]["sql"]


def figures_of(ids: list[int], with_bar: list[int]) -> DayFigures:
    symbols = dict(Stock.objects.values_list("pk", "symbol"))
    spans = spans_of([symbols[stock_id] for stock_id in ids])
    return completeness_among(date(2024, 1, 4), spans, np.array(with_bar, np.int64))


def test_a_reader_who_knows_the_bars_gets_the_same_figures_of_the_stocks_he_names(one_of_each: list[int]) -> None:
    day = date(2024, 1, 4)
    assert figures_of(one_of_each, [0, 1]) == newest_figures(day)
    alone = figures_of(one_of_each[2:5], [])
    assert (alone.expected, alone.present, alone.missing, alone.suspended) == (2, 0, 2, 1)


def test_an_incomplete_day_is_refused_with_its_figures_and_what_to_run(one_of_each: list[int]) -> None:
    with pytest.raises(IncompleteDay, match="4 expected, 2 there, 2 missing; 2 suspended besides") as refused:
        require_complete(newest_figures(date(2024, 1, 4)))
    assert "repair_bars --start 2024-01-04 --end 2024-01-04" in str(refused.value)
    with pytest.raises(IncompleteDay, match="No bar is expected of 2023-12-31"):
        require_complete(day_completeness(date(2023, 12, 31)).figures)
    require_complete(figures_of(one_of_each[:2], [0, 1]))


def test_a_day_of_which_no_bar_is_expected_says_so_and_not_that_everybody_is_suspended() -> None:
    said = str(DayFigures(date(2024, 1, 6), present=0, missing=0, suspended=5011).text)
    assert said.startswith("No bar is expected of 2024-01-06: the exchange was closed, ")
