"""The task manager in one process: create and run a task, its progress, queries, its end, and what interrupts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import importer
from importer import Progress, lifecycle, progress, run_import, stopping, task_requests
from importer.dispatch import dispatch
from importer.exceptions import BadRequest, EmptyDatabase
from importer.invariants import violations
from importer.models import Failure, ImportChunk, ImportTask, Kind, Status, Transition
from importer.run import follow_inline
from importer.task_requests import build_request, submit
from marketdata.models import Bar, Stock
from marketdata.store import bars_hash, delete_bars, verify_summaries

# The lane's helper thread has a database connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)

STOCKS = 34


@pytest.fixture(autouse=True)
def small_market(settings: Any) -> Iterator[None]:
    settings.SIMULATED_STOCKS = STOCKS
    settings.SIMULATED_LATENCY = 0.0
    settings.SIMULATED_ERROR_RATE = 0.0
    stopping.reset()
    yield
    stopping.reset()


@pytest.fixture(autouse=True)
def consistent(small_market: None) -> Iterator[None]:
    """Whatever a test does, the tables are consistent after it."""
    yield
    assert violations() == []
    assert verify_summaries() == []
    assert all(sum(chunk.by_source.values()) == chunk.done for chunk in ImportChunk.objects.all())


@pytest.fixture
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lanes look before each stock whether to give way: a small market would be finished in half a second."""
    monkeypatch.setattr("importer.lanes.LOOK_EVERY", 0.0)


def run(**options: Any) -> ImportTask:
    return run_import(**{"source": "simulated", "start": "2024-11-01", "end": "2024-12-25", **options})


class Listener:
    """Keeps what ``on_progress`` was given; ``then`` is called with each."""

    def __init__(self, then: Callable[[Progress], object] = lambda now: None) -> None:
        self.heard: list[Progress] = []
        self._then = then

    def __call__(self, now: Progress) -> None:
        self.heard.append(now)
        self._then(now)

    @property
    def percents(self) -> list[int]:
        return [now.percent for now in self.heard]


def test_the_package_offers_the_function_and_the_type_of_what_its_callback_gets() -> None:
    assert (importer.run_import, importer.Progress) == (run_import, progress.Progress)


def test_progress_starts_at_0_then_1_and_ends_at_100_and_never_falls() -> None:
    listener = Listener()
    run(on_progress=listener)
    assert listener.percents[:2] == [0, 1]
    assert listener.percents[-1] == 100
    assert listener.percents == sorted(listener.percents)
    assert listener.percents.count(100) == 1


def test_progress_is_reported_every_ten_stocks() -> None:
    listener = Listener()
    task = run(on_progress=listener)
    tens = {now.done // 10 for now in listener.heard}
    assert tens == set(range(task.total // 10 + 1))
    assert len(listener.heard) <= 3 + task.total // 10, "and not for every single one"


def test_the_messages_say_how_many_stocks_there_are_and_end_with_the_figures() -> None:
    listener = Listener()
    task = run(on_progress=listener)
    assert listener.heard[1].message == f"Starting: {task.total} stocks to import."
    assert listener.heard[-1].message.startswith(f"Completed: {task.done} stocks imported")
    assert f"{task.rows_written:,} bars" in listener.heard[-1].message


def test_a_task_runs_to_its_end_and_counts_every_stock() -> None:
    task = run()
    assert (task.status, task.progress) == (Status.COMPLETED, 100)
    assert task.done + task.failed + task.skipped == task.total > 0
    assert task.rows_written == Bar.objects.count() > 0
    assert task.finished_at is not None
    assert [each.new for each in Transition.objects.filter(task=task)] == ["pending", "running", "completed"]


def test_a_task_can_be_made_first_and_be_asked_after_at_any_time() -> None:
    submission = submit(build_request(Kind.IMPORT, source="simulated", end="2024-12-25"), by="test")
    waiting = lifecycle.get_task(str(submission.task.pk))
    assert (waiting.status, waiting.progress, waiting.requested_by) == (Status.PENDING, 0, "test")
    standing: list[tuple[str, int]] = []

    def ask(_now: Progress) -> None:
        asked = lifecycle.get_task(submission.task.pk)
        standing.append((asked.status, asked.progress))

    follow_inline(submission, on_progress=ask)
    assert standing[0] == (Status.PENDING, 0)
    assert standing[1] == (Status.RUNNING, 1)
    assert standing[-1] == (Status.COMPLETED, 100)


def test_importing_again_changes_nothing_and_says_so() -> None:
    run()
    before = bars_hash()
    again = run()
    assert (again.status, again.rows_written) == (Status.COMPLETED, 0)
    assert again.skipped == again.total
    assert "nothing new" in again.message
    assert bars_hash() == before


def test_refresh_fetches_again_and_finds_nothing_changed() -> None:
    run()
    before = bars_hash()
    again = run(refresh=True)
    assert (again.done, again.skipped, again.rows_written) == (again.total, 0, 0)
    assert bars_hash() == before


def test_an_update_continues_where_an_import_ended() -> None:
    run(end="2024-11-29")
    update = run_import(Kind.UPDATE, source="simulated")
    assert (update.kind, update.status) == (Kind.UPDATE, Status.COMPLETED)
    assert update.rows_written > 0
    assert run_import(Kind.UPDATE, source="simulated").rows_written == 0


def test_a_repair_fetches_what_was_deleted() -> None:
    run()
    before = bars_hash()
    stock = Stock.objects.filter(bar_count__gt=20).order_by("symbol")[0]
    days = sorted(stock.bars.values_list("date", flat=True))
    delete_bars(stock.pk, days[5], days[8])
    assert bars_hash() != before
    repair = run_import(Kind.REPAIR, source="simulated", end="2024-12-25")
    assert repair.rows_written == 4
    assert bars_hash() == before


def test_a_symbol_that_nobody_lists_is_a_listed_failure_and_the_rest_is_imported() -> None:
    known = run(symbols=None).total
    listed = list(Stock.objects.values_list("symbol", flat=True)[:2])
    task = run(symbols=[*listed, "688999.SH"], refresh=True)
    assert known > 2
    assert (task.status, task.done, task.failed) == (Status.COMPLETED, 2, 1)
    failure = Failure.objects.get(task=task)
    assert (failure.symbol, failure.code) == ("688999.SH", "unknown_symbol")
    assert "failed" in task.message


def test_a_retry_takes_exactly_what_failed() -> None:
    run()
    listed = Stock.objects.values_list("symbol", flat=True)[0]
    task = run(symbols=[listed, "688999.SH"], refresh=True)
    submission = task_requests.retry(task.pk, by="test")
    assert submission.task.parameters["symbols"] == ["688999.SH"]
    assert submission.task.retry_of_id == task.pk
    assert follow_inline(submission).status == Status.FAILED, "its one stock failed again"


def test_a_task_whose_every_stock_fails_is_a_failed_one() -> None:
    task = run(symbols=["688998.SH", "688999.SH"])
    assert (task.status, task.failed) == (Status.FAILED, 2)
    assert task.progress < 100


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"start": "2024-13-01"}, "start_date"),
        ({"start": "2024-12-25", "end": "2024-01-01"}, "end_date"),
        ({"source": "nowhere"}, "source"),
        ({"symbols": "hello"}, "symbols"),
        ({"symbols": []}, "symbols"),
        ({"priority": 11}, "priority"),
        ({"path": "/somewhere"}, "path"),
    ],
)
def test_bad_input_is_refused_before_anything_is_changed(options: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        run(**options)
    assert refusal.value.field == field
    assert not ImportTask.objects.exists()


def test_an_update_of_nothing_says_to_import_first() -> None:
    with pytest.raises(EmptyDatabase):
        run_import(Kind.UPDATE, source="simulated")
    assert not ImportTask.objects.exists()


def at(done: int, act: Callable[[], object]) -> Callable[[Progress], None]:
    """Return a callback that acts once, as soon as ``done`` stocks are finished."""
    acted: list[bool] = []

    def callback(now: Progress) -> None:
        if now.done >= done and not acted:
            acted.append(True)
            act()

    return callback


def only_task() -> ImportTask:
    return ImportTask.objects.get()


def test_a_stopped_run_goes_on_where_it_was_with_the_bars_of_an_undisturbed_one() -> None:
    first, second = Listener(at(10, stopping.request_stop)), Listener()
    stopped = run(on_progress=first)
    assert (stopped.status, first.percents[-1] < 100) == (Status.RUNNING, True)
    assert not stopped.slots.exists(), "nobody has to wait for its lease"
    stopping.reset()
    finished = run(on_progress=second)
    assert finished.pk == stopped.pk
    assert finished.status == Status.COMPLETED
    assert min(second.percents) >= max(first.percents)
    disturbed = bars_hash()
    for stock in Stock.objects.all():
        stock.bars.all().delete()
    Stock.objects.all().delete()
    run()
    assert bars_hash() == disturbed


@pytest.mark.usefixtures("attentive")
def test_a_pause_ends_the_run_and_resuming_finishes_it() -> None:
    paused = run(on_progress=Listener(at(10, lambda: lifecycle.pause(only_task().pk))))
    assert paused.status == Status.PAUSED
    assert 10 <= paused.done < paused.total
    lifecycle.resume(paused.pk)
    assert run().pk == paused.pk
    assert only_task().status == Status.COMPLETED


@pytest.mark.usefixtures("attentive")
def test_a_cancel_keeps_what_was_stored() -> None:
    cancelled = run(on_progress=Listener(at(10, lambda: lifecycle.cancel(only_task().pk))))
    assert cancelled.status == Status.CANCELLED
    assert Bar.objects.count() == cancelled.rows_written > 0
    assert cancelled.done < cancelled.total


def test_the_task_of_higher_priority_is_worked_on_first() -> None:
    urgent = submit(build_request(Kind.IMPORT, source="simulated", start="2024-12-20", end="2024-12-25", priority=5))
    own = run()
    before = lifecycle.get_task(urgent.task.pk)
    assert (before.status, own.status) == (Status.COMPLETED, Status.COMPLETED)
    assert before.finished_at is not None
    assert own.started_at is not None
    assert before.finished_at <= own.started_at


@pytest.mark.usefixtures("attentive")
def test_a_task_steps_aside_for_an_urgent_one_and_is_finished_after_it() -> None:
    def ask_for_something_urgent() -> None:
        submit(build_request(Kind.IMPORT, source="simulated", start="2024-12-20", end="2024-12-25", priority=5))
        # What a cluster's dispatcher would do within two seconds.
        dispatch(bell=lambda *_message: None)

    own = run(on_progress=Listener(at(10, ask_for_something_urgent)))
    urgent = ImportTask.objects.exclude(pk=own.pk).get()
    assert (own.status, urgent.status) == (Status.COMPLETED, Status.COMPLETED)
    assert [each.new for each in own.transitions.all()] == [
        "pending", "running", "pending", "running", "completed",
    ]  # fmt: skip
    assert own.finished_at is not None
    assert urgent.finished_at is not None
    assert urgent.finished_at <= own.finished_at


def test_more_lanes_than_this_process_has_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.lanes.TIME_BOX", 0.1)
    submission = submit(build_request(Kind.IMPORT, source="simulated", end="2024-12-25", lanes=8))
    lanes: set[int] = set()
    task = follow_inline(
        submission, on_progress=lambda _now: lanes.update(only_task().slots.values_list("number", flat=True))
    )
    assert task.status == Status.COMPLETED
    assert lanes == {0}
