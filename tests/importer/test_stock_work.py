"""A lane at work on files: it stores several stocks at once, and whatever is wrong stays one stock's own affair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from importer import lifecycle, stock_work, stopping
from importer.dbtime import db_now
from importer.dispatch import dispatch
from importer.invariants import violations
from importer.lanes import work_in_lane
from importer.leases import SLOT_LEASE
from importer.models import Failure, ImportChunk, ImportTask, LaneSlot, Status
from importer.stock_work import FILES_TOGETHER, ChunkWork, StockDone
from importer.stock_writing import Job, StockWriter
from importer.task_requests import build_request, submit
from marketdata.models import Bar, Stock
from marketdata.store import bars_hash, verify_summaries

pytestmark = pytest.mark.django_db(transaction=True)

STOCKS = 20
DAYS = ("2024-07-01", "2024-07-02", "2024-07-03")
HEADER = "date,open,high,low,close,volume,amount\n"


@pytest.fixture(autouse=True)
def one_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.planning.CHUNKS_WANTED", 1)
    monkeypatch.setattr("importer.lanes.LOOK_EVERY", 0.0)
    stopping.reset()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(STOCKS):
        write(tmp_path, number)
    return tmp_path


def symbol(number: int) -> str:
    return f"{600000 + number}.SH"


def write(folder: Path, number: int, high: float = 10.5) -> None:
    rows = [f"{day},10.00,{high},9.50,10.20,{1000 + number},{(1000 + number) * 10.1:.2f}\n" for day in DAYS]
    (folder / f"{symbol(number)}.csv").write_text(HEADER + "".join(rows))


def ask_for(folder: Path) -> ImportTask:
    return submit(build_request("import", source="files", path=str(folder), trusted_path=True), by="test").task


def work(on_stock: Any = None, *, others: int = 0) -> list[StockDone]:
    """Let one lane work until it leaves; return what it reported, each also to ``on_stock``.

    ``others``: so many lanes are there beside it, and do nothing.
    """
    messages: list[tuple[str, int, str]] = []
    reported: list[StockDone] = []

    def ring(*message: Any) -> None:
        messages.append(message)

    def note(done: StockDone) -> None:
        reported.append(done)
        if on_stock is not None:
            on_stock(done)

    dispatch(bell=ring, lanes=lambda: 1)
    for number in range(1, 1 + others):
        LaneSlot.objects.create(
            task=ImportTask.objects.get(status=Status.RUNNING),
            number=number,
            token=str(number),
            leased_until=db_now() + SLOT_LEASE,
        )
    work_in_lane(*messages[0], bell=ring, on_stock=note)
    return reported


def moves(queries: CaptureQueriesContext) -> int:
    return sum("SET cursor = cursor +" in query["sql"] for query in queries)


def ended(task: ImportTask) -> tuple[str, int, int, int]:
    task.refresh_from_db()
    assert violations() == []
    assert verify_summaries() == []
    return (task.status, task.done, task.failed, task.rows_written)


def test_stocks_from_files_are_stored_several_in_one_transaction_and_reported_one_by_one(folder: Path) -> None:
    task = ask_for(folder)
    with CaptureQueriesContext(connection) as queries:
        reported = work()
    assert moves(queries) == 3, "eight, eight and four"
    assert [(done.symbol, done.stocks, done.rows) for done in reported] == [(symbol(n), 1, 3) for n in range(STOCKS)]
    assert ended(task) == (Status.COMPLETED, STOCKS, 0, 3 * STOCKS)
    assert ImportChunk.objects.get().by_source == {"files": STOCKS}


def test_no_more_bars_than_others_can_wait_for_are_in_one_transaction(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_work, "BARS_TOGETHER", 4)
    task = ask_for(folder)
    with CaptureQueriesContext(connection) as queries:
        work()
    assert moves(queries) == STOCKS // 2
    assert ended(task) == (Status.COMPLETED, STOCKS, 0, 3 * STOCKS)


@pytest.mark.parametrize("bad", [0, 5, 7, 8, STOCKS - 1])
def test_a_bad_file_is_listed_and_takes_no_neighbour_along(folder: Path, bad: int) -> None:
    write(folder, bad, high=9.9)
    task = ask_for(folder)
    work()
    assert ended(task) == (Status.COMPLETED, STOCKS - 1, 1, 3 * (STOCKS - 1))
    assert Failure.objects.get().symbol == symbol(bad)
    assert not Bar.objects.filter(stock__symbol=symbol(bad)).exists()


def test_what_fails_while_it_is_written_is_found_by_writing_one_by_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ask_for(folder)
    work(lambda _done: lifecycle.pause(task.pk))
    Stock.objects.filter(symbol=symbol(15)).delete()
    lifecycle.resume(task.pk)
    known = stock_work.known_stocks
    # Deleted after the lane has read its row.
    monkeypatch.setattr(
        stock_work, "known_stocks", lambda names: {**known(names), symbol(15): Stock(pk=99_999, symbol=symbol(15))}
    )
    work()
    assert ended(task) == (Status.COMPLETED, STOCKS - 1, 1, 3 * (STOCKS - 1))
    assert Failure.objects.get().symbol == symbol(15)


def test_after_a_death_stocks_go_one_by_one_so_that_the_next_is_blamed_on_the_right_one(folder: Path) -> None:
    task = ask_for(folder)
    work(lambda _done: lifecycle.pause(task.pk))
    stored = ImportChunk.objects.get().cursor
    ImportChunk.objects.update(deaths=1)
    lifecycle.resume(task.pk)
    with CaptureQueriesContext(connection) as queries:
        work()
    assert moves(queries) == STOCKS - stored
    assert ended(task) == (Status.COMPLETED, STOCKS, 0, 3 * STOCKS)


def test_a_lane_that_lost_its_chunk_writes_none_of_several(folder: Path) -> None:
    task = ask_for(folder)

    def steal(done: StockDone) -> None:
        if done.symbol == symbol(7):
            LaneSlot.objects.all().delete()
            ImportChunk.objects.update(generation=F("generation") + 1, lane=None, leased_until=None)

    work(steal)
    assert (ImportChunk.objects.get().cursor, Bar.objects.count()) == (8, 24)
    work()
    assert ended(task) == (Status.COMPLETED, STOCKS, 0, 3 * STOCKS)


def test_one_by_one_or_together_the_same_is_stored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_for(folder)
    work()
    together = bars_hash()
    Bar.objects.all().delete()
    Stock.objects.all().delete()
    monkeypatch.setattr(stock_work, "FILES_TOGETHER", 1)
    ask_for(folder)
    work()
    assert bars_hash() == together


@pytest.mark.parametrize(("others", "read_ahead"), [(0, True), (1, False)])
def test_the_next_files_are_read_while_some_are_stored_if_no_other_lane_waits_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, others: int, read_ahead: bool
) -> None:
    ask_for(folder)
    started: list[int] = []
    at_first_write: list[int] = []
    start, write_stocks = ChunkWork._start, StockWriter.write

    def counted_start(*arguments: Any) -> Job:
        started.append(arguments[2])
        return start(*arguments)

    def watched_write(*arguments: Any) -> list[int]:
        at_first_write.append(len(started))
        return write_stocks(*arguments)

    monkeypatch.setattr(ChunkWork, "_start", counted_start)
    monkeypatch.setattr(StockWriter, "write", watched_write)
    work(others=others)
    assert (at_first_write[0] > FILES_TOGETHER) is read_ahead
    assert sorted(set(started)) == started == list(range(STOCKS)), "each file is read once"
    assert Bar.objects.count() == 3 * STOCKS


def test_files_that_hold_nothing_new_are_skipped_together(folder: Path) -> None:
    ask_for(folder)
    work()
    again = ask_for(folder)
    with CaptureQueriesContext(connection) as queries:
        work()
    assert moves(queries) == 3
    again.refresh_from_db()
    assert (again.status, again.done, again.skipped, again.rows_written) == (Status.COMPLETED, 0, STOCKS, 0)
