"""A day's certificate: expected, there, missing, suspended."""

from __future__ import annotations

from datetime import date

import pytest

from marketdata.absences import remember_absent
from marketdata.completeness import day_completeness
from marketdata.models import Stock
from marketdata.store import delete_bars, ensure_stocks, store_bars
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
    assert (found.is_complete, found.expected, found.present, found.missing) == (True, 2, 2, ())


def test_a_stock_without_its_bar_is_named() -> None:
    stored("600000.SH", DAYS)
    stored("000001.SZ", [DAYS[0], DAYS[2]])
    found = day_completeness(DAY)
    assert (found.is_complete, found.missing) == (False, ("000001.SZ",))
    assert str(found.text) == "2 expected, 1 there, 1 missing; 0 suspended besides"


def test_a_suspended_stock_is_not_expected() -> None:
    stored("600000.SH", DAYS)
    stored("000001.SZ", [DAYS[0], DAYS[2]], covered=(date(2024, 1, 2), date(2024, 1, 4)))
    remember_absent(stored("000002.SZ", [DAYS[0], DAYS[2]]), [DAY], source="sina")
    found = day_completeness(DAY)
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
    assert not day_completeness(date(2024, 1, 6)).is_complete


def test_deleted_bars_are_missing() -> None:
    delete_bars(stored("600000.SH", DAYS, covered=(date(2024, 1, 2), date(2024, 1, 4))), DAY, DAY)
    stored("000001.SZ", DAYS)
    assert day_completeness(DAY).missing == ("600000.SH",)
