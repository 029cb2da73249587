"""Commands that follow a task of a real cluster: lines, the bar, Ctrl-C, and how each end is told."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest

from tests.importer.processes import Command, Installation, wait_until
from tests.importer.terminal import Terminal, last_line

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Needs Linux: processes are looked up in /proc."),
]

STOCKS = 30
LATENCY = 0.2
REQUEST = ("--source", "simulated", "--start", "2024-12-02", "--end", "2024-12-25")


@pytest.fixture(autouse=True)
def a_market(installation: Installation) -> None:
    """A market that takes some seconds to import, and that an impatient test may make slower."""
    installation.environment = {
        "BARVAULT_SIMULATED_STOCKS": str(STOCKS),
        "BARVAULT_SIMULATED_LATENCY": str(LATENCY),
    }


def take_long(installation: Installation) -> None:
    """Make the import last until somebody ends or hurries it, however slowly the machine starts a second command."""
    installation.environment["BARVAULT_SIMULATED_LATENCY"] = "4"


def hurry(installation: Installation, cluster: Command) -> None:
    """Let other workers, for whom the market is quick, finish an import that takes long."""
    cluster.send(signal.SIGTERM)
    assert cluster.wait() == 0
    installation.environment["BARVAULT_SIMULATED_LATENCY"] = "0"
    installation.start_qcluster()


def follow(installation: Installation, *more: str) -> Command:
    return installation.start("import_bars", *REQUEST, *more)


def task_ids(installation: Installation) -> list[str]:
    rows = installation.sql("SELECT id FROM importer_importtask ORDER BY created_at")
    return [str(task_id) for (task_id,) in rows]


def is_in_state(installation: Installation, *states: str) -> Callable[[], bool]:
    def ask() -> bool:
        rows = installation.sql("SELECT status FROM importer_importtask ORDER BY created_at DESC LIMIT 1")
        return bool(rows) and rows[0][0] in states

    return ask


def has_stored_some(installation: Installation) -> Callable[[], bool]:
    return lambda: bool(installation.sql("SELECT 1 FROM marketdata_bar LIMIT 1"))


def test_a_followed_import_is_told_in_lines_and_ends_with_status_0(installation: Installation) -> None:
    installation.start_qcluster()
    command = follow(installation)
    assert command.wait() == 0
    lines = command.text().splitlines()
    percents = [int(line[:3]) for line in lines if line[3:5] == " %"]
    assert percents == sorted(percents)
    assert len(set(percents)) > 2
    assert lines[-1].startswith("Completed: ")
    assert "Traceback" not in command.text()


def test_ctrl_c_detaches_and_the_import_goes_on(installation: Installation) -> None:
    take_long(installation)
    cluster = installation.start_qcluster()
    terminal = Terminal(installation, "import_bars", *REQUEST, **installation.environment)
    wait_until(has_stored_some(installation), "something was stored")
    terminal.wait_for("stocks")
    terminal.press_ctrl_c()
    assert terminal.wait() == 130
    (task_id,) = task_ids(installation)
    assert "import_tasks cancel" in terminal.text
    assert task_id in terminal.text.replace("-", "")
    assert "Traceback" not in terminal.text
    assert terminal.raw.rstrip().rpartition("\x1b[?25")[2].startswith("h"), "the cursor is shown again"
    assert is_in_state(installation, "running")()
    hurry(installation, cluster)
    wait_until(is_in_state(installation, "completed"), "the import is completed")


def test_on_a_terminal_a_bar_moves_and_the_figures_stay(installation: Installation) -> None:
    installation.start_qcluster()
    terminal = Terminal(installation, "import_bars", *REQUEST, **installation.environment)
    assert terminal.wait() == 0
    assert "━" in terminal.text
    assert "\x1b[" in terminal.raw
    assert "stocks, about" in terminal.text
    assert terminal.text.rstrip().splitlines()[-1].startswith("Completed: ")


def test_a_terminal_without_cursor_movements_gets_lines(installation: Installation) -> None:
    terminal = Terminal(
        installation, "import_bars", *REQUEST, "--inline", **{**installation.environment, "TERM": "dumb"}
    )
    assert terminal.wait() == 0
    assert "\x1b" not in terminal.raw
    assert " 1 %" in terminal.text


def test_sigterm_detaches_too(installation: Installation) -> None:
    take_long(installation)
    cluster = installation.start_qcluster()
    command = follow(installation)
    wait_until(has_stored_some(installation), "something was stored")
    command.send(signal.SIGTERM)
    assert command.wait() == 130
    assert is_in_state(installation, "running")()
    hurry(installation, cluster)
    wait_until(is_in_state(installation, "completed"), "the import is completed")


def test_a_cancel_from_elsewhere_is_status_4(installation: Installation) -> None:
    take_long(installation)
    installation.start_qcluster()
    command = follow(installation)
    wait_until(has_stored_some(installation), "something was stored")
    shown = installation.manage("import_tasks", "cancel", task_ids(installation)[0][:8])
    assert "is cancelled" in shown.stdout
    assert command.wait() == 4
    assert last_line(command.log) == "Cancelled. What was stored stays."


def test_a_pause_is_told_and_followed_until_somebody_resumes(installation: Installation) -> None:
    take_long(installation)
    cluster = installation.start_qcluster()
    command = follow(installation)
    wait_until(has_stored_some(installation), "something was stored")
    (task_id,) = task_ids(installation)
    assert "is paused" in installation.manage("import_tasks", "pause", task_id).stdout
    wait_until(lambda: "import_tasks resume" in command.text(), "how to resume is told")
    assert command.process.poll() is None
    hurry(installation, cluster)
    assert is_in_state(installation, "paused")()
    installation.manage("import_tasks", "resume", task_id)
    assert command.wait() == 0


def test_the_same_request_is_followed_by_both(installation: Installation) -> None:
    take_long(installation)
    installation.start_qcluster()
    first = follow(installation)
    wait_until(is_in_state(installation, "running"), "it runs")
    second = follow(installation)
    wait_until(lambda: "The same request is there already (running)" in second.text(), "that it is there is told")
    (task_id,) = task_ids(installation)
    installation.manage("import_tasks", "cancel", task_id)
    assert (first.wait(), second.wait()) == (4, 4)


def test_a_task_that_waits_names_the_one_before_it(installation: Installation) -> None:
    take_long(installation)
    installation.start_qcluster()
    installation.manage("import_bars", *REQUEST, "--detach")
    command = follow(installation, "--symbols", "600000,600001,600002")
    wait_until(lambda: "goes first" in command.text(), "what goes first is told")
    first, second = task_ids(installation)
    assert first in command.text().replace("-", "")
    installation.manage("import_tasks", "cancel", first)
    assert command.wait() in (0, 1, 3)
    started = installation.sql("SELECT finished_at FROM importer_importtask ORDER BY created_at")
    assert started[0][0] < started[1][0]
    assert second != first


def test_workers_that_went_away_are_told_and_waited_for(installation: Installation) -> None:
    take_long(installation)
    cluster = installation.start_qcluster()
    command = follow(installation)
    wait_until(has_stored_some(installation), "something was stored")
    cluster.send(signal.SIGTERM)
    assert cluster.wait() == 0
    wait_until(lambda: "No worker is alive" in command.text(), "that nobody works is told")
    installation.environment["BARVAULT_SIMULATED_LATENCY"] = "0"
    installation.start_qcluster()
    assert command.wait() == 0


def test_without_a_cluster_ctrl_c_stops_the_work_and_the_same_command_goes_on(installation: Installation) -> None:
    take_long(installation)
    terminal = Terminal(installation, "import_bars", *REQUEST, "--inline", **installation.environment)
    wait_until(has_stored_some(installation), "something was stored")
    terminal.press_ctrl_c()
    assert terminal.wait() == 130
    assert "It goes on where it was" in terminal.text
    assert "Traceback" not in terminal.text
    installation.environment["BARVAULT_SIMULATED_LATENCY"] = "0"
    again = installation.manage("import_bars", *REQUEST, "--inline")
    assert "there already (running)" in again.stdout
    assert len(task_ids(installation)) == 1
    assert installation.manage("doctor", "--hash").stdout.strip() == undisturbed(installation)


def test_an_inline_import_that_was_killed_goes_on_with_the_same_command(installation: Installation) -> None:
    take_long(installation)
    command = follow(installation, "--inline")
    wait_until(has_stored_some(installation), "something was stored")
    command.send(signal.SIGKILL)
    command.wait()
    installation.environment["BARVAULT_SIMULATED_LATENCY"] = "0"
    again = installation.manage("import_bars", *REQUEST, "--inline")
    assert "Completed" in again.stdout
    assert len(task_ids(installation)) == 1
    assert installation.manage("doctor", "--hash").stdout.strip() == undisturbed(installation)


def test_a_second_ctrl_c_ends_the_process_at_once(installation: Installation) -> None:
    environment = {**installation.environment, "BARVAULT_SIMULATED_LATENCY": "25"}
    terminal = Terminal(installation, "import_bars", *REQUEST, "--inline", **environment)
    wait_until(is_in_state(installation, "running"), "it runs")
    terminal.press_ctrl_c()
    terminal.wait_for("once more")
    terminal.press_ctrl_c()
    assert terminal.wait() == 130


def undisturbed(installation: Installation) -> str:
    """Return the hash of the bars that the request gives when nothing disturbs it."""
    fresh = Installation(installation.var_dir / "undisturbed")
    fresh.environment = {**installation.environment, "BARVAULT_SIMULATED_LATENCY": "0"}
    fresh.migrate()
    fresh.manage("import_bars", *REQUEST, "--inline")
    return fresh.manage("doctor", "--hash").stdout.strip()


def test_the_language_follows_the_environment(installation: Installation) -> None:
    for variables, words in (({"LC_ALL": "en_US.UTF-8"}, "Completed"), ({"LC_ALL": "zh_CN.UTF-8"}, "已完成")):
        installation.environment = {
            **installation.environment,
            "BARVAULT_SIMULATED_LATENCY": "0",
            "BARVAULT_LANGUAGE": "",
            **variables,
        }
        shown = installation.manage("import_bars", *REQUEST, "--inline", "--refresh")
        assert words in shown.stdout.splitlines()[-1]
