from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from marketdata.models import Bar, Stock
from marketdata.store import SummaryMismatch, bars_hash, delete_bars, ensure_stocks, store_bars, verify_summaries
from tests.marketdata.bars import bars, changed

pytestmark = pytest.mark.django_db

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04"]
# Of the bars below, worked out once: both databases have to give it.
KNOWN_HASH = "75f6bbcfb2a5666bb6165c66f82ed2614e831d066d56e013d107563d5037c74c"


def store(symbol: str, frame: pd.DataFrame, source: str = "tdx") -> int:
    stock_id = ensure_stocks([symbol])[symbol]
    store_bars(stock_id, frame, source=source, simulated=False, covered=None)
    return stock_id


def test_summaries_that_equal_a_count_are_not_listed() -> None:
    store("600519.SH", bars(DAYS))
    ensure_stocks(["000001.SZ"])
    assert verify_summaries() == []


def test_a_wrong_summary_is_listed_with_what_is_stored_and_what_was_counted() -> None:
    store("600519.SH", bars(DAYS))
    store("000001.SZ", bars(DAYS))
    Bar.objects.filter(stock__symbol="600519.SH", date="2024-01-04").delete()
    Stock.objects.filter(symbol="000001.SZ").update(bar_count=0, first_bar=None, last_bar=None)
    first, last = date(2024, 1, 2), date(2024, 1, 4)
    assert verify_summaries() == [
        SummaryMismatch("000001.SZ", (None, None, 0), (first, last, 3)),
        SummaryMismatch("600519.SH", (first, last, 3), (first, date(2024, 1, 3), 2)),
    ]


def test_bars_without_a_stock_are_listed() -> None:
    Bar.objects.create(stock_id=4711, date=DAYS[0], open=1, high=1, low=1, close=1, volume=1, amount=1, source="tdx")
    day = date(2024, 1, 2)
    assert verify_summaries() == [SummaryMismatch("#4711", (None, None, 0), (day, day, 1))]


def test_the_hash_is_the_same_on_every_database_and_in_any_order() -> None:
    store("600519.SH", bars(DAYS))
    store("000001.SZ", bars(DAYS, seed=2))
    assert bars_hash() == KNOWN_HASH


def test_the_order_of_imports_the_source_and_stocks_without_bars_do_not_count() -> None:
    ensure_stocks(["300750.SZ"])
    stock_id = store("000001.SZ", bars(DAYS[1:], seed=2), source="sina")
    store("600519.SH", bars(DAYS[2:]))
    store("000001.SZ", changed(bars(DAYS, seed=2), 1, "close", 1))
    delete_bars(stock_id, date(2024, 1, 4))
    store("000001.SZ", bars(DAYS, seed=2))
    store("600519.SH", bars(DAYS[:2]), source="eastmoney")
    assert bars_hash() == KNOWN_HASH


@pytest.mark.parametrize(
    ("column", "by"), [("open", 0.01), ("high", 0.01), ("low", -0.01), ("close", 0.01), ("volume", 1), ("amount", 1)]
)
def test_a_difference_in_any_value_of_any_day_changes_the_hash(column: str, by: float) -> None:
    store("600519.SH", changed(bars(DAYS), 1, column, by))
    store("000001.SZ", bars(DAYS, seed=2))
    assert bars_hash() != KNOWN_HASH


def test_less_than_half_a_cent_and_half_a_yuan_do_not_change_the_hash() -> None:
    frame = bars(DAYS).assign(amount=[100.0, 200.0, 300.0])
    store("600519.SH", frame)
    before = bars_hash()
    store("600519.SH", changed(changed(frame, 0, "close", 0.004), 1, "amount", 0.4))
    assert bars_hash() == before


def test_the_same_bars_under_another_symbol_or_date_have_another_hash() -> None:
    store("600519.SH", bars(DAYS))
    before = bars_hash()
    Stock.objects.update(symbol="600518.SH")
    assert bars_hash() != before
    Stock.objects.update(symbol="600519.SH")
    Bar.objects.filter(date=DAYS[2]).update(date="2024-01-05")
    assert bars_hash() != before
