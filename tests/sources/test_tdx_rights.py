"""What the records of a quote server mean for a holder."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from importer.sources.tdx_rights import actions_of
from marketdata.adjustment import Action


def record(category: int = 1, day: date = date(2024, 6, 19), **numbers: float) -> dict[str, Any]:
    facts = dict.fromkeys(("fenhong", "songzhuangu", "peigu", "peigujia"), 0.0)
    return {"category": category, "year": day.year, "month": day.month, "day": day.day, **facts, **numbers}


def test_amounts_for_ten_shares_become_amounts_for_one() -> None:
    found = actions_of([record(fenhong=3.5999999046325684, songzhuangu=2.0)])
    assert found == [Action(date(2024, 6, 19), cash_per_share=0.36, new_shares_per_share=0.2)]


def test_rights_have_their_price() -> None:
    found = actions_of([record(peigu=3.0, peigujia=5.25)])
    assert found == [Action(date(2024, 6, 19), rights_per_share=0.3, rights_price=5.25)]


def test_what_is_no_ex_right_is_left_out() -> None:
    assert actions_of([record(5, fenhong=1e6), record(11), record()]) == []


def test_two_on_one_day_are_added_up_and_a_repeated_one_counts_once() -> None:
    cash, rights = record(fenhong=1.0), record(peigu=3.0, peigujia=5.0)
    assert actions_of([cash, rights, cash]) == [
        Action(date(2024, 6, 19), cash_per_share=0.1, rights_per_share=0.3, rights_price=5.0)
    ]


@pytest.mark.parametrize("number", [-1.0, math.nan, math.inf, 20_000.0])
def test_a_number_that_cannot_be_is_no_action(number: float) -> None:
    with pytest.raises(ValueError, match="ten shares"):
        actions_of([record(fenhong=number)])
