"""A repair asks once for what is missing, and remembers what a source does not have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
import pytest

from importer import run_import, stopping
from importer.estimate import estimate
from importer.invariants import violations
from importer.models import ImportTask, Kind, Status
from importer.sources.simulated import Simulated
from importer.task_requests import build_request
from marketdata.models import AbsentDay, Origin, Stock
from marketdata.store import bars_hash, delete_bars, verify_summaries
from tests.importer.simulated_clock import at, import_at

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2024, 7, 2)


@pytest.fixture(autouse=True)
def imported(settings: Any) -> Iterator[None]:
    settings.SIMULATED_STOCKS = 40
    settings.SIMULATED_LATENCY = 0.0
    settings.SIMULATED_ERROR_RATE = 0.0
    stopping.reset()
    import_at(DAY)
    yield
    assert violations() == []
    assert verify_summaries() == []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    bars = Simulated.daily_bars

    def daily_bars(self: Simulated, symbol: str, *bounds: date | None) -> pd.DataFrame:
        seen.append(symbol)
        return bars(self, symbol, *bounds)

    monkeypatch.setattr(Simulated, "daily_bars", daily_bars)
    return seen


def repair(**options: Any) -> ImportTask:
    with at(DAY):
        task = run_import(Kind.REPAIR, source="simulated", **options)
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    return task


def test_a_second_repair_right_after_the_first_asks_for_nothing(asked: list[str]) -> None:
    before = bars_hash()
    first = repair()
    assert len(asked) > 3, "stocks that were suspended for some days"
    assert (first.rows_written, AbsentDay.objects.count() > 10) == (0, True)
    asked.clear()
    second = repair()
    assert asked == []
    assert (second.skipped, second.total) == (second.total, first.total)
    assert bars_hash() == before


def test_a_day_that_is_known_to_have_no_bar_says_who_had_none() -> None:
    repair()
    absent = AbsentDay.objects.select_related("stock").first()
    assert absent is not None
    assert absent.source == "simulated"
    assert not absent.stock.bars.filter(date=absent.date).exists()


def test_what_is_missing_beside_a_suspension_is_still_fetched(asked: list[str]) -> None:
    before = bars_hash()
    repair()
    stock = AbsentDay.objects.select_related("stock").first().stock  # type: ignore[union-attr]
    days = sorted(stock.bars.values_list("date", flat=True))
    delete_bars(stock.pk, days[4], days[6])
    asked.clear()
    assert repair().rows_written == 3
    assert asked == [stock.symbol]
    assert bars_hash() == before


def test_fetching_again_asks_for_absent_days_too(asked: list[str]) -> None:
    repair()
    asked.clear()
    repair(refresh=True)
    assert len(asked) > 3


def test_an_answer_without_any_stored_bar_proves_no_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = Stock.objects.filter(bar_count__gt=20).order_by("symbol")[0]
    days = sorted(stock.bars.values_list("date", flat=True))
    delete_bars(stock.pk, days[4], days[6])
    bars = Simulated.daily_bars
    monkeypatch.setattr(Simulated, "simulated", False)
    Origin.objects.update(kind=Origin.REAL)
    monkeypatch.setattr(Simulated, "daily_bars", lambda self, *asked: bars(self, *asked)[:0])
    with at(DAY):
        task = run_import(Kind.REPAIR, source="simulated", symbols=[stock.symbol])
    assert task.failed == 1
    assert not AbsentDay.objects.exists()


def test_an_estimate_counts_only_what_is_not_known_yet() -> None:
    def stocks() -> int:
        with at(DAY):
            return estimate(build_request(Kind.REPAIR, source="simulated")).stocks

    before = stocks()
    repair()
    assert before > 3
    assert stocks() < before
