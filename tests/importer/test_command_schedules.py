"""``manage.py schedules``, as a user gives it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from importer import schedules
from importer.models import ImportTask, TaskSchedule
from importer.schedule_orders import order_of
from tests.importer.command_line import Outcome, give_command
from tests.importer.factories import make_schedule
from tests.importer.simulated_clusters import at, clock

# A command closes its connections when it ends: a transaction around the test would be lost.
pytestmark = pytest.mark.django_db(transaction=True)

Give = Callable[..., Outcome]


@pytest.fixture
def give(capsys: pytest.CaptureFixture[str]) -> Give:
    return lambda *arguments: give_command(capsys, "schedules", *arguments)


def only() -> TaskSchedule:
    return schedules.get_schedule(TaskSchedule.objects.get().pk)


def test_without_any_it_says_how_to_add_one(give: Give) -> None:
    assert "schedules add update" in give().out


def test_an_update_on_trading_days_needs_no_options(give: Give) -> None:
    with clock(at("2024-02-29T12:00")):
        added = give("add", "update")
    assert added.status == 0
    assert "every trading day at 16:30" in added.out
    assert "manage.py serve" in added.out
    assert only().due_at == at("2024-02-29T16:30")
    assert only().created_by.endswith("(manage.py)")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("repair", "--weekly", "saturday", "--at", "09:00"), "every Saturday at 09:00"),
        (("repair", "--weekly", "6"), "every Saturday at 16:30"),
        (("import", "--once", "2024-03-04", "--at", "20:00"), "once on 2024-03-04 at 20:00"),
        (("update", "--cron", "0 17 * * 1-5"), "by the cron expression 0 17 * * 1-5"),
        (("import", "--trading-days", "--symbols", "600519", "--start", "2024-01-02"), "600519.SH from 2024-01-02"),
    ],
)
def test_each_kind_is_added(give: Give, arguments: tuple[str, ...], words: str) -> None:
    with clock(at("2024-02-29T12:00")):
        assert words in give("add", *arguments).out


def test_all_of_them_are_listed_with_their_next_and_last_run(give: Give) -> None:
    make_schedule(3, name="Evening")
    give("add", "repair", "--weekly", "sun")
    lines = give("list").out_lines
    assert len(lines) == 3
    assert "Evening" in lines[1]
    assert "has not run yet" in lines[1]


def test_the_same_again_is_not_added(give: Give) -> None:
    give("add", "update")
    assert "there already" in give("add", "update").out
    assert TaskSchedule.objects.count() == 1


def test_only_what_is_given_is_changed(give: Give) -> None:
    give("add", "import", "--symbols", "600519", "--start", "2024-01-02", "--priority", "3")
    changed = give("change", str(only().pk), "--weekly", "friday", "--start", "")
    assert "every Friday at 16:30" in changed.out
    assert (order_of(only()).symbols, order_of(only()).start, order_of(only()).priority) == (("600519.SH",), None, 3)


def test_it_is_paused_resumed_and_deleted(give: Give) -> None:
    give("add", "update", "--paused")
    number = str(only().pk)
    assert only().paused
    assert give("resume", number).status == 0
    assert not only().paused
    assert "paused" in give("pause", number).out
    assert give("delete", number).status == 0
    assert not TaskSchedule.objects.exists()


def test_it_runs_on_request(give: Give) -> None:
    give("add", "import")
    ran = give("run", str(only().pk))
    assert str(ImportTask.objects.get().pk) in ran.out
    again = give("run", str(only().pk))
    assert (again.status, "goes on" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "update", "--at", "25:00"), "time of day"),
        (("add", "update", "--weekly", "someday"), "weekday"),
        (("add", "import", "--once", "2020-1-2"), "not a date"),
        (("add", "import", "--once", "2020-01-02"), "has passed"),
        (("add", "update", "--cron", "daily"), "five parts"),
        (("add", "update", "--refresh"), "refresh"),
        (("add", "update", "--cron", "0 1 * * *", "--at", "16:30"), "time"),
        (("pause", "99"), "no schedule 99"),
        (("add", "delete"), "KIND"),
    ],
)
def test_bad_input_is_a_sentence_and_changes_nothing(give: Give, arguments: tuple[str, ...], words: str) -> None:
    refused = give(*arguments)
    assert (refused.status, words in refused.err) == (2, True), refused
    assert not TaskSchedule.objects.exists()


def test_an_update_before_the_close_is_told_what_it_brings(give: Give) -> None:
    assert "16:00" in give("add", "update", "--at", "09:30").out
