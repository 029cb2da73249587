"""Two writers at once, each with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from django.db import connection, transaction

from marketdata.exceptions import MixedOrigins
from marketdata.models import Bar, Stock
from marketdata.origin import claim_origin, current_origin
from marketdata.store import ListingResult, StoreResult, ensure_stocks, save_listing, store_bars, verify_summaries
from tests.marketdata.bars import bars, weekdays

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = 4


@dataclass(frozen=True)
class Listed:
    symbol: str
    name: str = ""
    board: str = ""
    listed_on: date | None = None
    delisted_on: date | None = None


def at_once(act: Callable[[int], Any]) -> list[Any]:
    """Run ``act`` with 0, 1, … in threads that start together; return what each returned."""
    start = threading.Barrier(WRITERS)

    def run(number: int) -> Any:
        try:
            start.wait(timeout=30)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as threads:
        return list(threads.map(run, range(WRITERS)))


def test_writers_of_one_stock_take_turns_and_count_each_bar_once() -> None:
    stock_id = ensure_stocks(["600519.SH"])["600519.SH"]
    days = weekdays("2020-01-01", 300)

    def write(number: int) -> StoreResult:
        # Each range overlaps the others.
        return store_bars(
            stock_id, bars(days[50 * number : 50 * number + 150]), source="tdx", simulated=False, covered=None
        )

    results = at_once(write)
    assert sum(result.inserted for result in results) == 300
    assert sum(result.unchanged for result in results) == 300
    assert Bar.objects.count() == 300
    assert verify_summaries() == []


def test_writers_of_different_stocks_do_not_disturb_each_other() -> None:
    symbols = [f"60000{number}.SH" for number in range(WRITERS)]
    ids = ensure_stocks(symbols)

    def write(number: int) -> StoreResult:
        with transaction.atomic():
            return store_bars(
                ids[symbols[number]], bars(weekdays("2020-01-01", 200)), source="tdx", simulated=False, covered=None
            )

    assert at_once(write) == [StoreResult(200, 0, 0)] * WRITERS
    assert verify_summaries() == []


def test_of_racing_claims_one_kind_wins_and_the_others_are_told() -> None:
    def claim(number: int) -> str:
        try:
            claim_origin(simulated=number % 2 == 0)
        except MixedOrigins as error:
            return str(error.text.values["stored"])
        return "simulated" if number % 2 == 0 else "real"

    assert set(at_once(claim)) == {current_origin()}


def test_a_stock_that_several_add_at_once_is_added_by_one() -> None:
    claim_origin(simulated=False)
    listed = [Listed(f"60{number:04d}.SH", "name") for number in range(500)]

    def save(number: int) -> ListingResult:
        return save_listing(listed if number % 2 else listed[::-1], simulated=False)

    results = at_once(save)
    assert sum(result.added for result in results) == 500
    assert sum(result.changed for result in results) == 0
    assert Stock.objects.count() == 500


def test_stocks_that_several_need_at_once_are_made_once() -> None:
    symbols = [f"60{number:04d}.SH" for number in range(300)]
    found = at_once(lambda number: ensure_stocks(symbols if number % 2 else symbols[::-1]))
    assert all(ids == dict(Stock.objects.values_list("symbol", "id")) for ids in found)
