from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone, translation

from importer import pacing
from importer.dbtime import db_now
from importer.exceptions import StopRequested
from importer.models import Breaker, SourceState
from importer.pace_memory import memory
from importer.pace_rules import PROBE_LEASE, TROUBLES_TO_OPEN, Pace
from importer.pacing import SourceResting
from importer.sources.base import BadData, Banned, SourceUnavailable
from tests.importer.pace_load import AHEAD
from tests.sources.slots_given import shortest_gap, slots_of

pytestmark = pytest.mark.django_db(transaction=True)

# Slots are logged in microseconds.
ROUNDING = 1e-5


@pytest.fixture(autouse=True)
def _a_new_process() -> Iterator[None]:
    memory.forget()
    yield
    memory.forget()


def state(source: str = "eastmoney") -> SourceState:
    return SourceState.objects.get(pk=source)


def refuse(times: int = TROUBLES_TO_OPEN, source: str = "eastmoney") -> None:
    for _ in range(times):
        pacing.report_trouble(source, Banned(source=source, detail="403"))


def end_the_rest(source: str = "eastmoney") -> None:
    SourceState.objects.filter(pk=source).update(open_until=db_now() - timedelta(seconds=1))


def in_another_thread(question: object) -> object:
    answers: list[object] = []

    def ask() -> None:
        assert callable(question)
        answers.append(question())
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]


def test_the_first_slot_comes_within_one_gap() -> None:
    assert pacing.take_slot("eastmoney") <= settings.PACE_MAX


def test_slots_that_are_taken_at_once_lie_apart(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "importer.pacing")
    for _ in range(6):
        pacing.take_slot("eastmoney")
    slots = slots_of(caplog.text, "eastmoney")
    assert len(slots) == 6
    assert shortest_gap(slots) >= settings.PACE_MIN - ROUNDING


def test_each_source_has_a_pace_of_its_own() -> None:
    for _ in range(10):
        pacing.take_slot("eastmoney")
    assert pacing.take_slot("sina") <= settings.PACE_MAX


def test_a_source_that_is_not_paced_never_waits() -> None:
    assert [pacing.take_slot("tdx") for _ in range(5)] == [0.0] * 5
    assert not SourceState.objects.exists()


def test_a_floor_gives_a_source_a_pace_of_its_own(settings: object) -> None:
    settings.PACE_FLOORS = {"simulated": 0.5}  # type: ignore[attr-defined]
    pace = pacing.pace_of("simulated")
    assert pace is not None
    assert (pace.shortest, pace.longest) == pytest.approx((0.5, 1.5))


def test_a_source_that_has_blacklisted_users_is_asked_half_as_often(settings: object) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3  # type: ignore[attr-defined]
    pace = pacing.pace_of("baostock")
    assert pace is not None
    assert (pace.shortest, pace.longest) == pytest.approx((0.2, 0.6))
    settings.PACE_FLOORS = {"baostock": 0.1}  # type: ignore[attr-defined]
    pace = pacing.pace_of("baostock")
    assert pace is not None
    assert (pace.shortest, pace.longest) == pytest.approx((0.1, 0.3))


def test_a_restart_finds_the_slots_that_were_given_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "importer.pacing")
    for _ in range(10):
        pacing.take_slot("eastmoney")
    memory.forget()
    pacing.take_slot("eastmoney")
    *before, after = slots_of(caplog.text, "eastmoney")
    assert len(before) == 10
    assert after >= max(before) + settings.PACE_MIN - ROUNDING


def test_a_slot_far_ahead_from_before_a_clock_was_set_back_is_taken_as_free() -> None:
    SourceState.objects.create(source="eastmoney", next_slot_at=db_now() + timedelta(hours=1))
    assert pacing.take_slot("eastmoney") <= settings.PACE_MAX


def test_waiting_ends_when_the_lane_has_to_stop() -> None:
    SourceState.objects.create(source="eastmoney", next_slot_at=db_now() + timedelta(seconds=15))
    with pytest.raises(StopRequested):
        pacing.wait_for_slot("eastmoney", lambda: True)


def test_a_slot_after_the_deadline_is_not_waited_for() -> None:
    SourceState.objects.create(source="eastmoney", next_slot_at=db_now() + timedelta(seconds=15))
    with pytest.raises(SourceResting):
        pacing.wait_for_slot("eastmoney", deadline=time.monotonic() + 10)
    assert state().requests == 0


def test_with_a_full_queue_the_next_in_line_waits_and_reserves_nothing() -> None:
    SourceState.objects.create(source="eastmoney", next_slot_at=db_now() + timedelta(seconds=25))
    asked = iter([False, True])
    with pytest.raises(StopRequested):
        pacing.wait_for_slot("eastmoney", lambda: next(asked))
    assert state().requests == 0


def late(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let this process run so many seconds after each moment for which it waits."""
    on_time = pacing._sleep_until

    def sleep_until(due: float, should_stop: Callable[[], bool]) -> None:
        on_time(due + seconds, should_stop)

    monkeypatch.setattr(pacing, "_sleep_until", sleep_until)


def test_a_machine_that_is_always_late_sends_in_a_wider_slot_not_in_a_missed_one(
    monkeypatch: pytest.MonkeyPatch, settings: object, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3  # type: ignore[attr-defined]
    caplog.set_level(logging.DEBUG, "importer.pacing")
    late(monkeypatch, 0.1)
    slot = pacing.wait_for_slot("eastmoney")
    assert slot.latest - slot.due > 0.1
    assert len(slots_of(caplog.text, "eastmoney")) > 3
    assert (state().requests, state().requests_today) == (1, 1), "what is sent is counted, not the slots"
    following = (state().next_slot_at or db_now()) - db_now()
    assert slot.latest <= time.monotonic() + following.total_seconds() - (settings.PACE_MIN - 0.02)  # type: ignore[attr-defined]


def test_a_database_that_was_slow_to_tell_the_time_makes_no_request_late(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly() -> datetime:
        now = db_now()
        time.sleep(0.1)
        return now

    monkeypatch.setattr(pacing, "db_now", slowly)
    slot = pacing._ask_for_slot("eastmoney", pacing.pace_of("eastmoney") or Pace(0.1, 0.3))
    assert isinstance(slot, pacing.Slot)
    assert slot.latest < slot.due


def test_a_probe_that_is_late_is_sent_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse()
    end_the_rest()
    late(monkeypatch, 2.0)
    assert pacing.wait_for_slot("eastmoney").probe


def test_a_slot_is_never_waited_for_inside_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        pacing.take_slot("eastmoney")


def test_requests_are_counted_when_they_are_sent_and_answers_with_the_next_slot() -> None:
    pacing.take_slot("eastmoney")
    pacing.report_success("eastmoney")
    assert (state().requests, state().requests_today, state().successes) == (1, 1, 0)
    pacing.take_slot("eastmoney")
    assert (state().requests, state().successes) == (2, 1)


def test_flush_writes_the_answers_of_a_process_that_ends() -> None:
    pacing.take_slot("eastmoney")
    pacing.report_success("eastmoney")
    pacing.flush()
    assert state().successes == 1


def test_the_count_of_the_day_starts_anew_on_another_day() -> None:
    pacing.take_slot("eastmoney")
    SourceState.objects.update(counted_on="2020-01-01", requests_today=500)
    assert pacing.states()[0].requests_today == 0
    pacing.take_slot("eastmoney")
    assert (state().requests_today, state().requests) == (1, 2)


def test_answers_of_a_source_without_a_pace_are_counted() -> None:
    for _ in range(3):
        pacing.report_success("tdx")
    pacing.flush()
    assert state("tdx").successes == 3


def test_a_source_that_was_never_asked_may_be_asked() -> None:
    assert pacing.can_ask("eastmoney")


def test_five_refusals_in_a_row_open_the_breaker() -> None:
    refuse(TROUBLES_TO_OPEN - 1)
    assert pacing.can_ask("eastmoney")
    refuse(1)
    assert not pacing.can_ask("eastmoney")
    assert state().breaker == Breaker.OPEN


def test_an_answer_ends_a_series_of_refusals_at_once() -> None:
    refuse(TROUBLES_TO_OPEN - 1)
    pacing.report_success("eastmoney")
    assert state().refusals == 0
    refuse(TROUBLES_TO_OPEN - 1)
    assert pacing.can_ask("eastmoney")


def test_an_open_breaker_gives_no_slot() -> None:
    refuse()
    with pytest.raises(SourceResting) as caught:
        pacing.take_slot("eastmoney")
    assert caught.value.until == state().open_until
    assert isinstance(caught.value, SourceUnavailable)


def test_who_waits_when_the_breaker_opens_sends_nothing() -> None:
    pacing.take_slot("eastmoney")
    opened = []

    def another_lane_is_refused() -> bool:
        if not opened:
            opened.append(True)
            refuse()
        return False

    with pytest.raises(SourceResting):
        pacing.wait_for_slot("eastmoney", another_lane_is_refused)


def test_an_error_that_is_reported_twice_counts_once() -> None:
    error = Banned(source="eastmoney", detail="403")
    pacing.report_trouble("eastmoney", error)
    pacing.report_trouble("eastmoney", error)
    assert (state().troubles, state().refusals) == (1, 1)


def test_bad_data_and_a_rest_say_nothing_about_the_health_of_a_source() -> None:
    pacing.report_trouble("eastmoney", BadData(source="eastmoney", symbol="600519.SH", detail=""))
    pacing.report_trouble("eastmoney", SourceResting("eastmoney", db_now()))
    assert not SourceState.objects.exists()


def test_a_source_without_a_pace_has_no_breaker() -> None:
    refuse(10, source="tdx")
    assert pacing.can_ask("tdx")
    assert state("tdx").troubles == 10


def test_after_the_rest_exactly_one_may_ask() -> None:
    refuse()
    end_the_rest()
    answers = [in_another_thread(lambda: pacing.can_ask("eastmoney")) for _ in range(4)]
    assert answers == [True, False, False, False]


def test_the_prober_may_ask_whether_it_may_ask_again() -> None:
    refuse()
    end_the_rest()
    assert pacing.can_ask("eastmoney")
    assert pacing.can_ask("eastmoney")


def test_the_prober_gets_one_slot_and_nobody_else_any() -> None:
    refuse()
    end_the_rest()
    assert pacing.can_ask("eastmoney")
    pacing.take_slot("eastmoney")
    with pytest.raises(SourceResting):
        pacing.take_slot("eastmoney")
    assert not pacing.can_ask("eastmoney")


def test_the_probe_may_be_sent_from_a_helper_thread() -> None:
    refuse()
    end_the_rest()
    assert pacing.can_ask("eastmoney")
    assert isinstance(in_another_thread(lambda: pacing.take_slot("eastmoney")), float)


def test_an_answer_to_the_probe_closes_the_breaker() -> None:
    refuse()
    end_the_rest()
    pacing.take_slot("eastmoney")
    pacing.report_success("eastmoney")
    assert state().breaker == Breaker.CLOSED
    assert pacing.can_ask("eastmoney")


def test_after_the_answer_to_a_probe_that_was_sent_late_the_next_slot_is_a_gap_away() -> None:
    refuse()
    end_the_rest()
    pacing.take_slot("eastmoney")
    SourceState.objects.update(next_slot_at=db_now() - timedelta(seconds=5))
    answered = db_now()
    pacing.report_success("eastmoney")
    following = state().next_slot_at
    assert following is not None
    assert following >= answered + timedelta(seconds=settings.PACE_MIN)


def test_a_refused_probe_opens_the_breaker_for_longer() -> None:
    refuse()
    end_the_rest()
    pacing.take_slot("eastmoney")
    refuse(1)
    assert state().opened_times == 2
    assert not pacing.can_ask("eastmoney")


def test_another_may_probe_when_the_prober_died() -> None:
    refuse()
    end_the_rest()
    assert pacing.can_ask("eastmoney")
    memory.forget()
    assert not pacing.can_ask("eastmoney")
    SourceState.objects.update(probe_until=db_now() - timedelta(seconds=1))
    assert pacing.can_ask("eastmoney")


def test_answers_that_were_counted_before_the_ban_do_not_close_the_breaker() -> None:
    pacing.take_slot("eastmoney")
    pacing.report_success("eastmoney")
    refuse()
    end_the_rest()
    in_another_thread(lambda: pacing.can_ask("eastmoney"))
    pacing.flush()
    assert state().breaker == Breaker.HALF_OPEN


def test_the_breaker_outlives_the_process() -> None:
    refuse()
    memory.forget()
    assert not pacing.can_ask("eastmoney")


def test_the_earliest_retry_is_that_of_the_source_that_rests_least() -> None:
    refuse(source="sina")
    refuse(source="eastmoney")
    SourceState.objects.filter(pk="eastmoney").update(open_until=db_now() + timedelta(minutes=10))
    assert pacing.earliest_retry(["eastmoney", "sina"]) == state("sina").open_until


def test_there_is_no_retry_to_wait_for_while_one_source_may_be_asked() -> None:
    refuse()
    assert pacing.earliest_retry(["eastmoney", "sina"]) is None
    assert pacing.earliest_retry([]) is None


def test_the_earliest_retry_of_a_source_that_is_being_probed_is_the_end_of_the_probe() -> None:
    refuse()
    end_the_rest()
    pacing.take_slot("eastmoney")
    until = pacing.earliest_retry(["eastmoney"])
    assert isinstance(until, datetime)
    assert until <= db_now() + PROBE_LEASE


def test_somebody_may_end_a_rest() -> None:
    refuse()
    pacing.close_breaker("eastmoney", by="admin")
    assert pacing.can_ask("eastmoney")
    assert "admin" in state().reason


def test_the_reason_is_a_sentence_with_the_time_of_the_next_try() -> None:
    refuse()
    with translation.override("en"):
        reason = str(pacing.states()[0].reason)
    assert reason.startswith("Eastmoney refused 5 requests in a row; next try at ")


def test_once_the_rest_is_over_the_reason_says_that_the_next_request_tries_it_again() -> None:
    refuse()
    end_the_rest()
    (eastmoney,) = pacing.states()
    assert (eastmoney.breaker, eastmoney.next_try) == (Breaker.OPEN, None)
    with translation.override("en"):
        assert str(eastmoney.reason) == "Eastmoney refused 5 requests in a row; the next request tries it again"
        assert pacing.sentence_of(state()) == str(eastmoney.reason)


def test_while_a_probe_is_out_the_reason_says_that_the_source_is_being_tried() -> None:
    refuse()
    end_the_rest()
    assert pacing.can_ask("eastmoney")
    with translation.override("en"):
        reason = str(pacing.states()[0].reason)
    assert reason == "Eastmoney refused 5 requests in a row; it is being tried again now"


def test_states_lists_what_pages_show() -> None:
    refuse(source="sina")
    pacing.take_slot("eastmoney")
    eastmoney, sina = pacing.states()
    assert (eastmoney.source, eastmoney.breaker, eastmoney.next_try) == ("eastmoney", Breaker.CLOSED, None)
    assert eastmoney.interval == pytest.approx((settings.PACE_MIN + settings.PACE_MAX) / 2)
    assert (sina.breaker, sina.troubles, sina.next_try) == (Breaker.OPEN, 5, state("sina").open_until)


def slots_of_ten_processes(database_url: str, var_dir: Path, slots_each: int = 4) -> list[float]:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "BARVAULT_VAR_DIR": str(var_dir),
        "BARVAULT_LOG_LEVEL": "DEBUG",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.importer.pace_load", "10", str(slots_each)],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(slots_of(done.stderr, "eastmoney"))


def assert_one_pace(slots: list[float]) -> None:
    """Judge the slots by themselves: how long the processes took to ask for them is the machine's affair."""
    assert len(slots) == AHEAD + 40
    assert shortest_gap(slots) >= settings.PACE_MIN - ROUNDING
    assert (slots[-1] - slots[0]) / (len(slots) - 1) <= (settings.PACE_MIN + settings.PACE_MAX) / 2 / 0.97


@pytest.mark.slow
def test_ten_processes_that_start_together_share_one_pace_on_sqlite(tmp_path: Path) -> None:
    assert_one_pace(slots_of_ten_processes(f"sqlite:///{tmp_path / 'pace.sqlite3'}", tmp_path))


@pytest.mark.slow
def test_ten_processes_that_start_together_share_one_pace_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    assert_one_pace(slots_of_ten_processes(postgresql_url, tmp_path))


def test_the_log_says_in_exchange_time_until_when_a_source_rests(caplog: pytest.LogCaptureFixture) -> None:
    refuse()
    until = state().open_until
    assert until is not None
    assert f"eastmoney rests until {timezone.localtime(until):%Y-%m-%d %H:%M:%S}: " in caplog.text
