"""What an import makes of the list of stocks: new names and boards, delisted stocks, and Beijing's new codes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, ClassVar

import pandas as pd
import pytest

from importer import run_import, stopping
from importer.models import Failure, ImportTask, Kind, Status
from importer.sources import registry
from importer.sources.base import ListedStock
from importer.sources.registry import Entry
from marketdata.models import Bar, Stock
from marketdata.store import save_listing, verify_summaries

pytestmark = pytest.mark.django_db(transaction=True)

DAYS = [date(2025, 9, 29), date(2025, 9, 30), date(2025, 10, 9), date(2025, 10, 10)]


class SmallMarket:
    """A source with the stocks and the days that a test gives it."""

    name: ClassVar[str] = "sina"
    label: ClassVar[str] = "Sina"
    paced: ClassVar[bool] = False
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False
    listed: ClassVar[list[ListedStock]] = []
    asked: ClassVar[list[str]] = []

    def stocks(self) -> Iterable[ListedStock]:
        return self.listed

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        self.asked.append(symbol)
        days = [day for day in DAYS if (not start or start <= day) and (not end or day <= end)]
        prices = {"open": 10.0, "high": 10.2, "low": 9.9, "close": 10.1, "volume": 1_000_000, "amount": 10_000_000.0}
        return pd.DataFrame(
            {"date": pd.to_datetime(days), **{name: [value] * len(days) for name, value in prices.items()}}
        )


@pytest.fixture(autouse=True)
def market(monkeypatch: pytest.MonkeyPatch) -> type[SmallMarket]:
    entry = Entry(f"{__name__}.SmallMarket", network=True)
    monkeypatch.setattr(registry, "SOURCES", {**registry.SOURCES, "sina": entry})
    monkeypatch.setattr(SmallMarket, "asked", [])
    stopping.reset()
    return SmallMarket


def lists(*stocks: ListedStock) -> None:
    SmallMarket.listed = list(stocks)


def imported(end: date = DAYS[-1], **options: Any) -> ImportTask:
    task = run_import(Kind.IMPORT, source="sina", start=DAYS[0], end=end, **options)
    assert task.status == Status.COMPLETED, task.message
    assert verify_summaries() == []
    return task


def test_a_new_name_a_board_and_a_delisting_are_taken_over() -> None:
    lists(ListedStock("600519.SH", name="贵州茅台"), ListedStock("000004.SZ", name="国华网安"))
    imported()
    assert Stock.objects.get(symbol="000004.SZ").board == "main"
    lists(
        ListedStock("600519.SH", name="贵州茅台", listed_on=date(2001, 8, 27)),
        ListedStock("000004.SZ", name="*ST国华", board="main", delisted_on=date(2026, 3, 2)),
    )
    imported()
    changed = Stock.objects.get(symbol="000004.SZ")
    assert (changed.name, changed.delisted_on, changed.bar_count) == ("*ST国华", date(2026, 3, 2), len(DAYS))
    assert Stock.objects.get(symbol="600519.SH").listed_on == date(2001, 8, 27)


def test_a_delisted_stock_is_imported_if_it_traded_in_the_range() -> None:
    lists(
        ListedStock("600001.SH", name="邯郸钢铁", delisted_on=date(2025, 12, 1)),
        ListedStock("600002.SH", name="齐鲁退市", delisted_on=date(2006, 4, 24)),
    )
    assert imported().total == 1
    assert set(Bar.objects.values_list("stock__symbol", flat=True)) == {"600001.SH"}


def test_a_stock_of_beijing_goes_on_under_its_new_code_and_nothing_is_imported_twice() -> None:
    lists(ListedStock("430047.BJ", name="诺思兰德", listed_on=date(2020, 11, 24)))
    imported(end=DAYS[1])
    stock_id = Stock.objects.get().pk
    lists(ListedStock("920047.BJ", name="诺思兰德", listed_on=date(2020, 11, 24)))
    SmallMarket.asked.clear()
    task = imported()
    (stock,) = Stock.objects.all()
    assert (stock.pk, stock.symbol, stock.bar_count) == (stock_id, "920047.BJ", len(DAYS))
    assert SmallMarket.asked == ["920047.BJ"]
    assert task.rows_written == 2


@pytest.mark.parametrize("asked", ["430047", "920047", "430047.BJ", "bj920047"])
def test_either_code_means_the_one_stock(asked: str) -> None:
    save_listing([ListedStock("920047.BJ", name="诺思兰德")], simulated=False)
    task = imported(symbols=[asked])
    assert (task.total, task.done) == (1, 1)
    assert SmallMarket.asked == ["920047.BJ"]
    assert Stock.objects.count() == 1


def test_both_codes_at_once_are_one_stock() -> None:
    save_listing([ListedStock("920047.BJ", name="诺思兰德")], simulated=False)
    assert imported(symbols=["430047", "920047"]).total == 1
    assert not Failure.objects.filter(finding=False).exists()
