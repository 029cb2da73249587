"""One lane at work: what it holds, what it gives up, and that it writes nothing once it has lost its hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from importer import lifecycle, slots, stopping
from importer.dbtime import db_now
from importer.dispatch import dispatch
from importer.hosts import Trouble, say_alive
from importer.invariants import violations
from importer.lanes import run_lane, work_in_lane
from importer.models import Failure, ImportChunk, ImportTask, LaneSlot, Status
from importer.sources.base import SourceUnavailable
from importer.stock_work import StockDone
from importer.task_requests import build_request, submit
from marketdata.models import Bar, Stock
from marketdata.store import verify_summaries

pytestmark = pytest.mark.django_db(transaction=True)


class Bell:
    def __init__(self) -> None:
        self.messages: list[tuple[str, int, str]] = []

    def __call__(self, task_id: str, number: int, token: str) -> None:
        self.messages.append((task_id, number, token))


@pytest.fixture(autouse=True)
def small_market(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SIMULATED_STOCKS = 12
    settings.SIMULATED_LATENCY = 0.0
    settings.SIMULATED_ERROR_RATE = 0.0
    monkeypatch.setattr("importer.lanes.LOOK_EVERY", 0.0)
    stopping.reset()


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def task() -> ImportTask:
    return submit(build_request("import", source="simulated", start="2022-01-04", end="2024-12-25"), by="test").task


def ring(bell: Bell) -> tuple[str, int, str]:
    dispatch(bell=bell, lanes=lambda: 1)
    return bell.messages.pop(0)


def work(bell: Bell, on_stock: Callable[[StockDone], object] | None = None) -> None:
    work_in_lane(*ring(bell), bell=bell, on_stock=on_stock)


def after_stocks(count: int, act: Callable[[], object]) -> Callable[[StockDone], None]:
    """Return a callback that acts once, when ``count`` stocks are finished."""
    seen: list[StockDone] = []

    def on_stock(done: StockDone) -> None:
        seen.append(done)
        if len(seen) == count:
            act()

    return on_stock


def finished(task: ImportTask) -> int:
    return sum(ImportChunk.objects.filter(task=task).values_list("cursor", flat=True))


def test_a_lane_plans_the_task_works_it_off_and_ends_it(bell: Bell, task: ImportTask) -> None:
    work(bell)
    task.refresh_from_db()
    assert (task.status, task.progress, task.done, task.total) == (Status.COMPLETED, 100, 12, 12)
    assert not LaneSlot.objects.exists()
    assert violations() == []


def test_a_lane_of_older_code_takes_no_new_stock_and_leaves_the_rest_to_others(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(bell, after_stocks(3, lambda: monkeypatch.setattr("importer.lanes.out_of_service", lambda: True)))
    assert 3 <= finished(task) <= 4
    assert len(bell.messages) == 1
    monkeypatch.undo()
    work_in_lane(*bell.messages.pop(), bell=bell)
    assert finished(task) == 12


def test_a_message_that_reaches_older_code_is_left(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = ring(bell)
    monkeypatch.setattr("importer.lanes.out_of_service", lambda: True)
    run_lane(*message)
    assert LaneSlot.objects.get().token == message[2]
    assert finished(task) == 0


def test_a_message_that_comes_twice_does_nothing(bell: Bell, task: ImportTask) -> None:
    message = ring(bell)
    work_in_lane(*message, bell=bell)
    written = Bar.objects.count()
    work_in_lane(*message, bell=bell)
    assert Bar.objects.count() == written
    assert ImportTask.objects.get().transitions.filter(new=Status.COMPLETED).count() == 1


def test_a_lane_that_was_thought_dead_writes_nothing_when_it_wakes_up(bell: Bell, task: ImportTask) -> None:
    def steal() -> None:
        LaneSlot.objects.all().delete()
        ImportChunk.objects.exclude(lane=None).update(generation=F("generation") + 1, lane=None, leased_until=None)

    # With another bell the successor's message is void too.
    work(bell, after_stocks(3, steal))
    assert finished(task) == 3
    assert Stock.objects.filter(bar_count__gt=0).count() == 3
    work(bell)
    assert finished(task) == 12
    assert verify_summaries() == []


def test_a_time_box_that_is_over_hands_the_slot_on(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.lanes.TIME_BOX", 0.0)
    work(bell)
    assert len(bell.messages) == 1, "it rang for its successor"
    assert LaneSlot.objects.get().pid is None
    monkeypatch.undo()
    work_in_lane(*bell.messages.pop(), bell=bell)
    assert ImportTask.objects.get().status == Status.COMPLETED


@pytest.mark.parametrize(("ask", "expected"), [(lifecycle.cancel, Status.CANCELLED), (lifecycle.pause, Status.PAUSED)])
def test_what_was_asked_takes_effect_between_two_stocks(
    bell: Bell, task: ImportTask, ask: Callable[..., object], expected: Status
) -> None:
    work(bell, after_stocks(4, lambda: ask(task.pk)))
    task.refresh_from_db()
    assert task.status == expected
    assert 4 <= finished(task) < 12
    assert Stock.objects.filter(bar_count__gt=0).count() == finished(task)
    assert violations() == []


def test_a_task_of_higher_priority_takes_its_place_and_the_first_goes_on_where_it_was(
    bell: Bell, task: ImportTask
) -> None:
    def urgent() -> None:
        wanted = build_request("import", source="simulated", start="2024-12-20", end="2024-12-25", priority=5)
        submit(wanted, by="test")
        dispatch(bell=bell, lanes=lambda: 1)

    work(bell, after_stocks(4, urgent))
    task.refresh_from_db()
    assert task.status == Status.PENDING
    stood = finished(task)
    work(bell)
    assert ImportTask.objects.get(priority=5).status == Status.COMPLETED
    assert finished(task) == stood
    work(bell)
    task.refresh_from_db()
    assert (task.status, finished(task)) == (Status.COMPLETED, 12)


def test_a_stop_of_the_process_gives_the_slot_up_and_is_no_death(bell: Bell, task: ImportTask) -> None:
    work(bell, after_stocks(4, stopping.request_stop))
    stopping.reset()
    task.refresh_from_db()
    assert task.status == Status.RUNNING
    assert not LaneSlot.objects.exists()
    assert set(ImportChunk.objects.values_list("deaths", "lane")) == {(0, None)}
    work(bell)
    assert finished(task) == 12


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_what_is_asked_while_a_request_hangs_takes_effect_when_it_ends_and_no_other_is_sent(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    from importer.sources.simulated import Simulated

    asked: list[str] = []

    def hang(_self: Simulated, symbol: str, *_days: Any) -> Any:
        asked.append(symbol)
        if len(asked) == 1:
            getattr(lifecycle, action)(task.pk, by="test")
        # The gate ends a request that hangs; here it is soon.
        time.sleep(0.3)
        raise SourceUnavailable("It does not answer.")

    monkeypatch.setattr(Simulated, "daily_bars", hang)
    work(bell)
    task.refresh_from_db()
    assert task.status == (Status.PAUSED if action == "pause" else Status.CANCELLED)
    assert len(asked) == 1
    assert finished(task) == 0
    assert not Failure.objects.exists()


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_what_is_asked_does_not_wait_for_a_request_that_no_time_limit_ends(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch, settings: Any, action: str
) -> None:
    from importer.sources.simulated import Simulated

    settings.REQUEST_TIMEOUT = 0.2
    begun, let_go = threading.Event(), threading.Event()

    def hang(_self: Simulated, _symbol: str, *_days: Any) -> Any:
        if not begun.is_set():
            getattr(lifecycle, action)(task.pk, by="test")
        begun.set()
        if not let_go.wait(20):
            raise AssertionError("the lane waited for it")
        raise SourceUnavailable("It does not answer.")

    monkeypatch.setattr(Simulated, "daily_bars", hang)
    try:
        work(bell)
        task.refresh_from_db()
        assert task.status == (Status.PAUSED if action == "pause" else Status.CANCELLED)
        assert set(ImportChunk.objects.values_list("cursor", "deaths", "lane")) == {(0, 0, None)}
        assert not Failure.objects.exists()
    finally:
        let_go.set()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Only SQLite can be told that its disk is full.")
def test_a_full_disk_ends_the_task_with_a_sentence_and_it_goes_on_when_there_is_room(
    bell: Bell, task: ImportTask
) -> None:
    def fill_the_disk() -> None:
        with connection.cursor() as cursor:
            # Pages that earlier tests left free would be room.
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA page_count")
            pages = cursor.fetchone()[0]
            cursor.execute(f"PRAGMA max_page_count = {pages}")

    work(bell, after_stocks(2, fill_the_disk))
    connection.close()
    task.refresh_from_db()
    assert task.status == Status.FAILED
    assert "is full" in task.message or "已满" in task.message
    assert 2 <= finished(task) < 12
    assert violations() == []
    lifecycle.resume(task.pk)
    work(bell)
    task.refresh_from_db()
    assert (task.status, finished(task)) == (Status.COMPLETED, 12)
    assert not Failure.objects.exists()
    assert verify_summaries() == []


def test_an_error_that_nobody_foresaw_is_the_stock_s_and_the_rest_goes_on(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importer.sources.simulated import Simulated

    ask = Simulated.daily_bars
    victim: list[str] = []

    def sometimes(self: Simulated, symbol: str, *days: Any) -> Any:
        victim.append(symbol)
        if symbol == victim[4 % len(victim)] and len(victim) == 5:
            raise ZeroDivisionError("nobody foresaw this")
        return ask(self, symbol, *days)

    monkeypatch.setattr(Simulated, "daily_bars", sometimes)
    work(bell)
    task.refresh_from_db()
    failure = Failure.objects.get()
    assert (task.status, task.done, task.failed) == (Status.COMPLETED, 11, 1)
    assert (failure.code, failure.symbol) == ("unexpected", victim[4])
    assert "nobody foresaw this" in failure.reason


def test_a_dead_lane_s_stock_is_done_by_the_next_one(bell: Bell, task: ImportTask) -> None:
    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    with pytest.raises(Died):
        work(bell, after_stocks(3, die))
    LaneSlot.objects.update(leased_until=db_now() - timedelta(seconds=1))
    work(bell)
    task.refresh_from_db()
    assert (task.status, task.done) == (Status.COMPLETED, 12)


def test_a_lane_that_is_there_before_a_dead_one_is_found_counts_its_death(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    monkeypatch.setattr("importer.chunks.DEATHS_BEFORE_ISOLATION", 1)
    with pytest.raises(Died):
        work(bell, after_stocks(1, die))
    ImportChunk.objects.filter(number=1).update(lane=0, leased_until=db_now() - timedelta(seconds=1))
    dispatch(bell=bell, lanes=lambda: 2)
    work_in_lane(*bell.messages.pop(0), bell=bell)
    assert ImportChunk.objects.filter(task=task, isolated=True).count() == 1
    task.refresh_from_db()
    assert (task.status, task.done) == (Status.COMPLETED, 12)


def test_once_the_task_is_planned_the_other_lanes_are_rung_for_at_once(
    bell: Bell, task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_alive("here", pid=1, workers=3, restarts=0, trouble=Trouble.NONE)
    sent: list[int] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda *message, **_options: sent.append(message[2]))
    message = ring(bell)
    run_lane(*message)
    assert sent[:2] == [1, 2]


def test_the_queue_gets_numbers_and_words_only(task: ImportTask, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda *message, **_options: sent.append(message))
    dispatch(bell=slots.ring_by_queue, lanes=lambda: 1)
    assert [[type(part) for part in message] for message in sent] == [[str, str, int, str]]
