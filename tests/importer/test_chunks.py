"""Chunks: claimed once, moved on under a fence, freed after a death; a stock that kills is isolated."""

from __future__ import annotations

from datetime import timedelta

import pytest

from importer import chunks
from importer.dbtime import db_now
from importer.exceptions import LostLease
from importer.models import Failure, ImportChunk, ImportTask, Status
from tests.importer.factories import make_chunk, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def task() -> ImportTask:
    return make_task(status=Status.RUNNING)


def test_chunks_are_claimed_in_order_and_each_once(task: ImportTask) -> None:
    first, second = make_chunk(task, ["600001.SH"]), make_chunk(task, ["600002.SH"])
    claims = [chunks.claim(task.pk, lane, db_now()) for lane in range(3)]
    assert [claim and claim.chunk_id for claim in claims] == [first.pk, second.pk, None]


def test_a_chunk_whose_lease_is_over_can_be_claimed_again_and_its_old_lane_is_fenced(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH", "600002.SH"])
    late = chunks.claim(task.pk, 0, db_now())
    assert late is not None
    let_leases_run_out(task)
    fresh = chunks.claim(task.pk, 1, db_now())
    assert fresh is not None
    with pytest.raises(LostLease):
        chunks.advance(late, 0, db_now(), done=1)
    chunks.advance(fresh, 0, db_now(), done=1, rows=7)
    chunk = ImportChunk.objects.get()
    assert (chunk.cursor, chunk.done, chunk.rows) == (1, 1, 7)


def test_a_lease_far_ahead_was_written_before_the_clock_was_set_back(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH"], lane=0, leased_until=db_now() + timedelta(hours=1))
    chunks.free_expired(task.pk, db_now())
    assert chunks.claim(task.pk, 1, db_now()) is not None


def test_the_cursor_moves_only_from_where_it_is(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH", "600002.SH"])
    claim = chunks.claim(task.pk, 0, db_now())
    assert claim is not None
    chunks.advance(claim, 0, db_now(), done=1)
    with pytest.raises(LostLease):
        chunks.advance(claim, 0, db_now(), done=1)


def test_what_each_source_gave_is_kept_for_the_next_lane(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH", "600002.SH", "600003.SH"])
    claim = chunks.claim(task.pk, 0, db_now())
    assert claim is not None
    chunks.advance(claim, 0, db_now(), done=1, by_source={"sina": 1})
    chunks.advance(claim, 1, db_now(), skipped=1)
    chunks.release(claim)
    later = chunks.claim(task.pk, 1, db_now())
    assert later is not None
    assert later.by_source == {"sina": 1}


def test_a_released_chunk_goes_on_where_it_was(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH", "600002.SH"])
    claim = chunks.claim(task.pk, 0, db_now())
    assert claim is not None
    chunks.advance(claim, 0, db_now(), skipped=1)
    chunks.release(claim)
    again = chunks.claim(task.pk, 1, db_now())
    assert again is not None
    assert (again.cursor, again.careful) == (1, False)


def test_after_a_death_the_chunk_is_worked_on_carefully(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH", "600002.SH"])
    die(task)
    claim = chunks.claim(task.pk, 0, db_now())
    assert claim is not None
    assert claim.careful
    chunks.advance(claim, 0, db_now(), done=1)
    chunks.release(claim)
    after = chunks.claim(task.pk, 0, db_now())
    assert after is not None
    assert not after.careful


def test_a_stock_at_which_two_lanes_died_is_set_aside_and_tried_alone_at_the_end(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH", "600002.SH"])
    die(task)
    die(task)
    rest = chunks.claim(task.pk, 0, db_now())
    assert rest is not None
    assert rest.symbols[rest.cursor] == "600002.SH"
    assert chunks.claim(task.pk, 1, db_now()) is None, "the suspect waits until all others are finished"
    chunks.advance(rest, 1, db_now(), done=1)
    alone = chunks.claim(task.pk, 1, db_now())
    assert alone is not None
    assert alone.symbols == ("600001.SH",)
    assert not Failure.objects.exists()


def test_three_more_deaths_alone_make_it_a_listed_failure(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH"])
    for _death in range(chunks.DEATHS_BEFORE_ISOLATION + chunks.DEATHS_IN_ISOLATION):
        die(task)
    assert chunks.claim(task.pk, 0, db_now()) is None
    failure = Failure.objects.get()
    assert (failure.symbol, failure.code, failure.attempts) == ("600001.SH", "lane_died", 5)
    assert "600001.SH" in failure.reason
    assert sum(chunk.size - chunk.set_aside for chunk in task.chunks.all()) == 1
    assert sum(chunk.failed for chunk in task.chunks.all()) == 1


def test_lanes_that_die_in_turn_before_anyone_finds_them_dead_are_counted(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH", "600002.SH"])
    for lane in (0, 1):
        assert chunks.claim(task.pk, lane, db_now()) is not None
        let_leases_run_out(task)
    rest = chunks.claim(task.pk, 0, db_now())
    assert rest is not None
    assert rest.symbols[rest.cursor] == "600002.SH", "the stock at which two lanes died was not set aside"


def test_a_lease_that_lasts_is_no_death(task: ImportTask) -> None:
    make_chunk(task, ["600001.SH"])
    claim = chunks.claim(task.pk, 0, db_now())
    assert claim is not None
    chunks.free_expired(task.pk, db_now())
    chunks.advance(claim, 0, db_now(), done=1)
    assert ImportChunk.objects.get().deaths == 0


def let_leases_run_out(task: ImportTask) -> None:
    ImportChunk.objects.update(leased_until=db_now() - timedelta(seconds=1))
    chunks.free_expired(task.pk, db_now())


def die(task: ImportTask) -> None:
    claim = chunks.claim(task.pk, 0, db_now())
    assert claim is not None
    chunks.free_after_death(task.pk, 0)
