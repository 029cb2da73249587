"""A real ``qcluster``: it stops when asked, leaves nobody behind, and goes on after the death of any process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.importer.cluster_checks import TASKS, accounts, is_gone, start_task
from tests.importer.processes import PATIENT_GRACE, Installation, Process, wait_until

pytestmark = pytest.mark.slow


def test_it_runs_what_is_queued_and_says_that_the_host_is_alive(installation: Installation) -> None:
    command = installation.start_qcluster(workers=3)
    accounts(installation)
    rows = wait_until(lambda: installation.sql("SELECT workers, pid, trouble FROM importer_host"), "a host row")
    assert rows == [(3, command.pid, "")]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_the_work_give_way_and_leaves_nobody(installation: Installation, signum: int) -> None:
    command = installation.start_cluster(grace=PATIENT_GRACE)
    path = start_task(installation, "give_way", 600)
    command.send(signum)
    assert command.wait() == 0
    assert path.read_text() == "gave way"
    assert is_gone(installation)
    assert installation.sql("SELECT pid FROM importer_host") == [(None,)]


def test_work_that_does_not_give_way_is_killed(installation: Installation) -> None:
    command = installation.start_qcluster()
    start_task(installation, "sleep", 600)
    command.send(signal.SIGTERM)
    assert command.wait() == 0
    assert is_gone(installation)


def test_a_second_signal_waits_for_nobody(installation: Installation) -> None:
    command = installation.start_cluster(dispatch=f"{TASKS}.dispatch_nothing", grace=600)
    start_task(installation, "sleep", 600)
    command.send(signal.SIGTERM)
    wait_until(lambda: "Stopping" in command.text(), "the stop has begun")
    assert command.process.poll() is None
    command.send(signal.SIGINT)
    assert command.wait() == 0
    assert is_gone(installation)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_reaches_the_main_process_alone(installation: Installation, signum: int) -> None:
    command = installation.start_cluster(grace=PATIENT_GRACE)
    path = start_task(installation, "give_way", 600)
    os.killpg(command.pid, signum)
    assert command.wait() == 0
    assert path.read_text() == "gave way"


def test_a_signal_to_every_single_process_does_not_hang_the_stop(installation: Installation) -> None:
    command = installation.start_qcluster()
    start_task(installation, "sleep", 600)
    for process in installation.processes():
        process.kill(signal.SIGTERM)
    assert command.wait() == 0
    assert is_gone(installation)


def test_a_stop_does_not_wait_for_a_locked_database(installation: Installation) -> None:
    command = installation.start_qcluster()
    with installation.locked_database():
        # Longer than a round of the dispatcher: now it waits for the lock.
        time.sleep(3)
        command.send(signal.SIGTERM)
        assert command.wait() == 0
        assert is_gone(installation)


def test_workers_leave_the_cores_to_the_page(installation: Installation) -> None:
    installation.start_qcluster(workers=2)
    niceness = {role: os.getpriority(os.PRIO_PROCESS, installation.process(role).pid) for role in ("idle", "cluster")}
    # 19 is the most, for somebody who runs the tests themselves with nice.
    assert niceness["idle"] == min(niceness["cluster"] + 10, 19)


VICTIMS: dict[str, Callable[[Installation], Process]] = {
    "busy worker": lambda installation: installation.process("busy"),
    "idle worker that holds the read lock": Installation.lock_holder,
    "pusher": lambda installation: installation.process("pusher"),
    "monitor": lambda installation: installation.process("monitor"),
    "sentinel": lambda installation: installation.process("sentinel"),
    "dispatcher": lambda installation: installation.process("dispatcher"),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_it_works_again_after_the_death_of_a(installation: Installation, victim: str) -> None:
    installation.start_qcluster(workers=2)
    if victim == "busy worker":
        start_task(installation, "sleep", 600)
    killed = VICTIMS[victim](installation)
    killed.kill()
    accounts(installation)
    installation.wait_for_cluster(2)
    assert not killed.is_there


def test_it_works_again_when_a_task_kills_its_worker(installation: Installation) -> None:
    installation.start_qcluster(workers=1)
    installation.enqueue(f"{TASKS}.die")
    accounts(installation)


def test_a_sentinel_that_hangs_is_replaced(installation: Installation) -> None:
    installation.start_qcluster()
    stopped = installation.process("sentinel")
    stopped.kill(signal.SIGSTOP)
    wait_until(lambda: not stopped.is_there, "the Sentinel that hangs is killed")
    accounts(installation)


def test_a_dispatcher_that_hangs_is_replaced(installation: Installation) -> None:
    installation.start_qcluster(workers=1)
    stopped = installation.process("dispatcher")
    # Its pulse is seen once before it stops.
    wait_until(lambda: installation.sql("SELECT seen_at FROM importer_host"), "a round of the dispatcher")
    stopped.kill(signal.SIGSTOP)
    wait_until(lambda: not stopped.is_there, "the dispatcher that hangs is killed")
    installation.process("dispatcher")


def test_nobody_outlives_a_killed_main_process(installation: Installation) -> None:
    command = installation.start_qcluster()
    start_task(installation, "sleep", 600)
    command.send(signal.SIGKILL)
    command.wait()
    wait_until(lambda: is_gone(installation), "all its processes have ended, too")


def test_nobody_outlives_a_killed_sentinel(installation: Installation) -> None:
    installation.start_qcluster()
    start_task(installation, "sleep", 600)
    sentinel = installation.process("sentinel")
    sentinel_children = [p for role in ("idle", "busy", "monitor", "pusher") for p in installation.processes(role)]
    sentinel.kill()
    wait_until(lambda: not any(p.is_there for p in sentinel_children), "its processes have ended, too")


def test_a_crash_loop_ends_in_a_state_that_can_be_seen(installation: Installation) -> None:
    installation.start_qcluster(workers=1)

    def trouble() -> bool:
        for process in installation.processes("sentinel"):
            process.kill()
        rows = installation.sql("SELECT trouble FROM importer_host")
        return bool(rows and rows[0][0])

    wait_until(trouble, "the host's row tells of the trouble")
    restarts = installation.sql("SELECT restarts FROM importer_host")[0][0]
    assert restarts >= 5
    accounts(installation)


def test_an_error_of_the_program_leaves_the_host_in_sight_with_its_trouble(installation: Installation) -> None:
    command = installation.start_cluster(dispatch=f"{TASKS}.fail_to_dispatch")
    wait_until(
        lambda: any(row[0] for row in installation.sql("SELECT trouble FROM importer_host")), "the row tells of it"
    )
    assert "a mistake in the program" in command.text()
    accounts(installation)


def test_the_main_loop_survives_a_locked_database(installation: Installation) -> None:
    installation.start_qcluster()
    wait_until(lambda: installation.sql("SELECT seen_at FROM importer_host"), "a sign of life")
    with installation.locked_database():
        before = installation.sql("SELECT seen_at FROM importer_host")
    wait_until(lambda: installation.sql("SELECT seen_at FROM importer_host") != before, "another sign of life")
    accounts(installation)


def test_without_tables_it_refuses_in_a_sentence(bare_installation: Installation) -> None:
    refused = bare_installation.manage("qcluster", check=False)
    assert refused.returncode == 2
    assert "manage.py migrate" in refused.stderr
    assert "Traceback" not in refused.stderr
