"""A day of many stocks at once: what is extended, what is only known to have no bar, and what is refused."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from django.db import connection, transaction

from marketdata.exceptions import MixedOrigins
from marketdata.models import Bar, Stock
from marketdata.store import (
    Standing,
    bars_hash,
    ensure_stocks,
    standings,
    store_bars,
    store_day,
    verify_summaries,
)
from tests.marketdata.bars import bars

pytestmark = pytest.mark.django_db

SYMBOLS = ["000001.SZ", "300750.SZ", "600519.SH", "920001.BJ"]
BEFORE = ["2024-01-02", "2024-01-03", "2024-01-04"]
DAY = date(2024, 1, 5)
COVERED = (date(2024, 1, 1), date(2024, 1, 4))


@pytest.fixture
def stocks() -> dict[str, int]:
    ids = ensure_stocks([*SYMBOLS, "600000.SH"])
    for symbol in SYMBOLS:
        store_bars(ids[symbol], bars(BEFORE), source="tdx", simulated=False, covered=COVERED)
    return ids


def day_frame(count: int) -> pd.DataFrame:
    return pd.concat([bars([DAY.isoformat()]) for _ in range(count)], ignore_index=True)


def extend(symbols: list[str], *, without_bar: list[str] | None = None, simulated: bool = False) -> None:
    with transaction.atomic():
        found = standings(SYMBOLS, lock=True)
        store_day(
            DAY,
            [found[symbol] for symbol in symbols],
            day_frame(len(symbols)),
            without_bar=[found[symbol] for symbol in without_bar or []],
            source="eastmoney",
            simulated=simulated,
        )


@pytest.mark.usefixtures("stocks")
def test_standings_say_how_far_each_stock_with_bars_is_known() -> None:
    found = standings([*SYMBOLS, "600000.SH", "601988.SH"])
    assert sorted(found) == SYMBOLS
    last = bars(BEFORE).iloc[-1]
    one = found["600519.SH"]
    assert (one.last_bar, one.covered, one.known_until) == (date(2024, 1, 4), COVERED, date(2024, 1, 4))
    assert (one.open, one.close, one.volume, one.amount) == (
        last["open"],
        last["close"],
        last["volume"],
        last["amount"],
    )


@pytest.mark.usefixtures("stocks")
def test_each_stock_gets_its_bar_with_its_summary_and_its_coverage() -> None:
    extend(SYMBOLS[:3])
    assert Bar.objects.filter(date=DAY, source="eastmoney").count() == 3
    assert verify_summaries() == []
    assert set(Stock.objects.filter(symbol__in=SYMBOLS[:3]).values_list("covered_from", "covered_until")) == {
        (date(2024, 1, 1), DAY)
    }
    assert Stock.objects.get(symbol=SYMBOLS[3]).covered_until == date(2024, 1, 4)


def test_the_result_is_that_of_storing_stock_by_stock(stocks: dict[str, int]) -> None:
    extend(SYMBOLS)
    at_once = bars_hash()
    Bar.objects.filter(date=DAY).delete()
    for symbol in SYMBOLS:
        frame = bars([DAY.isoformat()])
        store_bars(stocks[symbol], frame, source="eastmoney", simulated=False, covered=(COVERED[1], DAY))
    assert bars_hash() == at_once


@pytest.mark.usefixtures("stocks")
def test_a_suspended_stock_is_known_to_have_no_bar_that_day() -> None:
    extend(SYMBOLS[:1], without_bar=SYMBOLS[1:2])
    suspended = Stock.objects.get(symbol=SYMBOLS[1])
    assert (suspended.last_bar, suspended.covered_until, suspended.bar_count) == (date(2024, 1, 4), DAY, 3)
    assert verify_summaries() == []


@pytest.mark.usefixtures("stocks")
def test_a_day_that_is_stored_is_never_stored_again() -> None:
    extend(SYMBOLS)
    before = bars_hash()
    with pytest.raises(ValueError, match="has a bar on"):
        extend(SYMBOLS)
    assert bars_hash() == before


@pytest.mark.usefixtures("stocks")
def test_a_stock_that_is_not_where_its_standing_says_undoes_everything() -> None:
    found = standings(SYMBOLS)
    stale = [*list(found.values())[:2], *(_earlier(each) for each in list(found.values())[2:])]
    with pytest.raises(ValueError, match="2 stocks are not where"), transaction.atomic():
        store_day(DAY, stale, day_frame(4), source="eastmoney", simulated=False)
    assert not Bar.objects.filter(date=DAY).exists()


def _earlier(standing: Standing) -> Standing:
    return Standing(standing.stock_id, standing.symbol, date(2024, 1, 3), 1.0, 1.0, 1.0, 1.0, 1, 1.0)


@pytest.mark.usefixtures("stocks")
def test_another_kind_of_market_is_refused() -> None:
    with pytest.raises(MixedOrigins):
        extend(SYMBOLS, simulated=True)
    assert not Bar.objects.filter(date=DAY).exists()


@pytest.mark.usefixtures("stocks")
def test_a_row_without_a_number_is_refused() -> None:
    frame = day_frame(4)
    frame.loc[2, "close"] = float("nan")
    with pytest.raises(ValueError, match="missing or infinite"), transaction.atomic():
        store_day(DAY, list(standings(SYMBOLS).values()), frame, source="eastmoney", simulated=False)


@pytest.mark.django_db(transaction=True)
def test_it_belongs_into_the_transaction_of_its_standings(stocks: dict[str, int]) -> None:
    assert not connection.in_atomic_block
    with pytest.raises(ValueError, match="transaction"):
        store_day(DAY, list(standings(SYMBOLS).values()), day_frame(4), source="eastmoney", simulated=False)
