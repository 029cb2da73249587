"""Answers that lack a stretch of days: what the gap is, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from importer import run_import, stopping
from importer.asking import Answer, ask
from importer.models import Failure
from importer.partial import LONG_STRETCH, Gap, gap_of
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.akshare.sina import Sina
from importer.sources.base import ListedStock, Source
from importer.sources.fetching import FetchContext, fetching
from importer.sources.findings import Finding
from marketdata.models import AbsentDay, Bar, Stock
from marketdata.store import delete_bars
from marketdata.texts import Text
from tests.sources.standin import StandIn
from tests.sources.standin.bars import sessions

START, END = date(2024, 1, 2), date(2024, 6, 28)
DAYS = [day for day in sessions() if START <= day <= END]
OPEN_DAYS = np.array(sessions(), "datetime64[D]")
SYMBOL = "600519.SH"


def lacking(*places: int, findings: tuple[Finding, ...] = (), shortest: int = LONG_STRETCH) -> Gap | None:
    kept = [day for place, day in enumerate(DAYS) if place not in places]
    frame = pd.DataFrame({"date": pd.to_datetime(kept).astype("datetime64[s]")})
    return gap_of(frame, findings, START, END, OPEN_DAYS, shortest=shortest)


class TestGaps:
    def test_a_short_stretch_is_a_suspension(self) -> None:
        assert lacking(*range(30, 30 + LONG_STRETCH - 1)) is None

    def test_a_long_one_has_its_days(self) -> None:
        gap = lacking(*range(30, 60), *range(80, 80 + LONG_STRETCH), 5)
        assert gap is not None
        assert (gap.first, gap.last, gap.count) == (DAYS[30], DAYS[59], 30)
        assert (gap.leading, gap.trailing) == (False, False)
        assert gap.days.tolist() == [*DAYS[30:60], *DAYS[80 : 80 + LONG_STRETCH]]

    def test_it_may_begin_or_end_the_range(self) -> None:
        before, after = lacking(*range(50)), lacking(*range(50, len(DAYS)))
        assert before is not None
        assert after is not None
        assert [(gap.leading, gap.trailing) for gap in (before, after)] == [(True, False), (False, True)]

    def test_a_day_that_was_refused_is_not_lacking(self) -> None:
        row = Finding(DAYS[10], "amount", Text(""))
        assert lacking(10, shortest=1) is not None
        assert lacking(10, shortest=1, findings=(row,)) is None

    def test_without_a_start_or_a_calendar_nothing_is_known_to_lack(self) -> None:
        frame = pd.DataFrame({"date": pd.to_datetime([DAYS[-1]]).astype("datetime64[s]")})
        assert gap_of(frame, (), None, END, OPEN_DAYS) is None
        assert gap_of(frame, (), START, END, None) is None


Cut = Callable[[type[Source], int, int], None]


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    """Let a source keep these days to itself, as places among DAYS."""

    def cut(kind: type[Source], first: int, last: int) -> None:
        whole = kind.daily_bars

        def daily_bars(self: Source, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
            bars = whole(self, symbol, start, end)
            days = bars["date"].dt.date
            return bars[(days < DAYS[first]) | (days > DAYS[last])].reset_index(drop=True)

        monkeypatch.setattr(kind, "daily_bars", daily_bars)

    return cut


def fetch(*sources: Source) -> Answer:
    with fetching(FetchContext(time.monotonic() + 30, lambda: False)):
        return ask(sources, SYMBOL, START, END, today=END, has_history=False, open_days=OPEN_DAYS)


class TestSources:
    def test_half_a_history_is_not_taken_where_another_source_has_the_whole(self, standin: StandIn, cut: Cut) -> None:
        cut(Eastmoney, 0, 79)
        answer = fetch(Eastmoney(), Sina())
        assert (answer.source, len(answer.frame), answer.gap) == ("sina", len(DAYS), None)

    def test_what_a_second_source_lacks_as_well_was_a_suspension(self, standin: StandIn, cut: Cut) -> None:
        cut(Eastmoney, 20, 59)
        cut(Sina, 20, 59)
        answer = fetch(Eastmoney(), Sina())
        assert (answer.source, len(answer.frame), answer.gap) == ("eastmoney", len(DAYS) - 40, None)

    def test_the_fuller_of_two_halves_is_taken_with_its_gap(self, standin: StandIn, cut: Cut) -> None:
        cut(Eastmoney, 0, 79)
        cut(Sina, 90, len(DAYS) - 1)
        answer = fetch(Eastmoney(), Sina())
        assert answer.gap is not None
        assert (answer.source, answer.gap.first, answer.gap.last) == ("sina", DAYS[90], DAYS[-1])

    def test_a_source_that_refuses_confirms_nothing(self, standin: StandIn, cut: Cut) -> None:
        cut(Eastmoney, 0, 79)
        standin.fault("null", host="sina")
        answer = fetch(Eastmoney(), Sina())
        assert answer.gap is not None
        assert (answer.source, answer.gap.count) == ("eastmoney", 80)


class TestImports:
    @pytest.fixture(autouse=True)
    def _not_stopping(self) -> None:
        stopping.reset()

    def test_a_gap_that_nobody_confirms_is_listed_and_asked_for_again(self, standin: StandIn, cut: Cut) -> None:
        cut(Eastmoney, 0, 79)
        task = run_import("import", source="eastmoney", start=START, end=END, symbols=[SYMBOL])
        assert (task.failed, task.rows_written) == (0, len(DAYS) - 80)
        found = Failure.objects.get(task=task)
        assert (found.finding, found.code) == (True, "gap")
        assert (found.reason_values["first"], found.reason_values["last"]) == (str(DAYS[0]), str(DAYS[79]))
        assert Stock.objects.get(symbol=SYMBOL).covered_from == DAYS[80]
        run_import("import", source="sina", start=START, end=END, symbols=[SYMBOL])
        assert Bar.objects.count() == len(DAYS)

    def test_where_nobody_knows_when_a_stock_was_listed_its_first_bar_tells(
        self, standin: StandIn, monkeypatch: pytest.MonkeyPatch, cut: Cut
    ) -> None:
        names = [ListedStock(SYMBOL)]
        monkeypatch.setattr(Eastmoney, "stocks", lambda _source: names)
        cut(Eastmoney, 0, 79)
        task = run_import("import", source="eastmoney", start=START, end=END, symbols=[SYMBOL])
        assert not Failure.objects.filter(task=task).exists()
        assert Stock.objects.get(symbol=SYMBOL).covered_from == START

    def test_a_repair_believes_two_sources_and_not_one(self, standin: StandIn, settings: Any, cut: Cut) -> None:
        settings.AUTO_ORDER = ["eastmoney", "sina"]
        run_import("import", source="sina", start=START, end=END, symbols=[SYMBOL])
        delete_bars(Stock.objects.get(symbol=SYMBOL).pk, DAYS[40], DAYS[44])
        cut(Eastmoney, 40, 44)
        run_import("repair", source="auto", start=START, end=END, symbols=[SYMBOL])
        assert Bar.objects.count() == len(DAYS)
        assert not AbsentDay.objects.exists()
