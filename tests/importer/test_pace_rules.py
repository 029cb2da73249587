from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.models import Breaker
from importer.pace_rules import (
    LONGEST_RETRY_AFTER,
    PROBE_LEASE,
    QUEUE_LIMIT,
    TROUBLES_TO_OPEN,
    Health,
    NotNow,
    Pace,
    Reserved,
    Rest,
    Trouble,
    after_successes,
    after_trouble,
    ask_for_slot,
    interval_of,
    most_late,
    rests_until,
    spare_after,
    start_probe,
)

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
PACE = Pace(0.1, 0.3)
REST = Rest(30.0, 3600.0)
REFUSED = Trouble(refused=True)
SILENT = Trouble(refused=False)

chances = st.floats(0, 1, exclude_max=True)
paces = st.tuples(st.floats(0.001, 2), st.floats(0, 3)).map(lambda pair: Pace(pair[0], pair[0] + pair[1]))


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def reserve(health: Health, now: datetime = NOW, pace: Pace = PACE, chance: float = 0.5, **more: Any) -> Reserved:
    outcome = ask_for_slot(health, pace, now, chance=chance, **more)
    assert isinstance(outcome, Reserved)
    return outcome


def trouble(health: Health, what: Trouble = REFUSED, now: datetime = NOW, pace: Pace = PACE) -> Health:
    return after_trouble(health, pace, REST, what, now, "Eastmoney")


def opened(times: int = 1, now: datetime = NOW) -> Health:
    health = Health()
    for _ in range(TROUBLES_TO_OPEN):
        health = trouble(health, now=now)
    for _ in range(times - 1):
        assert health.open_until is not None
        health = trouble(start_probe(health, health.open_until), now=health.open_until)
    return health


@given(pace=paces, asks=st.lists(st.tuples(st.floats(0, 5), chances), min_size=2, max_size=60))
def test_two_slots_are_never_closer_than_the_shortest_gap(pace: Pace, asks: list[tuple[float, float]]) -> None:
    health, now, slots = Health(), NOW, []
    for later, chance in asks:
        now += seconds(later)
        outcome = ask_for_slot(health, pace, now, chance=chance)
        if isinstance(outcome, Reserved):
            health = outcome.health
            slots.append(outcome.slot)
    gaps = [after - before for before, after in itertools.pairwise(slots)]
    assert all(gap >= seconds(pace.shortest) - timedelta(microseconds=5) for gap in gaps)


@given(pace=paces, drawn=st.lists(chances, min_size=2, max_size=60))
def test_waiters_that_queue_up_get_slots_no_further_apart_than_the_longest_gap(pace: Pace, drawn: list[float]) -> None:
    health, slots = Health(), []
    for chance in drawn:
        outcome = ask_for_slot(health, pace, NOW, chance=chance)
        if isinstance(outcome, Reserved):
            health = outcome.health
            slots.append(outcome.slot)
    gaps = [after - before for before, after in itertools.pairwise(slots)]
    assert all(gap <= seconds(pace.longest) + timedelta(microseconds=5) for gap in gaps)


@given(asks=st.lists(st.tuples(st.floats(0, 0.4), chances), min_size=60, max_size=120))
def test_no_window_of_ten_seconds_holds_more_than_the_mean_pace_allows_plus_one(
    asks: list[tuple[float, float]],
) -> None:
    health, now, slots = Health(), NOW, []
    for later, chance in asks:
        now += seconds(later)
        outcome = ask_for_slot(health, PACE, now, chance=chance)
        if isinstance(outcome, Reserved):
            health = outcome.health
            slots.append(outcome.slot)
    for start in slots:
        assert sum(start <= slot <= start + seconds(10) for slot in slots) <= 10 / PACE.mean + 1


events = st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["ask", "answer", "refuse", "silence"]), chances))


@given(events=events)
def test_answers_and_troubles_never_make_the_gap_shorter_than_the_floor(events: list[Any]) -> None:
    health, now, last = Health(), NOW, None
    for later, kind, chance in events:
        now += seconds(later)
        if kind == "answer":
            health = after_successes(health, PACE, 1)
        elif kind in ("refuse", "silence"):
            health = trouble(health, Trouble(refused=kind == "refuse"), now)
        elif isinstance(outcome := ask_for_slot(health, PACE, now, chance=chance), Reserved):
            health = outcome.health
            assert last is None or outcome.slot - last >= seconds(PACE.shortest) - timedelta(microseconds=5)
            last = outcome.slot
        assert interval_of(health, PACE) >= PACE.mean
        assert (health.breaker == Breaker.OPEN) == (health.open_until is not None and health.probe_until is None)


def test_the_slots_of_waiters_keep_the_mean_pace() -> None:
    health, slots = Health(), []
    for number in range(90):
        outcome = reserve(health, chance=number % 10 / 10)
        health = outcome.health
        slots.append(outcome.slot)
    assert (slots[-1] - slots[0]).total_seconds() / 89 == pytest.approx(PACE.mean, rel=0.01)


def test_a_slot_more_than_a_minute_ahead_is_taken_as_free() -> None:
    assert reserve(Health(next_slot_at=NOW + seconds(61)), chance=0).slot == NOW


def test_a_slot_less_than_a_minute_ahead_is_kept() -> None:
    assert reserve(Health(next_slot_at=NOW + seconds(15)), chance=0).slot == NOW + seconds(15)


def test_nobody_reserves_a_slot_more_than_twenty_seconds_ahead() -> None:
    outcome = ask_for_slot(Health(next_slot_at=NOW + QUEUE_LIMIT), PACE, NOW, chance=0.5)
    assert isinstance(outcome, NotNow)
    assert not outcome.resting


def test_a_slot_after_the_deadline_is_not_reserved() -> None:
    outcome = ask_for_slot(Health(next_slot_at=NOW + seconds(5)), PACE, NOW, chance=0, latest=NOW + seconds(4))
    assert outcome == NotNow(NOW + seconds(5), resting=False)


def test_the_interval_that_was_stored_under_a_faster_pace_is_not_used() -> None:
    assert interval_of(Health(interval=0.01), PACE) == PACE.mean


def test_a_pace_of_zero_gives_slots_at_once() -> None:
    assert reserve(Health(), pace=Pace(0, 0)).slot == NOW


def test_a_pace_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="0 <= shortest"):
        Pace(-0.1, 0.3)


def test_a_little_late_is_not_missed() -> None:
    assert 0.03 <= most_late(0.2, PACE) < 0.05
    assert most_late(2.0, PACE) >= 0.3


@given(pace=paces, wider=st.floats(1, 10), drawn=st.tuples(chances, chances), missed=st.integers(0, 20))
def test_a_slot_that_is_used_as_late_as_it_may_be_is_not_too_near_the_next_one(
    pace: Pace, wider: float, drawn: tuple[float, float], missed: int
) -> None:
    spare = spare_after(missed)
    first = reserve(Health(interval=pace.mean * wider), pace=pace, chance=drawn[0], spare=spare)
    used = first.slot + seconds(most_late(interval_of(first.health, pace), pace) + spare)
    then = ask_for_slot(first.health, pace, NOW, chance=drawn[1])
    following = then.slot if isinstance(then, Reserved) else then.until
    if pace.shortest > 0.02:
        assert following - used >= seconds(pace.shortest - 0.02) - timedelta(microseconds=5)


def test_who_misses_slot_after_slot_gets_wider_ones_to_an_end() -> None:
    assert [spare_after(missed) for missed in (0, 2)] == [0.0, 0.0]
    assert 0 < spare_after(3) < spare_after(4)
    assert spare_after(1000) == 5.0


def test_a_refusal_widens_the_gap_at_once() -> None:
    assert interval_of(trouble(Health()), PACE) > PACE.mean


def test_a_refusal_moves_the_next_slot_away() -> None:
    waiting = reserve(Health()).health
    after = trouble(waiting)
    assert after.next_slot_at is not None
    assert waiting.next_slot_at is not None
    assert after.next_slot_at > waiting.next_slot_at


def test_answers_narrow_the_gap_slowly_to_its_floor() -> None:
    wide = Health(interval=1.0)
    assert PACE.mean < after_successes(wide, PACE, 1).interval < 1.0
    assert after_successes(wide, PACE, 100).interval == PACE.mean


def test_the_gap_never_widens_without_bound() -> None:
    health = Health()
    for _ in range(50):
        health = replace(trouble(health), breaker=Breaker.CLOSED)
    assert health.interval == pytest.approx(PACE.mean * 10)


def test_the_breaker_opens_at_the_fifth_refusal_in_a_row() -> None:
    health = Health()
    for _ in range(TROUBLES_TO_OPEN - 1):
        health = trouble(health)
        assert health.breaker == Breaker.CLOSED
    health = trouble(health)
    assert health.breaker == Breaker.OPEN
    assert health.open_until == NOW + seconds(30)


def test_an_answer_between_refusals_keeps_the_breaker_closed_and_the_pace_near_its_floor() -> None:
    health, intervals = Health(), []
    for number in range(300):
        health = trouble(health) if number % 3 == 2 else after_successes(health, PACE, 1)
        intervals.append(interval_of(health, PACE))
    assert health.breaker == Breaker.CLOSED
    assert sum(intervals) / len(intervals) < 1.25 * PACE.mean


def test_the_reason_says_who_refused_how_often_and_until_when() -> None:
    text = opened().reason
    assert text.msgid == "%(source)s refused %(count)s requests in a row; next try at %(time)s"
    assert text.values["count"] == 5


def test_the_reason_of_a_silent_source_says_so() -> None:
    health = Health()
    for _ in range(TROUBLES_TO_OPEN):
        health = trouble(health, SILENT)
    assert "did not answer" in health.reason.msgid


def test_the_rest_doubles_up_to_an_hour() -> None:
    rests = [opened(times) for times in range(1, 10)]
    lengths = [REST.after(health.opened_times).total_seconds() for health in rests]
    assert lengths == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_retry_after_opens_the_breaker_at_once_for_that_long() -> None:
    health = trouble(Health(), Trouble(refused=True, retry_after=600))
    assert health.breaker == Breaker.OPEN
    assert health.open_until == NOW + seconds(600)


def test_a_short_retry_after_does_not_shorten_the_rest() -> None:
    assert trouble(Health(), Trouble(refused=True, retry_after=1)).open_until == NOW + seconds(30)


def test_an_absurd_retry_after_is_bounded() -> None:
    assert trouble(Health(), Trouble(refused=True, retry_after=1e9)).open_until == NOW + LONGEST_RETRY_AFTER


def test_nobody_gets_a_slot_of_an_open_breaker() -> None:
    assert ask_for_slot(opened(), PACE, NOW + seconds(29), chance=0) == NotNow(NOW + seconds(30), resting=True)


def test_the_first_to_ask_after_the_rest_is_the_only_one_to_probe() -> None:
    later = NOW + seconds(31)
    prober = reserve(opened(), later)
    assert prober.health.breaker == Breaker.HALF_OPEN
    second = ask_for_slot(prober.health, PACE, later + seconds(1), chance=0)
    assert second == NotNow(later + PROBE_LEASE, resting=True)


def test_who_holds_the_probe_gets_a_slot() -> None:
    probing = start_probe(opened(), NOW + seconds(31))
    assert reserve(probing, NOW + seconds(32), holds_probe=True).health.probe_until == probing.probe_until


def test_a_dead_prober_blocks_the_source_only_for_its_lease() -> None:
    probing = start_probe(opened(), NOW)
    again = reserve(probing, NOW + PROBE_LEASE)
    assert again.health.probe_until == NOW + PROBE_LEASE + PROBE_LEASE


def test_the_answer_to_the_probe_closes_the_breaker() -> None:
    closed = after_successes(start_probe(opened(), NOW), PACE, 1)
    assert closed.breaker == Breaker.CLOSED
    assert (closed.open_until, closed.probe_until, closed.reason.msgid) == (None, None, "")
    assert rests_until(closed, NOW) is None


def test_a_probe_that_is_refused_opens_the_breaker_for_twice_as_long() -> None:
    later = NOW + seconds(31)
    health = trouble(start_probe(opened(), later), now=later)
    assert health.open_until == later + seconds(60)


def test_a_source_that_refuses_soon_again_rests_longer_than_before() -> None:
    health = after_successes(start_probe(opened(), NOW), PACE, 1)
    for _ in range(TROUBLES_TO_OPEN):
        health = trouble(health)
    assert health.open_until == NOW + seconds(60)


def test_a_source_that_answered_for_long_starts_again_with_the_first_rest() -> None:
    health = after_successes(start_probe(opened(3), NOW), PACE, 1)
    health = after_successes(health, PACE, 100)
    assert health.opened_times == 0


@pytest.mark.parametrize("late", [REFUSED, SILENT])
def test_what_was_sent_before_the_breaker_opened_does_not_prolong_the_rest(late: Trouble) -> None:
    assert trouble(opened(), late, NOW + seconds(5)) == opened()


def test_an_answer_to_what_was_sent_before_the_breaker_opened_does_not_close_it() -> None:
    assert after_successes(opened(), PACE, 1) == opened()


def test_a_rest_stored_before_the_clock_was_set_back_is_over() -> None:
    assert rests_until(opened(), NOW - timedelta(days=2)) is None
