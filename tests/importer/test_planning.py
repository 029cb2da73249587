"""Which days of which stock: every case of what is stored against what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.models import Kind
from importer.planning import CHUNK_SIZE_MAX, Work, repair_range, split, work_for
from importer.task_requests import TaskRequest


@dataclass(frozen=True)
class Facts:
    listed_on: date | None = None
    delisted_on: date | None = None
    first_bar: date | None = None
    last_bar: date | None = None
    bar_count: int = 0
    covered_from: date | None = None
    covered_until: date | None = None


START, END = date(2021, 1, 1), date(2024, 12, 25)
IMPORT = TaskRequest(kind=Kind.IMPORT, start=START, end=END, symbols=None, source="eastmoney")
UPDATE = replace(IMPORT, kind=Kind.UPDATE, start=None)
STORED = Facts(
    first_bar=date(2021, 1, 4),
    last_bar=date(2024, 6, 28),
    bar_count=840,
    covered_from=START,
    covered_until=date(2024, 6, 30),
)


def test_a_new_stock_is_fetched_whole() -> None:
    assert work_for(IMPORT, Facts(), local=False) == Work(START, END, (START, END))


def test_a_stock_is_fetched_from_its_listing_on() -> None:
    work = work_for(IMPORT, Facts(listed_on=date(2023, 5, 8)), local=False)
    assert work == Work(date(2023, 5, 8), END, (START, END))


def test_a_stock_that_was_not_listed_in_the_range_needs_nothing() -> None:
    assert work_for(IMPORT, Facts(listed_on=date(2025, 1, 2)), local=False) is None
    assert work_for(IMPORT, Facts(delisted_on=date(2020, 12, 31)), local=False) is None


def test_what_is_known_is_not_fetched_again_unless_asked_to() -> None:
    complete = replace(STORED, last_bar=END, covered_until=END)
    assert work_for(IMPORT, complete, local=False) is None
    assert work_for(replace(IMPORT, refresh=True), complete, local=False) == Work(START, END, (START, END))


def test_a_suspended_stock_that_is_known_to_the_end_is_not_fetched_again() -> None:
    assert work_for(IMPORT, replace(STORED, covered_until=END), local=False) is None


def test_a_missing_end_is_fetched_from_the_last_stored_day_on() -> None:
    assert work_for(IMPORT, STORED, local=False) == Work(date(2024, 6, 28), END, (START, END))


def test_a_missing_beginning_is_fetched_up_to_the_first_stored_day() -> None:
    known = replace(STORED, covered_from=date(2022, 1, 1), first_bar=date(2022, 1, 4), covered_until=END, last_bar=END)
    assert work_for(IMPORT, known, local=False) == Work(START, date(2022, 1, 4), (START, END))


def test_files_are_read_whole_each_time() -> None:
    whole = replace(IMPORT, start=None)
    assert work_for(whole, STORED, local=True) == Work(None, END, covers=None)


def test_an_update_goes_on_from_the_last_stored_day() -> None:
    assert work_for(UPDATE, STORED, local=False) == Work(date(2024, 6, 28), END, (date(2024, 6, 28), END))


def test_an_update_of_what_is_up_to_date_is_nothing() -> None:
    assert work_for(UPDATE, replace(STORED, covered_until=END), local=False) is None
    assert work_for(UPDATE, replace(STORED, delisted_on=date(2024, 6, 29)), local=False) is None


def test_an_update_brings_the_history_of_a_stock_without_bars() -> None:
    assert work_for(UPDATE, Facts(listed_on=date(2024, 3, 1)), local=False) == Work(date(2024, 3, 1), END, (START, END))


def test_a_stock_that_was_suspended_throughout_an_import_starts_where_that_import_did() -> None:
    facts = Facts(covered_from=date(2024, 3, 1), covered_until=date(2024, 5, 31))
    assert work_for(UPDATE, facts, local=False) == Work(date(2024, 3, 1), END, (date(2024, 3, 1), END))


def test_a_repair_fetches_from_the_first_to_the_last_missing_day() -> None:
    repair = replace(IMPORT, kind=Kind.REPAIR, start=None)
    missing = [date(2023, 5, 9), date(2022, 3, 1)]
    assert work_for(repair, STORED, local=False, missing=missing) == Work(
        date(2022, 3, 1), date(2023, 5, 9), covers=None
    )
    assert work_for(repair, STORED, local=False) is None


def test_a_repair_looks_only_where_the_stock_was_listed() -> None:
    repair = replace(IMPORT, kind=Kind.REPAIR, start=None)
    assert repair_range(repair, Facts()) is None
    listed = replace(STORED, listed_on=date(2021, 3, 1), delisted_on=date(2024, 7, 1))
    assert repair_range(repair, listed) == (date(2021, 3, 1), date(2024, 7, 1))


@given(count=st.integers(0, 7000))
def test_chunks_hold_every_stock_once_and_are_small(count: int) -> None:
    symbols = [f"{number:06}.SH" for number in range(count)]
    chunks = split(symbols)
    assert [symbol for chunk in chunks for symbol in chunk] == symbols
    assert all(0 < len(chunk) <= CHUNK_SIZE_MAX for chunk in chunks)


@pytest.mark.parametrize(("count", "least"), [(4, 4), (100, 30), (5400, 100)])
def test_there_are_enough_chunks_for_every_lane(count: int, least: int) -> None:
    assert len(split([str(number) for number in range(count)])) >= least
