"""A day's bars against the turnover of the exchanges' indexes."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from marketdata import index_days
from marketdata.completeness import DayFigures, day_completeness, newest_figures, require_complete
from marketdata.exceptions import IncompleteDay, MixedOrigins
from marketdata.index_days import differing_days, read_turnovers, recently_with_index, save_index_days, with_index
from marketdata.market_index import INDEX_OF, TOLERANCE, IndexAnswer, IndexDayBar, compare
from marketdata.models import IndexDay, Stock
from marketdata.reading import load_day
from marketdata.store import claim_origin, ensure_stocks, store_bars
from tests.marketdata.bars import bars, changed

DAY = date(2024, 1, 3)
SHANGHAI, SHENZHEN = INDEX_OF["SH"], INDEX_OF["SZ"]


def test_indexes_agree_within_the_tolerance() -> None:
    found = compare({SHANGHAI: 1000.0, SHENZHEN: 2000.0}, {"SH": 1000 * (1 - TOLERANCE), "SZ": 2010.0, "BJ": 7.0})
    assert (found.answer, found.differing) == (IndexAnswer.AGREES, ())


@pytest.mark.parametrize("of_stocks", [{"SZ": 1000.0, "SH": 979.0}, {"SZ": 1000.0, "SH": 1021.0}, {"SZ": 1000.0}])
def test_one_exchange_that_differs_is_enough_and_is_named(of_stocks: dict[str, float]) -> None:
    found = compare({SHANGHAI: 1000.0, SHENZHEN: 1000.0}, of_stocks)
    assert found.answer == IndexAnswer.DIFFERS
    assert [each.exchange for each in found.differing] == ["SH"]


@pytest.mark.parametrize("of_indexes", [{}, {SHANGHAI: 0.0}, {SHANGHAI: float("nan")}, {"899050.BJ": 5.0}])
def test_an_index_that_is_not_known_proves_nothing(of_indexes: dict[str, float]) -> None:
    assert compare(of_indexes, {"SH": 1000.0}).answer == IndexAnswer.UNKNOWN


@given(st.floats(1, 1e13), st.floats(0, 1e13))
def test_an_answer_depends_on_the_share_alone(of_index: float, of_stocks: float) -> None:
    once, four_times = (
        compare({SHANGHAI: factor * of_index}, {"SH": factor * of_stocks}).turnovers[0] for factor in (1.0, 4.0)
    )
    assert once.differs == four_times.differs


def test_what_differs_is_said_in_hundred_millions() -> None:
    found = compare({SHANGHAI: 5312.4e8, SHENZHEN: 1.5e8}, {"SH": 4871.2e8, "SZ": 1.5e8})
    assert str(found.text) == (
        "Shanghai: the stocks' turnover is 4,871 hundred million yuan, the index's is 5,312 hundred million yuan"
    )
    with translation.override("zh-hans"):
        assert str(found.text) == "上海：成分股成交额合计 4,871 亿，指数成交额 5,312 亿"


@pytest.fixture
def market(db: None) -> dict[str, float]:
    """Two stocks of Shanghai and one of Shenzhen with their bars; return what each exchange turned over."""
    index_days.forget_sums()
    ids = ensure_stocks(["600000.SH", "600519.SH", "000001.SZ"])
    for seed, stock_id in enumerate(ids.values(), 1):
        frame = bars([date(2024, 1, 2), DAY], seed=seed)
        store_bars(stock_id, frame, source="tdx", simulated=False, covered=(date(2024, 1, 2), DAY))
    turnovers = read_turnovers(DAY)
    assert set(turnovers) == {"SH", "SZ"}
    return turnovers


def keep(index: str, amount: float) -> None:
    save_index_days(index, [IndexDayBar(DAY, 3000.0, amount)], source="eastmoney")


def figures() -> DayFigures:
    return day_completeness(DAY).figures


def test_a_day_without_an_index_is_complete_as_before(market: dict[str, float]) -> None:
    found = with_index(figures())
    assert (found.is_complete, found.index.answer) == (True, IndexAnswer.UNKNOWN)


def test_a_day_whose_indexes_agree_is_complete(market: dict[str, float]) -> None:
    keep(SHANGHAI, market["SH"])
    found = with_index(figures())
    assert (found.is_complete, found.index.answer) == (True, IndexAnswer.AGREES)


def test_a_day_whose_index_differs_is_incomplete_and_says_so_in_a_sentence_of_its_own(market: dict[str, float]) -> None:
    keep(SHANGHAI, market["SH"])
    keep(SHENZHEN, 2 * market["SZ"])
    found = with_index(figures())
    assert (found.is_complete, found.missing, found.index.answer) == (False, 0, IndexAnswer.DIFFERS)
    with pytest.raises(IncompleteDay, match=r"Shenzhen: the stocks' turnover is .*repair_bars --start 2024-01-03"):
        require_complete(found)


def test_while_a_stock_is_missing_nothing_is_compared(market: dict[str, float]) -> None:
    keep(SHANGHAI, 2 * market["SH"])
    store_bars(
        ensure_stocks(["000002.SZ"])["000002.SZ"], bars([date(2024, 1, 2)]), source="tdx", simulated=False, covered=None
    )
    found = with_index(figures())
    assert (found.missing, found.index.answer) == (1, IndexAnswer.UNKNOWN)
    with pytest.raises(IncompleteDay, match="1 missing"):
        require_complete(found)


def test_a_newer_answer_replaces_an_older_one(market: dict[str, float]) -> None:
    keep(SHANGHAI, 1.0)
    keep(SHANGHAI, market["SH"])
    assert with_index(figures()).index.answer == IndexAnswer.AGREES
    assert IndexDay.objects.count() == 1


def test_a_page_sums_a_days_bars_once_a_minute(market: dict[str, float]) -> None:
    keep(SHANGHAI, market["SH"])
    day = newest_figures(DAY)
    assert recently_with_index(day) == with_index(day)
    with CaptureQueriesContext(connection) as queries:
        recently_with_index(day)
    assert not any("marketdata_bar" in query["sql"] for query in queries)


def test_a_page_sums_anew_when_another_number_of_stocks_has_a_bar(market: dict[str, float]) -> None:
    keep(SHANGHAI, market["SH"])
    recently_with_index(newest_figures(DAY))
    frame = changed(bars([DAY], seed=9), 0, "amount", 1e12)
    store_bars(ensure_stocks(["600009.SH"])["600009.SH"], frame, source="tdx", simulated=False, covered=None)
    assert recently_with_index(newest_figures(DAY)).index.answer == IndexAnswer.DIFFERS


def test_stocks_without_bars_cost_no_seek(market: dict[str, float]) -> None:
    Stock.objects.filter(symbol="600519.SH").update(bar_count=0)
    assert read_turnovers(DAY)["SH"] < market["SH"]


def test_a_day_across_the_market_says_whether_its_index_agrees(market: dict[str, float]) -> None:
    keep(SHANGHAI, market["SH"])
    said = load_day(DAY, incomplete="refuse").attrs
    assert (said["complete"], said["index"]) == (True, "agrees")
    keep(SHANGHAI, 2 * market["SH"])
    said = load_day(DAY).attrs
    assert (said["complete"], said["missing"], said["index"]) == (False, 0, "differs")
    with pytest.raises(IncompleteDay, match="Shanghai"):
        load_day(DAY, incomplete="refuse")


def test_some_stocks_of_a_day_are_not_compared_with_an_index(market: dict[str, float]) -> None:
    keep(SHANGHAI, 2 * market["SH"])
    said = load_day(DAY, "600000,600519", incomplete="refuse").attrs
    assert (said["complete"], said["index"]) == (True, "unknown")


def test_the_days_that_differ_are_found_among_all_that_are_known(market: dict[str, float]) -> None:
    days = [IndexDayBar(day, 3000.0, read_turnovers(day)["SH"]) for day in (date(2024, 1, 2), DAY)]
    save_index_days(SHANGHAI, days, source="eastmoney")
    assert differing_days(None, None) == []
    keep(SHANGHAI, 2 * market["SH"])
    assert [each.day for each in differing_days(None, None)] == [DAY]
    assert differing_days(None, date(2024, 1, 2)) == []
    assert differing_days(date(2024, 1, 4), None) == []


@pytest.mark.django_db
def test_an_index_of_the_real_market_is_not_stored_beside_a_simulated_one() -> None:
    claim_origin(simulated=True)
    with pytest.raises(MixedOrigins):
        keep(SHANGHAI, 1.0)
    assert not IndexDay.objects.exists()
