"""The data page's first line: one sentence from which somebody knows whether all is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from django.utils import translation

from importer.verdict import Known, calendar_note, complete_until, verdict
from marketdata.completeness import DayFigures
from marketdata.market_index import compare

FRIDAY, THURSDAY = date(2026, 11, 20), date(2026, 11, 19)
WHOLE = DayFigures(FRIDAY, present=9, missing=0, suspended=1)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], (None, 0)),
        ([Known(FRIDAY, 5000)], (FRIDAY, 0)),
        ([Known(THURSDAY, 4000), Known(FRIDAY, 1000)], (THURSDAY, 0)),
        ([Known(THURSDAY, 12), Known(FRIDAY, 4988)], (FRIDAY, 12)),
        ([Known(None, 3), Known(FRIDAY, 4997)], (FRIDAY, 3)),
    ],
)
def test_a_few_stocks_that_are_older_are_counted_beside_the_market(
    known: list[Known], expected: tuple[date | None, int]
) -> None:
    assert complete_until(known) == expected


@pytest.mark.parametrize(
    ("known", "missing", "importing", "level", "sentence"),
    [
        ([], 0, None, "empty", "There are no bars yet"),
        ([Known(FRIDAY, 9)], 0, None, "complete", "Complete until 2026-11-20, nothing is missing"),
        ([Known(FRIDAY, 9)], 1, None, "behind", "Complete until 2026-11-20, 1 trading day is missing"),
        (
            [Known(THURSDAY, 1), Known(FRIDAY, 999)],
            0,
            None,
            "behind",
            "Complete until 2026-11-20, but 1 stock is older",
        ),
        ([Known(FRIDAY, 9)], 0, (2011, 5412), "filling", "The database is being filled: 2,011 of 5,412 stocks"),
        ([], 0, (0, 0), "filling", "The database is being filled"),
        ([Known(FRIDAY, 5312)], 0, (2011, 5412), "complete", "Complete until 2026-11-20, nothing is missing"),
        ([Known(FRIDAY, 5312)], 1, (0, 0), "behind", "Complete until 2026-11-20, 1 trading day is missing"),
    ],
)
def test_the_sentence_says_how_the_data_stand(
    known: list[Known], missing: int, importing: tuple[int, int] | None, level: str, sentence: str
) -> None:
    with translation.override("en"):
        said = verdict(known, newest=WHOLE, missing_days=missing, assumed=False, importing=importing)
        assert (said.level, str(said.sentence)) == (level, sentence)


@pytest.mark.parametrize(
    ("known", "missing", "sentence"),
    [
        ([Known(FRIDAY, 186)], 0, "414 stocks are not imported yet; the others are complete until 2026-11-20"),
        ([Known(FRIDAY, 99_000)], 0, "Complete until 2026-11-20; 414 stocks are not imported yet"),
        (
            [Known(FRIDAY, 99_000)],
            1,
            "Complete until 2026-11-20, 1 trading day is missing; 414 stocks are not imported yet",
        ),
    ],
)
def test_stocks_that_were_asked_for_and_never_fetched_are_no_complete_market(
    known: list[Known], missing: int, sentence: str
) -> None:
    with translation.override("en"):
        said = verdict(known, newest=WHOLE, missing_days=missing, assumed=False, importing=None, absent=414)
        assert (said.level, str(said.sentence)) == ("behind", sentence)


def test_a_market_of_which_much_was_never_fetched_is_being_filled() -> None:
    known = [Known(FRIDAY, 5000)]
    said = verdict(known, newest=WHOLE, missing_days=0, assumed=False, importing=(4900, 5412), absent=412)
    assert said.level == "filling"


def test_a_day_that_rests_on_an_assumed_calendar_says_so() -> None:
    with translation.override("en"):
        said = verdict([Known(FRIDAY, 9)], newest=WHOLE, missing_days=0, assumed=True, importing=None)
        assert "assumed" in str(said.detail)


def test_what_the_newest_day_lacks_is_said_in_figures() -> None:
    lacking = DayFigures(FRIDAY, present=4871, missing=441, suspended=12)
    said = verdict([Known(THURSDAY, 9)], newest=lacking, missing_days=1, assumed=False, importing=None)
    with translation.override("en"):
        assert str(said.figures) == "5,312 expected, 4,871 there, 441 missing; 12 suspended besides"
    with translation.override("zh-hans"):
        assert str(said.figures) == "应有 5,312，已有 4,871，缺 441；另停牌 12"


DIFFERING = replace(WHOLE, index=compare({"000001.SH": 5312e8}, {"SH": 4871e8}))


def test_an_index_that_differs_is_said_instead_of_complete() -> None:
    said = verdict([Known(FRIDAY, 9)], newest=DIFFERING, missing_days=0, assumed=False, importing=None)
    assert said.level == "behind"
    assert str(said.sentence) == "Complete until 2026-11-20, but the bars of that day do not add up to the index"
    assert "4,871 hundred million yuan" in str(said.figures)
    with translation.override("zh-hans"):
        assert str(said.figures) == "上海：成分股成交额合计 4,871 亿，指数成交额 5,312 亿"


def test_an_index_that_agrees_is_not_mentioned() -> None:
    agreeing = replace(WHOLE, index=compare({"000001.SH": 5312e8}, {"SH": 5300e8}))
    said = verdict([Known(FRIDAY, 9)], newest=agreeing, missing_days=0, assumed=False, importing=None)
    assert (said.level, said.figures) == ("complete", None)


def test_figures_of_a_whole_day_and_of_a_database_that_is_being_filled_are_not_said() -> None:
    lacking = DayFigures(FRIDAY, present=4871, missing=441, suspended=12)
    whole = verdict([Known(FRIDAY, 9)], newest=WHOLE, missing_days=0, assumed=False, importing=None)
    filling = verdict([Known(FRIDAY, 9)], newest=lacking, missing_days=0, assumed=False, importing=(1, 90))
    assert (whole.figures, filling.figures) == (None, None)


@pytest.mark.parametrize(
    ("today", "is_said"), [(date(2026, 11, 1), False), (date(2026, 11, 2), True), (date(2027, 3, 1), True)]
)
def test_a_calendar_that_ends_is_said_sixty_days_before(today: date, is_said: bool) -> None:
    with translation.override("en"):
        said = calendar_note(date(2026, 12, 31), today)
        assert ("known until 2026-12-31 only" in str(said)) == is_said
