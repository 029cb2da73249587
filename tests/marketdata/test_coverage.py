from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.coverage import merged, without

# In this made-up calendar the exchange is open on even days of January.
DAYS = st.integers(1, 31).map(lambda day: date(2024, 1, day))
INTERVALS = st.tuples(DAYS, DAYS).map(lambda pair: (min(pair), max(pair)))


def next_open(day: date) -> date:
    day += timedelta(days=1)
    return day if day.day % 2 == 0 else day + timedelta(days=1)


def january(first: int, last: int) -> tuple[date, date]:
    return date(2024, 1, first), date(2024, 1, last)


@pytest.mark.parametrize(
    ("known", "added", "after"),
    [
        (None, january(3, 5), january(3, 5)),
        (january(3, 9), january(5, 6), january(3, 9)),
        (january(3, 9), january(1, 31), january(1, 31)),
        (january(3, 9), january(8, 12), january(3, 12)),
        (january(3, 9), january(1, 4), january(1, 9)),
        (january(4, 8), january(9, 12), january(4, 12)),
        (january(4, 8), january(10, 12), january(4, 12)),  # no trading day in between
        (january(10, 12), january(4, 8), january(4, 12)),
        (january(4, 8), january(11, 12), january(11, 12)),  # the 10th is not known: the later range is kept
        (january(11, 12), january(4, 8), january(11, 12)),
    ],
)
def test_ranges_that_meet_become_one_and_of_others_the_later_one_stays(known, added, after) -> None:
    assert merged(known, added, next_open) == after


def test_a_range_that_ends_before_it_starts_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        merged(None, (date(2024, 1, 2), date(2024, 1, 1)), next_open)


def test_the_calendar_is_not_asked_for_ranges_that_overlap() -> None:
    def not_asked(day: date) -> date:
        raise AssertionError(day)

    assert merged(january(3, 9), january(5, 12), not_asked) == january(3, 12)


@given(INTERVALS, INTERVALS)
def test_only_days_that_were_asked_for_or_closed_days_are_covered(known, added) -> None:
    first, last = merged(known, added, next_open)
    day = first
    while day <= last:
        assert known[0] <= day <= known[1] or added[0] <= day <= added[1] or day.day % 2 == 1
        day += timedelta(days=1)
    assert last == max(known[1], added[1])


@given(INTERVALS, INTERVALS)
def test_a_deleted_day_is_never_covered_and_no_day_is_added(known, removed) -> None:
    left = without(known, removed)
    if left is not None:
        assert left[0] <= left[1]
        assert known[0] <= left[0]
        assert left[1] <= known[1]
        assert left[1] < removed[0] or left[0] > removed[1]


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        (january(1, 3), january(4, 20)),
        (january(21, 22), january(4, 20)),
        (january(1, 10), january(11, 20)),
        (january(10, 31), january(4, 9)),
        (january(10, 12), january(13, 20)),
        (january(4, 20), None),
        (january(1, 31), None),
    ],
)
def test_what_is_deleted_is_cut_out_and_the_later_piece_stays(removed, left) -> None:
    assert without(january(4, 20), removed) == left
    assert without(None, removed) is None
