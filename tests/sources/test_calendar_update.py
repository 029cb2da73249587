"""The exchange's calendar as an update follows it: the next year's days, once, and nothing that is not sure."""

from __future__ import annotations

from datetime import date

import pytest

from importer import run_import, stopping
from importer.calendar_update import follow_calendar
from importer.models import Failure, ImportTask, Kind, Status
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.simulated import Simulated
from importer.sources.tdx import Tdx
from importer.verdict import CALENDAR_AHEAD
from marketdata.models import Stock, TradingDay
from marketdata.trading_days import installed_calendar, next_trading_day
from tests.importer.simulated_clock import at
from tests.sources.standin import StandIn
from tests.sources.standin.exchange_days import open_days_of

SYMBOL = "600519.SH"
BEFORE, DAY, AFTER = date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 23)
END = date(2026, 12, 31)
LIST = "klc_td_sh"


@pytest.fixture
def one_stock(standin: StandIn) -> StandIn:
    """The stand-in, and a database with one stock that lacks the newest day."""
    stopping.reset()
    with at(BEFORE):
        assert run_import(Kind.IMPORT, source="eastmoney", symbols=[SYMBOL], start=date(2026, 11, 2)).failed == 0
    standin.clear_door()
    return standin


def update(day: date = DAY) -> ImportTask:
    with at(day):
        return run_import(Kind.UPDATE, source="eastmoney")


def published() -> list[date]:
    return list(TradingDay.objects.values_list("date", flat=True))


def assert_updated(task: ImportTask) -> None:
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert Stock.objects.get(symbol=SYMBOL).last_bar == DAY
    assert not Failure.objects.filter(task=task).exists()


def test_an_update_extends_the_calendar(one_stock: StandIn) -> None:
    assert_updated(update())
    assert published() == open_days_of(2027)
    assert next_trading_day(END) == open_days_of(2027)[0]
    update()
    assert len(one_stock.arrivals("sina", LIST)) == 1


def test_while_nothing_new_is_published_the_list_is_fetched_once_a_day(
    one_stock: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []

    def nothing_new() -> list[date]:
        fetched.append(1)
        return list(installed_calendar().days)

    monkeypatch.setattr("importer.sources.akshare.sina.published_trading_days", nothing_new)
    update()
    update()
    assert len(fetched) == 1
    update(AFTER)
    assert len(fetched) == 2


def test_a_truncated_list_changes_nothing_and_is_fetched_again(
    one_stock: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    one_stock.fault("truncated", path=LIST)
    assert_updated(update())
    assert published() == []
    assert "the exchange's calendar stays as it is" in caplog.text
    one_stock.clear_faults()
    update()
    assert published() == open_days_of(2027)


@pytest.mark.parametrize("fault", ["403", "reset", "html"])
def test_a_ban_does_not_cost_the_update(one_stock: StandIn, fault: str) -> None:
    one_stock.fault(fault, host="sina")
    assert_updated(update())
    assert published() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sources", "today"),
    [([Simulated(seed=1, stocks=3)], DAY), ([Tdx("/nowhere")], DAY), ([Eastmoney()], END - CALENDAR_AHEAD)],
    ids=["simulated", "files", "long before its end"],
)
def test_nobody_is_asked_without_need(sources: list[Eastmoney], today: date, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.sources.akshare.sina.published_trading_days", pytest.fail)
    assert not follow_calendar(sources, today=today)
