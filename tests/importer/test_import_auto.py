"""A full import with ``auto``: each stock from the first source that has it, and what a ban of that one changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from importer import run_import, stopping
from importer.invariants import violations
from importer.models import Failure, ImportTask, Kind, Status
from marketdata.models import Bar, Stock
from marketdata.store import verify_summaries
from tests.importer.simulated_clock import at
from tests.sources.conftest import led_to
from tests.sources.standin import StandIn, running_standin
from tests.sources.standin.bars import DELISTED

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

DAY = date(2026, 11, 20)
SINCE = date(2026, 9, 1)
STOCKS = 36


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running_standin(tmp_path_factory.mktemp("standin"), stocks=STOCKS, until=DAY) as standin:
        yield standin


@pytest.fixture
def standin(process: StandIn, settings: Any) -> Iterator[StandIn]:
    settings.TDX_SERVERS = [("one.example", 7709), ("other.example", 7709)]
    stopping.reset()
    # The stand-in may be slow on a busy machine, which is no fault that a test asked for.
    settings.REQUEST_TIMEOUT = 25.0
    with led_to(process, settings):
        yield process
    assert violations() == []
    assert verify_summaries() == []


def imported(source: str = "auto", **options: Any) -> ImportTask:
    with at(DAY):
        return run_import(Kind.IMPORT, source=source, start=SINCE, **options)


def sources_of_stocks() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for symbol, source in Bar.objects.values_list("stock__symbol", "source").distinct():
        found.setdefault(source, set()).add(symbol)
    return found


def test_each_stock_comes_from_the_first_source_that_has_it(standin: StandIn) -> None:
    task = imported()
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert Stock.objects.count() == len(standin.market.symbols())
    beijing = {symbol for symbol in standin.market.listed() if symbol.endswith("BJ")}
    assert sources_of_stocks() == {"tdxquotes": set(standin.market.listed()) - beijing, "sina": beijing}
    assert standin.arrivals("push2his.eastmoney.com") == [], "it is kept for the snapshot and the corporate actions"


def test_delisted_stocks_come_from_the_next_source(standin: StandIn) -> None:
    symbol = "000003.SZ"
    with at(DAY):
        task = run_import(Kind.IMPORT, source="auto", start=date(2022, 1, 4), symbols=[symbol])
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert sources_of_stocks() == {"baostock": {symbol}}
    assert Stock.objects.get(symbol=symbol).last_bar <= DELISTED[symbol]


def test_when_the_first_source_refuses_the_others_give_every_stock(standin: StandIn) -> None:
    standin.fault("reset", host="tdxquotes", path="bars", after=5)
    standin.fault("refused", host="baostock", path="query_history", every=3)
    task = imported()
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    found = sources_of_stocks()
    assert len(found["tdxquotes"]) == 5
    assert sum(len(stocks) for stocks in found.values()) == STOCKS
    assert not Bar.objects.filter(date__gt=DAY).exists()


def test_a_list_without_beijing_is_said_to_be_one(standin: StandIn) -> None:
    with at(date(2026, 11, 21)):
        task = run_import(Kind.IMPORT, source="baostock", start=SINCE)
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    said = [str(each.reason) for each in Failure.objects.filter(task=task, finding=True)]
    assert any("lacks Beijing" in reason for reason in said)
    assert not Stock.objects.filter(symbol__endswith="BJ").exists()
