"""The daily update through AKShare's own paging: how many requests it is, and what a ban in the middle of it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest
from django.db.models import Count

from importer import run_import, stopping
from importer.invariants import violations
from importer.models import Failure, ImportTask, Kind, SnapshotPart, Status
from marketdata.completeness import DayFigures, newest_figures
from marketdata.index_days import with_index
from marketdata.market_index import IndexAnswer
from marketdata.models import Bar, CorporateAction, IndexDay, Stock
from marketdata.store import bars_hash, delete_bars, ensure_stocks, store_bars, verify_summaries
from marketdata.trading_days import previous_trading_day
from tests.importer.simulated_clock import at
from tests.sources.conftest import led_to
from tests.sources.standin import StandIn, running_standin
from tests.sources.standin.bars import INDEXES
from tests.sources.standin.datacenter_pages import PAYS_TODAY, SURPRISE

# AKShare sleeps about a second before each page but the first of an exchange.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

DAY = date(2026, 11, 20)
BEFORE = previous_trading_day(DAY) or DAY
SINCE = date(2026, 11, 2)
STOCKS = 330
# Shanghai and Shenzhen have two pages each, Beijing one.
PAGES = 5


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running_standin(tmp_path_factory.mktemp("standin"), stocks=STOCKS, until=DAY) as standin:
        yield standin


@pytest.fixture
def standin(process: StandIn, settings: Any) -> Iterator[StandIn]:
    """Lead this process to the stand-in, with every bar up to the day before in the database."""
    stopping.reset()
    fill(process)
    # The stand-in may be slow on a busy machine, which is no fault that a test asked for.
    settings.REQUEST_TIMEOUT = 25.0
    with led_to(process, settings):
        yield process
    assert violations() == []
    assert verify_summaries() == []


def fill(standin: StandIn) -> None:
    symbols = standin.market.listed()
    ids = ensure_stocks(symbols)
    for symbol in symbols:
        frame = expected(standin, symbol, SINCE, BEFORE)
        store_bars(ids[symbol], frame, source="eastmoney", simulated=False, covered=(SINCE, BEFORE))


def expected(standin: StandIn, symbol: str, start: date, end: date, *, lot: int = 100) -> pd.DataFrame:
    bars = standin.market.bars(symbol, start, end)
    return pd.DataFrame(
        {
            "date": pd.to_datetime([bar.day for bar in bars]).astype("datetime64[s]"),
            **{name: [getattr(bar, name) / 100 for bar in bars] for name in ("open", "high", "low", "close")},
            "volume": [bar.volume // lot * lot for bar in bars],
            "amount": [bar.amount for bar in bars],
        }
    )


def update(source: str = "eastmoney") -> ImportTask:
    with at(DAY):
        return run_import(Kind.UPDATE, source=source)


def hash_of_what_is_true(standin: StandIn, *, from_sina: str = "-") -> str:
    """Return the hash of the bars as they are, the day's of the exchange ``from_sina`` to the share."""
    for symbol, stock_id in Stock.objects.values_list("symbol", "pk"):
        delete_bars(stock_id)
        lot = 1 if symbol.endswith(from_sina) else 100
        for frame in (expected(standin, symbol, SINCE, BEFORE), expected(standin, symbol, DAY, DAY, lot=lot)):
            store_bars(stock_id, frame, source="eastmoney", simulated=False, covered=None)
    return bars_hash()


def bars_of_the_day() -> int:
    return Bar.objects.filter(date=DAY).count()


def test_an_update_is_a_few_requests_and_ends_with_the_bars_that_are_true(standin: StandIn) -> None:
    task = update()
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert len(standin.arrivals("82.push2.eastmoney.com")) == PAGES
    asked = [arrival.symbol for arrival in standin.arrivals("push2his.eastmoney.com")]
    assert len(asked) == 6
    assert SURPRISE in asked, "three probes, and the ex-right that nothing explains"
    assert set(INDEXES) < set(asked), "and the two indexes"
    assert 0 < len(standin.arrivals("datacenter-web.eastmoney.com")) < 20
    assert task.rows_written == bars_of_the_day() == STOCKS
    by_day = bars_hash()
    assert hash_of_what_is_true(standin) == by_day


def test_an_ex_right_finds_its_action_and_one_without_is_listed(standin: StandIn) -> None:
    task = update()
    action = CorporateAction.objects.get(stock__symbol=PAYS_TODAY, ex_date=DAY)
    assert (action.cash_per_share, action.new_shares_per_share) == (0.3, 0.2)
    assert action.previous_close is not None
    listed = Failure.objects.filter(task=task, finding=True)
    assert [(each.symbol, each.code) for each in listed] == [(SURPRISE, "ex_right_unknown")]


def test_a_second_update_sends_nothing(standin: StandIn) -> None:
    update()
    standin.clear_door()
    again = update()
    assert (again.status, again.rows_written) == (Status.COMPLETED, 0)
    assert standin.arrivals() == []


def test_a_page_that_fails_once_costs_another_turn_of_its_part(standin: StandIn) -> None:
    standin.fault("502", path="clist", after=2, times=1)
    task = update()
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert not Failure.objects.filter(task=task, code="task").exists()
    assert len(standin.arrivals("push2his.eastmoney.com")) == 6
    assert len(standin.arrivals("82.push2.eastmoney.com")) == PAGES + 2, "Shenzhen's first page twice, and the failure"


def test_a_ban_in_the_middle_costs_one_exchange_and_loses_nothing(standin: StandIn) -> None:
    # Beijing's page, Shenzhen's two and the first of Shanghai's come; then the market pages refuse.
    standin.fault("reset", path="clist", after=4)
    task = update()
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert sorted(SnapshotPart.objects.values_list("part", flat=True)) == ["BJ", "SZ"]
    asked = {arrival.symbol for arrival in standin.arrivals("push2his.eastmoney.com")}
    shanghai = {symbol for symbol in standin.market.listed() if symbol.endswith("SH")}
    assert shanghai < asked
    assert len(asked - shanghai) < 10
    by_day = bars_hash()
    assert hash_of_what_is_true(standin) == by_day


def test_when_everything_of_eastmoney_refuses_sinas_pages_give_the_rest(standin: StandIn, settings: Any) -> None:
    settings.AUTO_ORDER = ["eastmoney", "sina"]
    for host in ("82.push2.eastmoney.com", "push2his.eastmoney.com"):
        # The pages of Beijing and Shenzhen, and the first of Shanghai, come; their probes do.
        standin.fault("reset", host=host, after=4 if host.startswith("82") else 2)
    task = update("auto")
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert not Failure.objects.filter(task=task, code="task").exists(), "nothing was left out"
    assert {(each.source, each.part) for each in SnapshotPart.objects.all()} == {
        ("eastmoney", "BJ"), ("eastmoney", "SZ"), ("sina", ""),
    }  # fmt: skip
    by_source = dict(Bar.objects.filter(date=DAY).values_list("source").annotate(Count("pk")))
    shanghai = sum(symbol.endswith("SH") for symbol in standin.market.listed())
    # And by itself the one whose ex-right nothing explains.
    assert by_source == {"eastmoney": STOCKS - shanghai - 1, "sina": shanghai + 1}
    assert len(standin.arrivals("sina")) < 20
    by_day = bars_hash()
    assert hash_of_what_is_true(standin, from_sina="SH") == by_day


def test_a_site_that_still_shows_the_day_before_is_asked_again_another_time(standin: StandIn) -> None:
    update()
    before = bars_hash()
    # The stand-in knows nothing of Monday: neither its pages nor its histories.
    with at(date(2026, 11, 23)):
        task = run_import(Kind.UPDATE, source="eastmoney")
    assert (task.status, task.failed, task.rows_written) == (Status.COMPLETED, 0, 0)
    said = [each.reason for each in Failure.objects.filter(task=task, finding=True)]
    assert len(said) == 3
    assert all("it is not of today" in reason for reason in said)
    assert bars_hash() == before
    assert not Stock.objects.filter(covered_until__gt=DAY).exists(), "nothing says that Monday has no bars"


def the_day() -> DayFigures:
    return with_index(newest_figures(DAY))


def lose_bars(share: float, exchange: str) -> None:
    """Delete the day's bars of a share of an exchange's stocks, and leave them as if they were suspended."""
    stocks = list(Stock.objects.filter(exchange=exchange, last_bar=DAY).order_by("symbol"))
    for stock in stocks[: int(share * len(stocks))]:
        Bar.objects.filter(stock=stock, date=DAY).delete()
        Stock.objects.filter(pk=stock.pk).update(last_bar=BEFORE, bar_count=stock.bar_count - 1)


def test_an_update_gets_the_indexes_and_they_agree_with_the_bars(standin: StandIn) -> None:
    update()
    assert the_day().index.answer == IndexAnswer.AGREES
    assert {each.exchange for each in the_day().index.turnovers} == {"SH", "SZ"}
    assert the_day().is_complete
    assert set(IndexDay.objects.values_list("date", "source")) == {(DAY, "eastmoney")}


def test_bars_that_got_lost_make_the_day_incomplete_though_nobody_seems_to_be_missing(standin: StandIn) -> None:
    update()
    lose_bars(0.1, "SZ")
    found = the_day()
    assert (found.missing, found.index.answer, found.is_complete) == (0, IndexAnswer.DIFFERS, False)
    assert [each.exchange for each in found.index.differing] == ["SZ"]


def test_an_index_that_is_not_to_be_had_costs_nothing_and_is_unknown(
    standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    for index in INDEXES:
        standin.fault("502", path="kline", symbol=index)
    task = update()
    assert (task.status, task.failed, task.rows_written) == (Status.COMPLETED, 0, STOCKS)
    assert not Failure.objects.filter(task=task, code="task").exists()
    assert "no source has the indexes of 2026-11-20" in caplog.text
    assert (the_day().index.answer, the_day().is_complete) == (IndexAnswer.UNKNOWN, True)


def test_who_holds_a_part_of_the_market_is_not_compared_with_its_index(standin: StandIn) -> None:
    few = list(Stock.objects.filter(exchange="SZ").order_by("symbol"))[::4]
    for stock in few:
        delete_bars(stock.pk)
    Stock.objects.filter(pk__in=[stock.pk for stock in few]).delete()
    update()
    assert [each.symbol for each in standin.arrivals(path="kline") if each.symbol in INDEXES] == ["000001.SH"]
