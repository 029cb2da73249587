from __future__ import annotations

from dataclasses import replace

import pytest

from importer.cluster_watch import CALM, CRASH_LOOP, PATIENCE, Pulse, Reading, RestartHistory, Symptom, Watch

# A cluster that works: all have been seen, everything that was handed over was taken.
WELL = Reading(
    sentinel_at=10.0,
    pusher_at=10.0,
    delivered_at=5.0,
    started_at=5.1,
    finished_at=6.0,
    accounted_at=6.1,
    idle_workers=2,
)


def first_symptom(reading: Reading, *, within: float, sentinel_lives: bool = True) -> Symptom | None:
    """Show the same reading four times a second, with a Sentinel that goes round all the while."""
    watch = Watch()
    for step in range(int(within / 0.25) + 1):
        shown = replace(reading, sentinel_at=reading.sentinel_at + step) if sentinel_lives else reading
        if symptom := watch.look(shown, 0.25):
            return symptom
    return None


def test_a_cluster_with_nothing_to_do_is_well() -> None:
    assert first_symptom(WELL, within=300) is None


def test_a_message_that_an_idle_worker_leaves_lying_means_a_stuck_queue() -> None:
    assert first_symptom(replace(WELL, delivered_at=20.0), within=6) is Symptom.QUEUE_STUCK


def test_a_message_waits_as_long_as_it_must_while_all_workers_are_busy() -> None:
    assert first_symptom(replace(WELL, delivered_at=20.0, idle_workers=0), within=300) is None


def test_the_patience_begins_anew_when_a_message_was_taken() -> None:
    watch = Watch()
    stuck = replace(WELL, delivered_at=20.0)
    for step in range(40):
        # Another message is taken every two seconds, and another one waits already.
        taken = replace(stuck, sentinel_at=10.0 + step, started_at=10.0 + step // 8)
        assert watch.look(taken, 0.25) is None


def test_a_result_that_the_monitor_leaves_lying_means_a_stuck_monitor() -> None:
    assert first_symptom(replace(WELL, finished_at=20.0), within=6) is Symptom.RESULTS_STUCK


def test_a_monitor_that_waits_for_the_database_gets_the_time_that_the_database_may_take() -> None:
    saving = replace(WELL, finished_at=20.0, monitor_saves=True)
    assert first_symptom(saving, within=70) is None
    assert first_symptom(saving, within=95) is Symptom.RESULTS_UNSAVED


def test_a_sentinel_that_stops_going_round_is_stuck() -> None:
    assert first_symptom(WELL, within=6, sentinel_lives=False) is Symptom.SENTINEL_SILENT


def test_a_cluster_that_never_gets_going_is_noticed() -> None:
    assert first_symptom(Reading(), within=16, sentinel_lives=False) is Symptom.SENTINEL_STARTS
    assert first_symptom(Reading(sentinel_at=1.0), within=16) is Symptom.PUSHER_STARTS


def test_a_pusher_that_waits_for_a_locked_database_is_not_stuck() -> None:
    asking = replace(WELL, pusher_asks=True)
    assert first_symptom(asking, within=70) is None
    assert first_symptom(asking, within=95) is Symptom.PUSHER_SILENT


def test_nobody_is_judged_for_the_time_that_the_machine_slept() -> None:
    watch = Watch()
    stuck = replace(WELL, delivered_at=20.0)
    assert watch.look(stuck, 0.25) is None
    assert watch.look(stuck, 3600.0) is None


@pytest.mark.parametrize("symptom", Symptom)
def test_each_symptom_has_its_patience(symptom: Symptom) -> None:
    assert symptom in PATIENCE


def test_a_cluster_that_ends_again_and_again_waits_longer_each_time() -> None:
    history, delays = RestartHistory(), []
    for _run in range(9):
        history = history.after_run(progressed=False, lasted=1.0)
        delays.append(history.delay)
    assert delays == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_restart_is_immediate_after_something_was_stored() -> None:
    history = RestartHistory(fruitless=7).after_run(progressed=True, lasted=1.0)
    assert history.delay == 0


def test_a_restart_is_immediate_after_a_long_run() -> None:
    history = RestartHistory(fruitless=7).after_run(progressed=False, lasted=CALM)
    assert history.delay == 0


def test_some_fruitless_runs_in_a_row_are_a_crash_loop() -> None:
    assert not RestartHistory(fruitless=CRASH_LOOP - 1).is_crash_loop
    assert RestartHistory(fruitless=CRASH_LOOP).is_crash_loop


def test_a_process_without_a_sign_of_life_hangs() -> None:
    pulse = Pulse(first=60, after=8)
    assert not any(pulse.has_stopped(heard=False, elapsed=0.2) for _look in range(250))
    assert not pulse.has_stopped(heard=True, elapsed=0.2)
    looks = [pulse.has_stopped(heard=False, elapsed=0.2) for _look in range(45)]
    assert not any(looks[:39])
    assert looks[-1]


def test_a_process_that_never_gives_a_sign_hangs_too() -> None:
    pulse = Pulse(first=60, after=8)
    assert any(pulse.has_stopped(heard=False, elapsed=0.2) for _look in range(310))


def test_no_process_hangs_because_the_machine_slept() -> None:
    pulse = Pulse(first=60, after=8)
    assert not pulse.has_stopped(heard=True, elapsed=0.2)
    assert not pulse.has_stopped(heard=False, elapsed=3600.0)
