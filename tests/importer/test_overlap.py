"""What a source says again of days that are stored: it has to agree; where it does not, both values are listed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest
from django.utils import translation

from importer import run_import, stopping
from importer.models import Failure, ImportTask, Kind, Status
from importer.overlap import Difference, differences
from importer.recording import DIFFERENCES_LISTED
from importer.sources.registry import get_source
from importer.task_requests import failed_symbols
from marketdata.models import Bar, Stock
from marketdata.store import verify_summaries

START, END = date(2024, 9, 2), date(2024, 12, 25)


def frame(**changed: Any) -> pd.DataFrame:
    columns = {"open": 10.0, "high": 10.2, "low": 9.9, "close": 10.1, "volume": 1_000_000, "amount": 1e7, **changed}
    return pd.DataFrame({"date": [pd.Timestamp("2024-12-25")], **{name: [value] for name, value in columns.items()}})


class TestTwoFrames:
    @pytest.mark.parametrize("change", [{"close": 10.11}, {"low": 9.89}, {"volume": 1_000_100}, {"amount": 2e7}])
    def test_a_tick_a_lot_and_the_amount_are_no_difference(self, change: dict[str, Any]) -> None:
        assert differences(frame(), frame(**change)) == []

    @pytest.mark.parametrize(
        ("field", "value"), [("open", 10.02), ("high", 10.22), ("low", 9.88), ("close", 10.08), ("volume", 1_000_101)]
    )
    def test_more_than_that_is_one_with_both_values(self, field: str, value: float) -> None:
        stored = frame()[field].iloc[0]
        assert differences(frame(), frame(**{field: value})) == [
            Difference(date(2024, 12, 25), field, float(stored), float(value))
        ]

    def test_days_that_only_one_of_them_has_do_not_count(self) -> None:
        other = frame(close=20.0).assign(date=pd.Timestamp("2024-12-24"))
        assert differences(frame(), other) == []


@pytest.mark.django_db(transaction=True)
class TestImports:
    @pytest.fixture(autouse=True)
    def _market(self, settings: Any) -> None:
        settings.SIMULATED_STOCKS = 12
        settings.SIMULATED_LATENCY = settings.SIMULATED_ERROR_RATE = 0.0
        stopping.reset()

    @pytest.fixture
    def symbol(self) -> str:
        """Import a stock that trades every day, and return it."""
        symbols = sorted(stock.symbol for stock in get_source("simulated").stocks())
        run_import(Kind.IMPORT, source="simulated", start=START, end=END, symbols=symbols)
        return Stock.objects.order_by("-bar_count", "symbol")[0].symbol

    def again(self, symbol: str, **options: Any) -> ImportTask:
        """Fetch what is stored once more, as an import from an earlier day does."""
        Stock.objects.filter(symbol=symbol).update(covered_from=None, covered_until=None)
        return run_import(Kind.IMPORT, source="simulated", start=START, end=END, symbols=[symbol], **options)

    def spoil(self, symbol: str, days: int = 1) -> Bar:
        """Have something else stored, by another source, for the first days; return the first one."""
        dates = list(Bar.objects.filter(stock__symbol=symbol).order_by("date").values_list("date", flat=True)[:days])
        Bar.objects.filter(stock__symbol=symbol, date__in=dates).update(close=1.23, source="tdx")
        return Bar.objects.get(stock__symbol=symbol, date=dates[0])

    def close_of(self, bar: Bar) -> tuple[float, str]:
        return Bar.objects.values_list("close", "source").get(stock_id=bar.stock_id, date=bar.date)

    def test_what_is_stored_is_kept_and_both_values_are_listed_with_their_sources(self, symbol: str) -> None:
        bar = self.spoil(symbol)
        task = self.again(symbol)
        assert (task.status, task.failed) == (Status.COMPLETED, 0)
        assert self.close_of(bar) == (1.23, "tdx")
        finding = Failure.objects.get(task=task, code="differs")
        assert (finding.finding, finding.symbol) == (True, symbol)
        with translation.override("en"):
            reason = finding.reason
        assert reason.startswith(f"{symbol} on {bar.date}: close is stored as 1.23 (from TDX files), but Simulated")
        assert reason.endswith("the stored one was kept.")

    def test_a_setting_has_it_replaced_and_listed_all_the_same(self, symbol: str, settings: Any) -> None:
        settings.ON_DIFFERENCE = "replace"
        bar = self.spoil(symbol)
        task = self.again(symbol)
        close, source = self.close_of(bar)
        assert close != 1.23
        assert source == "simulated"
        with translation.override("en"):
            assert Failure.objects.get(task=task, code="differs").reason.endswith("; replaced.")
        assert verify_summaries() == []

    def test_who_fetches_again_has_it_replaced_and_learns_what_was_different(self, symbol: str) -> None:
        bar = self.spoil(symbol)
        task = self.again(symbol, refresh=True)
        assert self.close_of(bar)[1] == "simulated"
        assert Failure.objects.filter(task=task, code="differs").count() == 1

    def test_of_many_days_the_first_are_listed_and_the_others_counted(self, symbol: str) -> None:
        self.spoil(symbol, days=DIFFERENCES_LISTED + 7)
        task = self.again(symbol, refresh=True)
        listed = [each.reason for each in Failure.objects.filter(task=task, code="differs")]
        assert len(listed) == DIFFERENCES_LISTED + 1
        assert "7" in listed[-1]

    def test_an_answer_that_differs_on_most_days_is_refused_whole(self, symbol: str, settings: Any) -> None:
        settings.ON_DIFFERENCE = "replace"
        Bar.objects.filter(stock__symbol=symbol).update(close=1.23)
        task = self.again(symbol)
        assert failed_symbols(task) == [symbol]
        assert set(Bar.objects.filter(stock__symbol=symbol).values_list("close", flat=True)) == {1.23}

    def test_a_finding_is_nothing_to_retry(self, symbol: str) -> None:
        self.spoil(symbol)
        assert failed_symbols(self.again(symbol)) == []
