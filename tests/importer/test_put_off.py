"""A stock that only sources which rest may have: set aside, asked for again later, and a failure only in the end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Sum

from importer import asking, lifecycle, stock_work, stopping, waiting
from importer.asking import NoSourceAnswered, Refusal
from importer.chunks import claim, free_after_death, next_put_off, put_off
from importer.dbtime import db_now
from importer.dispatch import dispatch
from importer.exceptions import LostLease
from importer.invariants import violations
from importer.lanes import work_in_lane
from importer.models import Failure, ImportChunk, ImportTask, LaneSlot, Status
from importer.sources.registry import get_source
from importer.task_requests import build_request, failed_symbols, submit
from marketdata.texts import Text
from tests.importer.factories import make_chunk, make_task

pytestmark = pytest.mark.django_db(transaction=True)

REASON = Refusal("sina", "unknown_symbol", Text("Sina does not know it."))


class Sources:
    """Answers as the simulated market does, but for some stocks, for which a source rests."""

    def __init__(self) -> None:
        self.resting: dict[str, datetime] = {}
        self.most: int | None = 8
        self.asked: list[str] = []
        self._ask = asking.ask

    def __call__(self, sources: Any, symbol: str, *days: Any, **more: Any) -> Any:
        self.asked.append(symbol)
        if symbol in self.resting:
            raise NoSourceAnswered([REASON], 1, ask_again=self.resting[symbol], put_off_at_most=self.most)
        return self._ask(sources, symbol, *days, **more)


@pytest.fixture
def sources(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Sources:
    settings.SIMULATED_STOCKS = 12
    settings.SIMULATED_LATENCY = settings.SIMULATED_ERROR_RATE = 0.0
    stopping.reset()
    made = Sources()
    monkeypatch.setattr(stock_work, "ask", made)
    return made


@pytest.fixture
def task(sources: Sources) -> ImportTask:
    return submit(build_request("import", source="simulated", start="2024-12-02", end="2024-12-25"), by="test").task


def work() -> None:
    """Do what lanes find to do now, and let the dispatcher look once more."""
    messages: list[tuple[str, int, str]] = []

    def bell(*message: Any) -> None:
        messages.append(message)  # type: ignore[arg-type]

    dispatch(bell=bell, lanes=lambda: 1)
    while messages:
        work_in_lane(*messages.pop(0), bell=bell)
        dispatch(bell=bell, lanes=lambda: 1)


def market() -> list[str]:
    return sorted(stock.symbol for stock in get_source("simulated").stocks())


def later() -> datetime:
    return db_now() + timedelta(minutes=10)


def test_others_go_on_and_the_task_says_how_many_stocks_wait_and_until_when(task: ImportTask, sources: Sources) -> None:
    first, second, *_ = market()
    until = later()
    sources.resting = {first: until, second: until}
    work()
    task.refresh_from_db()
    assert (task.status, task.waiting_until, task.done) == (Status.RUNNING, until, 10)
    assert "2 stocks left" in task.message or "2 只" in task.message
    assert not Failure.objects.exists()
    assert not LaneSlot.objects.exists()
    assert ImportChunk.objects.filter(not_before=until).aggregate(waiting=Sum(F("size")))["waiting"] == 2
    assert violations() == []


def test_nobody_asks_before_the_time_has_come(task: ImportTask, sources: Sources) -> None:
    sources.resting = {market()[0]: later()}
    work()
    asked = len(sources.asked)
    work()
    assert len(sources.asked) == asked
    assert claim(task.pk, 0, db_now()) is None


def test_it_is_imported_when_the_source_answers_again(task: ImportTask, sources: Sources) -> None:
    symbol = market()[0]
    sources.resting = {symbol: later()}
    work()
    sources.resting = {}
    waiting.end_waiting()
    work()
    task.refresh_from_db()
    assert (task.status, task.done, task.failed, task.total) == (Status.COMPLETED, 12, 0, 12)
    assert sources.asked.count(symbol) == 2
    assert violations() == []


def test_it_is_a_failure_once_it_was_put_off_often_enough(task: ImportTask, sources: Sources) -> None:
    symbol = market()[0]
    sources.resting, sources.most = {symbol: later()}, 3
    for _ in range(4):
        work()
        waiting.end_waiting()
    task.refresh_from_db()
    assert (task.status, task.done, task.failed) == (Status.COMPLETED, 11, 1)
    assert sources.asked.count(symbol) == 4
    assert failed_symbols(task) == [symbol]
    assert Failure.objects.get().reason == "Sina does not know it."
    assert violations() == []


def test_what_no_source_has_answered_for_is_never_a_failure(task: ImportTask, sources: Sources) -> None:
    symbol = market()[0]
    sources.resting, sources.most = {symbol: later()}, None
    for _ in range(12):
        work()
        waiting.end_waiting()
    assert not Failure.objects.exists()
    task.refresh_from_db()
    assert task.status == Status.RUNNING


def test_while_one_rests_the_others_of_its_chunk_are_not_asked(task: ImportTask, sources: Sources) -> None:
    first, second, *_ = market()
    until = later()
    sources.resting = {first: until, second: until}
    work()
    waiting.end_waiting()
    sources.asked.clear()
    work()
    assert sources.asked == [first]


def test_a_task_that_waits_can_be_cancelled(task: ImportTask, sources: Sources) -> None:
    sources.resting = {market()[0]: later()}
    work()
    lifecycle.cancel(task.pk)
    work()
    task.refresh_from_db()
    assert (task.status, task.done) == (Status.CANCELLED, 11)
    assert violations() == []


def test_a_stock_over_which_lanes_die_while_it_is_asked_for_again_is_tried_alone(
    task: ImportTask, sources: Sources
) -> None:
    sources.resting = {market()[0]: later()}
    work()
    waiting.end_waiting()
    for _ in range(2):
        assert claim(task.pk, 0, db_now()) is not None
        free_after_death(task.pk, 0)
    assert ImportChunk.objects.filter(isolated=True, size=1).count() == 1
    sources.resting = {}
    work()
    task.refresh_from_db()
    assert (task.status, task.done) == (Status.COMPLETED, 12)
    assert violations() == []


def test_stocks_that_wait_for_the_same_moment_share_a_chunk(db: None) -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now())
    make_chunk(task, ["600000.SH", "600519.SH", "000001.SZ"])
    now, until = db_now(), later()
    claimed = claim(task.pk, 0, now)
    assert claimed is not None
    assert put_off(claimed, 0, now, until)
    assert put_off(claimed, 1, now, until)
    assert put_off(claimed, 2, now, until + timedelta(minutes=1))
    waiting_chunks = ImportChunk.objects.exclude(not_before=None).order_by("number")
    assert list(waiting_chunks.values_list("symbols", flat=True)) == [["600000.SH", "600519.SH"], ["000001.SZ"]]
    assert next_put_off(task.pk, now) == (until, 3)


def test_a_lane_that_lost_its_chunk_puts_nothing_off(db: None) -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now())
    make_chunk(task, ["600000.SH"])
    claimed = claim(task.pk, 0, db_now())
    assert claimed is not None
    ImportChunk.objects.update(generation=F("generation") + 1)
    with pytest.raises(LostLease):
        put_off(claimed, 0, db_now(), later())
    assert ImportChunk.objects.count() == 1


def test_lanes_that_put_stocks_off_at_the_same_time_do_not_disturb_each_other(db: None) -> None:
    task = make_task(status=Status.RUNNING, planned_at=db_now())
    symbols = [f"60000{number}.SH" for number in range(4)]
    for symbol in symbols:
        make_chunk(task, [symbol])
    together, until, now = Barrier(len(symbols)), later(), db_now()

    def put_one_off(lane: int) -> None:
        try:
            claimed = claim(task.pk, lane, now)
            together.wait(30)
            # Some share a moment, some do not.
            assert claimed is not None
            assert put_off(claimed, 0, now, until + timedelta(minutes=lane % 2))
        finally:
            connection.close()

    with ThreadPoolExecutor(len(symbols)) as threads:
        list(threads.map(put_one_off, range(len(symbols))))
    waiting_stocks = ImportChunk.objects.exclude(not_before=None).values_list("symbols", flat=True)
    assert sorted(symbol for chunk in waiting_stocks for symbol in chunk) == symbols
