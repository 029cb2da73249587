"""``import_tasks``: list, show, and act on tasks."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from importer import lifecycle
from importer.dbtime import db_now
from importer.models import Action, Failure, ImportTask, Kind, LaneSlot, Status
from tests.importer.command_line import Outcome, give_command, what_is_stored
from tests.importer.factories import make_chunk, make_task

# run_from_argv closes the connection, and with it a transaction around the test.
pytestmark = pytest.mark.django_db(transaction=True)

Give = Callable[..., Outcome]


@pytest.fixture
def give(capsys: pytest.CaptureFixture[str]) -> Give:
    return lambda *arguments: give_command(capsys, "import_tasks", *arguments)


def running_task() -> ImportTask:
    now = db_now()
    task = make_task(
        status=Status.RUNNING,
        started_at=now - timedelta(seconds=90),
        planned_at=now,
        heartbeat_at=now,
        progress=40,
        total=3,
        done=1,
        requested_by="somebody",
    )
    make_chunk(task, ["600001.SH"], cursor=1, done=1)
    make_chunk(task, ["600002.SH"], lane=0, leased_until=now + timedelta(seconds=8))
    make_chunk(task, ["600003.SH"])
    lease = now + timedelta(seconds=8)
    LaneSlot.objects.create(
        task=task, number=0, token="held", pid=4711, host="here", doing="600002.SH", leased_until=lease
    )
    return task


def ended_task(failures: int = 0, findings: int = 0) -> ImportTask:
    now = db_now()
    task = make_task(
        status=Status.COMPLETED,
        progress=100,
        started_at=now - timedelta(seconds=75),
        finished_at=now,
        total=100,
        done=100 - failures,
        failed=failures,
    )
    for number in range(failures + findings):
        Failure.objects.create(
            task=task,
            symbol=f"{600000 + number}.SH",
            source="eastmoney",
            code="source_unavailable",
            reason_id="%(source)s did not answer (%(detail)s).",
            reason_values={"source": "Eastmoney", "detail": f"try {number}"},
            finding=number >= failures,
        )
    return task


def test_without_tasks_it_says_how_to_start_one(give: Give) -> None:
    for arguments in ([], ["list"]):
        shown = give(*arguments)
        assert (shown.status, len(shown.out_lines)) == (0, 1)
        assert "python manage.py import_bars" in shown.out


def test_the_list_has_a_line_per_task_the_newest_first(give: Give) -> None:
    older, newer = ended_task(failures=12), running_task()
    head, first, second = give().out_lines
    assert head.split() == ["task", "kind", "state", "%", "stocks", "failed", "created", "took"]
    assert first.startswith(str(newer.pk)[:8])
    assert second.startswith(str(older.pk)[:8])
    assert "completed, 12 failed" in second
    assert "1 min 15 s" in second
    assert "1 / 3" in first
    assert "1 min 30 s" in first


def test_the_list_can_be_limited_to_a_state_and_a_number(give: Give) -> None:
    ended_task()
    for _number in range(3):
        make_task()
    assert len(give("list", "--limit", "2").out_lines) == 3
    assert len(give("list", "--status", "completed").out_lines) == 2
    assert give("list", "--limit", "0").status == 2
    assert give("list", "--status", "strange").status == 2


@pytest.mark.parametrize(
    "filters",
    [
        ("--kind", "update"),
        ("--source", "sina"),
        ("--by", "schedule"),
        ("--since", "2026-03-02"),
        ("--since", "2026-03-02", "--until", "2026-03-02"),
    ],
)
def test_the_list_has_the_filters_of_the_page(give: Give, filters: tuple[str, ...]) -> None:
    wanted = make_task(kind=Kind.UPDATE, parameters={"source": "sina"}, requested_by="schedule: evening")
    other = make_task(requested_by="somebody")
    for task, day in ((wanted, "2026-03-02"), (other, "2026-03-01")):
        ImportTask.objects.filter(pk=task.pk).update(created_at=datetime.fromisoformat(f"{day}T23:59:59+08:00"))
    _head, *lines = give("list", *filters).out_lines
    assert [line[:8] for line in lines] == [str(wanted.pk)[:8]]


def test_a_list_in_which_nothing_matches_does_not_say_that_there_are_no_tasks(give: Give) -> None:
    make_task()
    assert give("list", "--by", "nobody").out_lines == ["No task is like that."]


@pytest.mark.parametrize("arguments", [("list", "--since", "20260301"), ("clear", "--before", "20260301")])
def test_a_day_is_written_in_one_way(give: Give, arguments: tuple[str, ...]) -> None:
    shown = give(*arguments)
    assert (shown.status, shown.err_lines) == (2, ["“20260301” is not a date. Write it as 2024-12-25."])


def test_show_tells_everything_about_a_running_task(give: Give) -> None:
    task = running_task()
    shown = give("show", str(task.pk)[:8])
    assert shown.status == 0
    for words in (
        str(task.pk),
        "full import of all stocks from 2021-01-01 to 2024-12-25, source: Simulated market",
        "somebody",
        "1 of 3 finished: 1 imported, 0 skipped, 0 failed",
        "Chunks: 3; finished 1, being worked on 1, waiting 1.",
        "4711",
        "600002.SH",
    ):
        assert words in shown.out


def test_show_lists_the_first_twenty_failures_with_their_reasons(give: Give) -> None:
    task = ended_task(failures=23, findings=2)
    shown = give("show", str(task.pk))
    assert "Failed stocks: 23" in shown.out
    assert "600019.SH  eastmoney  Eastmoney did not answer (try 19)." in shown.out
    assert "try 20" not in shown.out
    assert "and 3 more: --all lists them" in shown.out
    assert "Findings that did not keep a stock from being imported: 2" in shown.out


def test_show_all_lists_every_failure(give: Give) -> None:
    task = ended_task(failures=23)
    shown = give("show", str(task.pk), "--all")
    assert "try 22" in shown.out
    assert "more" not in shown.out


def test_show_tells_the_history_with_who_and_why(give: Give) -> None:
    task = make_task(requested_by="somebody")
    lifecycle.record_creation(task)
    lifecycle.pause(task.pk, by="somebody else")
    shown = give("show", str(task.pk))
    assert "→ pending" in shown.out
    (step,) = [line for line in shown.out_lines if "pending → paused" in line]
    assert "Paused on request." in step
    assert step.endswith("somebody else")


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("cancel", Status.PENDING, Status.CANCELLED),
        ("cancel", Status.PAUSED, Status.CANCELLED),
        ("pause", Status.PENDING, Status.PAUSED),
        ("resume", Status.PAUSED, Status.PENDING),
        ("resume", Status.FAILED, Status.PENDING),
    ],
)
def test_an_action_is_done_and_its_state_told(give: Give, action: str, before: Status, after: Status) -> None:
    task = make_task(status=before)
    shown = give(action, str(task.pk)[:8])
    assert (shown.status, shown.out) == (0, f"Task {task.pk} is {after}.\n")
    assert lifecycle.get_task(task.pk).status == after
    assert task.transitions.get().by.endswith("(manage.py)")


def test_a_running_task_whose_lane_is_dead_is_cancelled_without_a_cluster(give: Give) -> None:
    task = running_task()
    LaneSlot.objects.update(leased_until=db_now() + timedelta(seconds=1))
    shown = give("cancel", str(task.pk))
    assert (shown.status, "is cancelled" in shown.out) == (0, True)


def test_what_takes_longer_is_told_as_being_under_way(give: Give, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.management.commands.import_tasks.EFFECT_WITHIN", 0.0)
    task = running_task()
    assert give("pause", str(task.pk)).out == f"Task {task.pk} is running, is being paused.\n"
    assert lifecycle.get_task(task.pk).requested_action == Action.PAUSE


def test_a_retry_makes_a_task_of_what_failed_and_names_it(give: Give) -> None:
    task = ended_task(failures=2)
    shown = give("retry", str(task.pk))
    made = ImportTask.objects.get(retry_of=task)
    assert shown.status == 0
    assert str(made.pk) in shown.out
    assert made.parameters["symbols"] == ["600000.SH", "600001.SH"]
    assert "there already" in give("retry", str(task.pk)).out


def test_the_priority_can_be_changed_also_to_a_negative_one(give: Give) -> None:
    task = make_task()
    for priority in ("7", "-3"):
        assert give("priority", str(task.pk), priority).out == f"Task {task.pk} has priority {priority}.\n"
        assert lifecycle.get_task(task.pk).priority == int(priority)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "no-id"], "There is no task no-id."),
        (["cancel", str(uuid.uuid4())], "There is no task"),
        (["cancel", "ENDED"], "The task is completed: cancelling is not possible."),
        (["pause", "ENDED"], "The task is completed: pausing is not possible."),
        (["resume", "ENDED"], "The task is completed: resuming is not possible."),
        (["priority", "ENDED", "3"], "The task is completed: changing the priority is not possible."),
        (["retry", "ENDED"], "Nothing failed in this task"),
        (["retry", "WAITING"], "The task is pending: retrying is not possible."),
        (["priority", "WAITING", "11"], "is not between -10 and 10."),
    ],
)
def test_what_is_not_possible_is_one_sentence_and_changes_nothing(give: Give, arguments: list[str], words: str) -> None:
    names = {"ENDED": str(ended_task().pk), "WAITING": str(make_task().pk)}
    before = (what_is_stored(), list(ImportTask.objects.order_by("pk").values()))
    shown = give(*[names.get(argument, argument) for argument in arguments])
    assert (shown.status, shown.out, len(shown.err_lines)) == (2, "", 1)
    assert words in shown.err
    assert (what_is_stored(), list(ImportTask.objects.order_by("pk").values())) == before
