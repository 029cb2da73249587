"""Which indexes an update asks for, and from which day on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from importer.index_update import LOOK_BACK, MANY_STOCKS, follow_indexes, large_exchanges, whole_exchanges
from importer.sources.akshare.sina import Sina
from importer.sources.base import Banned, SourceUnavailable
from importer.sources.simulated import Simulated
from importer.sources.tdx import Tdx
from marketdata.index_days import save_index_days
from marketdata.market_index import IndexDayBar
from marketdata.models import IndexDay
from tests.sources.made_bars import bars, write_day_file

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 20)
SHANGHAI, SHENZHEN = "000001.SH", "399106.SZ"
BOTH = ("SH", "SZ")


class Knowing(Sina):
    """A website that knows the indexes: ``asked`` lists for what; ``answers`` by exchange, an error is raised."""

    def __init__(self, name: str, **answers: Any) -> None:
        self.name = name  # type: ignore[misc]
        self.answers = answers
        self.asked: list[tuple[str, date, date]] = []

    def index_days(self, index: str, start: date, end: date) -> Sequence[IndexDayBar]:
        self.asked.append((index, start, end))
        answer = self.answers[index[-2:]]
        if isinstance(answer, Exception):
            raise answer
        return answer


def of(day: date, amount: float = 5e11) -> list[IndexDayBar]:
    return [IndexDayBar(day, 3000.0, amount)]


def stored() -> set[tuple[str, date, str]]:
    return set(IndexDay.objects.values_list("index", "date", "source"))


def test_each_index_is_asked_for_once_and_stored() -> None:
    source = Knowing("eastmoney", SH=of(DAY), SZ=of(DAY))
    follow_indexes([source], BOTH, end=DAY)
    follow_indexes([source], BOTH, end=DAY)
    assert source.asked == [(SHANGHAI, DAY, DAY), (SHENZHEN, DAY, DAY)]
    assert stored() == {(SHANGHAI, DAY, "eastmoney"), (SHENZHEN, DAY, "eastmoney")}


def test_only_whole_exchanges_are_asked_for() -> None:
    source = Knowing("eastmoney", SH=of(DAY), SZ=of(DAY))
    follow_indexes([source], {"SZ"}, end=DAY)
    follow_indexes([source], (), end=DAY)
    assert [index for index, _, _ in source.asked] == [SHENZHEN]


@pytest.mark.parametrize(
    "trouble",
    [Banned(source="x", detail="y"), SourceUnavailable(source="x", detail="y"), [], of(date(2026, 11, 19))],
    ids=["banned", "unavailable", "nothing", "the day before"],
)
def test_what_one_source_does_not_have_the_next_one_is_asked_for(trouble: Any) -> None:
    first, second = Knowing("eastmoney", SH=trouble, SZ=of(DAY)), Knowing("tdxquotes", SH=of(DAY), SZ=of(DAY))
    follow_indexes([second, first], BOTH, end=DAY)
    assert (SHANGHAI, DAY, "tdxquotes") in stored()
    assert first.asked[0] == (SHANGHAI, DAY, DAY)


def test_a_source_that_refuses_is_not_asked_for_the_other_index() -> None:
    source = Knowing("eastmoney", SH=Banned(source="x", detail="y"), SZ=of(DAY))
    follow_indexes([source], BOTH, end=DAY)
    assert len(source.asked) == 1
    assert stored() == set()


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan"), float("inf")])
def test_a_turnover_that_cannot_be_is_not_stored(amount: float) -> None:
    follow_indexes([Knowing("eastmoney", SH=of(DAY, amount))], {"SH"}, end=DAY)
    assert stored() == set()


def test_days_that_were_missed_come_with_the_newest_one_but_not_from_long_ago() -> None:
    save_index_days(SHANGHAI, of(date(2026, 11, 17)), source="eastmoney")
    save_index_days(SHENZHEN, of(date(2025, 11, 17)), source="eastmoney")
    source = Knowing("eastmoney", SH=[*of(date(2026, 11, 18)), *of(DAY)], SZ=of(DAY))
    follow_indexes([source], BOTH, end=DAY)
    assert [start for _, start, _ in source.asked] == [date(2026, 11, 18), DAY - LOOK_BACK]
    assert (SHANGHAI, date(2026, 11, 18), "eastmoney") in stored()


def test_sources_that_know_no_index_are_not_asked() -> None:
    follow_indexes([Sina(), Simulated(seed=1, stocks=3)], BOTH, end=DAY)
    assert stored() == set()


def test_an_exchange_is_whole_when_nearly_all_its_stocks_have_bars() -> None:
    shown = [f"{600000 + number}.SH" for number in range(10)] + [f"{number:06d}.SZ" for number in range(10)]
    known = {*shown[1:10], *shown[12:], "920001.BJ"}
    assert whole_exchanges([*shown, "920001.BJ"], known, end=DAY) == {"SH"}


def test_where_no_source_names_stocks_an_index_of_lately_says_that_the_exchange_was_whole() -> None:
    save_index_days(SHANGHAI, of(DAY - LOOK_BACK), source="eastmoney")
    save_index_days(SHENZHEN, of(date(2025, 1, 2)), source="eastmoney")
    assert whole_exchanges((), (), end=DAY) == {"SH"}
    assert whole_exchanges(["600000.SH"], (), end=DAY) == set(), "a source that names stocks knows better"


def test_a_folder_is_the_whole_exchange_from_a_thousand_stocks_on() -> None:
    many = [f"{600000 + number}.SH" for number in range(MANY_STOCKS)]
    assert large_exchanges([*many, "000001.SZ"]) == {"SH"}
    assert large_exchanges(many[1:]) == set()


def test_a_folder_gives_the_index_that_lies_in_it(tmp_path: Any) -> None:
    frame = bars(2, first="2026-11-19")
    write_day_file(tmp_path / "sh" / "lday" / "sh000001.day", frame)
    follow_indexes([Tdx(str(tmp_path))], BOTH, end=DAY)
    assert stored() == {(SHANGHAI, DAY, "tdx")}
    assert IndexDay.objects.get().amount == pytest.approx(frame["amount"].iloc[1])
