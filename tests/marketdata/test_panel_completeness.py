"""Which days of a panel are not complete."""

from __future__ import annotations

from datetime import date, datetime

import pytest
import time_machine

from marketdata.absences import remember_absent
from marketdata.completeness import day_completeness
from marketdata.exceptions import IncompleteDay, UnknownStock
from marketdata.models import Stock
from marketdata.panel_completeness import require_complete_range
from marketdata.reading import load_day, load_panel
from marketdata.store import ensure_stocks, store_bars
from marketdata.trading_days import EXCHANGE_TIME
from tests.marketdata.bars import bars

pytestmark = pytest.mark.django_db

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
ALL_FOUR = (date(2024, 1, 2), date(2024, 1, 5))


def stored(symbol: str, days: list[str], covered: tuple[date, date] | None = None, **facts: date) -> int:
    stock_id = ensure_stocks([symbol])[symbol]
    store_bars(stock_id, bars(days), source="tdx", simulated=False, covered=covered)
    Stock.objects.filter(pk=stock_id).update(**facts)
    return stock_id


@pytest.fixture
def market() -> None:
    """Stocks that are there, missing, suspended in both ways, not yet listed, delisted, and without any bar."""
    stored("600000.SH", DAYS)
    stored("600001.SH", [DAYS[0], DAYS[3]])
    stored("600002.SH", [DAYS[0], DAYS[3]], covered=ALL_FOUR)
    remember_absent(stored("000001.SZ", [DAYS[0], DAYS[3]]), [date(2024, 1, 3), date(2024, 1, 4)], source="sina")
    stored("000002.SZ", DAYS[2:])
    stored("000003.SZ", DAYS[2:], listed_on=date(2024, 1, 3))
    stored("000004.SZ", DAYS[:1], delisted_on=date(2024, 1, 3))
    stored("000005.SZ", DAYS[:3], covered=(date(2024, 1, 2), date(2024, 1, 4)))
    ensure_stocks(["000006.SZ"])


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_a_panel_says_of_each_day_how_many_stocks_are_missing(layout) -> None:
    panel = load_panel(layout=layout)
    assert panel.attrs["incomplete"] == {"2024-01-03": 2, "2024-01-04": 1, "2024-01-05": 1}
    assert not panel.attrs["complete"]


@pytest.mark.usefixtures("market")
def test_a_panel_counts_each_day_as_a_day_is_counted() -> None:
    missing = load_panel().attrs["incomplete"]
    for day in DAYS:
        assert missing.get(day, 0) == load_day(day).attrs["missing"]
        assert missing.get(day, 0) == len(day_completeness(date.fromisoformat(day)).missing)


@pytest.mark.usefixtures("market")
def test_only_the_stocks_and_the_days_that_are_asked_for_count() -> None:
    assert load_panel(["600000", "600002", "000001", "000004"]).attrs["complete"]
    assert load_panel(["600000", "600001"]).attrs["incomplete"] == {"2024-01-03": 1, "2024-01-04": 1}
    assert load_panel(["600000", "600001"], end="2024-01-03").attrs["incomplete"] == {"2024-01-03": 1}
    assert load_panel(["600001"], as_of="2024-01-03", end="2024-01-05").attrs["incomplete"] == {"2024-01-03": 1}
    assert load_panel("000006").attrs["complete"]


def test_a_day_of_the_range_without_any_bar_is_incomplete_when_the_exchange_was_open() -> None:
    stored("600000.SH", [DAYS[0], DAYS[2]])
    assert load_panel().attrs["incomplete"] == {"2024-01-03": 1}
    # Friday is asked for, and the weekend after it.
    assert load_panel(end="2024-01-07").attrs["incomplete"] == {"2024-01-03": 1, "2024-01-05": 1}
    assert load_panel(start="2024-01-05", end="2024-01-07").attrs["incomplete"] == {"2024-01-05": 1}


def test_days_that_are_not_finished_are_not_missing() -> None:
    stored("600000.SH", DAYS, covered=(date(2024, 1, 2), date(2199, 1, 1)))
    assert load_panel(end="2100-01-01").attrs["complete"]
    Stock.objects.update(covered_from=None, covered_until=None, delisted_on="2024-01-06")
    assert load_panel(end="2100-01-01").attrs["complete"]
    Stock.objects.update(delisted_on=None)
    with time_machine.travel(datetime(2024, 1, 9, 16, tzinfo=EXCHANGE_TIME)):
        assert load_panel(end="2024-02-01").attrs["incomplete"] == {"2024-01-08": 1, "2024-01-09": 1}
    with time_machine.travel(datetime(2024, 1, 9, 15, 59, tzinfo=EXCHANGE_TIME)):
        assert load_panel(end="2024-02-01").attrs["incomplete"] == {"2024-01-08": 1}


@pytest.mark.usefixtures("market")
def test_an_incomplete_panel_is_refused_with_its_first_incomplete_day() -> None:
    with pytest.raises(IncompleteDay) as refused:
        load_panel(incomplete="refuse")
    assert "2024-01-03 is not complete: 4 expected, 2 there, 2 missing; 2 suspended besides" in str(refused.value)
    assert "2 more days are not complete" in str(refused.value)
    assert "repair_bars --start 2024-01-03 --end 2024-01-05" in str(refused.value)


@pytest.mark.usefixtures("market")
def test_a_panel_with_one_incomplete_day_is_refused_as_that_day_is() -> None:
    with pytest.raises(IncompleteDay) as of_the_day:
        load_day("2024-01-05", incomplete="refuse")
    with pytest.raises(IncompleteDay) as of_the_panel:
        load_panel(start="2024-01-05", incomplete="refuse")
    assert str(of_the_panel.value) == str(of_the_day.value)


@pytest.mark.usefixtures("market")
def test_a_complete_panel_is_not_refused() -> None:
    assert len(load_panel("600000,600002", incomplete="refuse")) == 4
    with pytest.raises(ValueError, match="mark or refuse"):
        load_panel(incomplete="ignore")  # type: ignore[arg-type]


@pytest.mark.usefixtures("market")
def test_a_range_is_refused_without_its_prices_being_read() -> None:
    with pytest.raises(IncompleteDay, match="2024-01-03"):
        require_complete_range(None, None, None)
    with pytest.raises(UnknownStock):
        require_complete_range(["600009.SH"], None, None)
    require_complete_range(["600000.SH", "600002.SH"], None, date(2024, 1, 5))
