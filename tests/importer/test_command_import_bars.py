"""``import_bars``, ``update_bars`` and ``repair_bars`` without a cluster: ``--inline``, ``--detach``, and bad input."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from importer import lifecycle, stopping
from importer.hosts import Trouble, say_alive
from importer.invariants import violations
from importer.models import ImportTask, Kind, LaneSlot, Status
from importer.task_requests import build_request, submit
from marketdata.models import Bar, Stock
from marketdata.store import claim_origin
from tests.importer.command_line import Outcome, give_command, what_is_stored
from tests.sources.made_bars import bars, write_day_file

# The work is done in a thread with a database connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)

Give = Callable[..., Outcome]
SIMULATED = ("--source", "simulated", "--start", "2024-12-02", "--end", "2024-12-25")


@pytest.fixture(autouse=True)
def small_market(settings: Any) -> Iterator[None]:
    settings.SIMULATED_STOCKS = 20
    stopping.reset()
    yield
    stopping.reset()
    assert violations() == []


@pytest.fixture
def give(capsys: pytest.CaptureFixture[str]) -> Give:
    return lambda name, *arguments: give_command(capsys, name, *arguments)


@pytest.fixture
def vipdoc(tmp_path: Path) -> Path:
    write_day_file(tmp_path / "vipdoc" / "sh" / "lday" / "sh600001.day", bars(40))
    write_day_file(tmp_path / "vipdoc" / "sz" / "lday" / "sz000001.day", bars(30, seed=2))
    return tmp_path / "vipdoc"


def pretend_workers() -> None:
    say_alive("here", pid=1, workers=2, restarts=0, trouble=Trouble.NONE)


def test_inline_imports_and_ends_with_the_figures(give: Give) -> None:
    shown = give("import_bars", *SIMULATED, "--inline")
    task = ImportTask.objects.get()
    assert (shown.status, shown.err) == (0, "")
    assert task.status == Status.COMPLETED
    assert Bar.objects.count() == task.rows_written > 0
    assert str(task.pk) in shown.out_lines[0]
    assert shown.out_lines[-1] == task.message


def test_elsewhere_than_on_a_terminal_there_are_plain_lines(give: Give) -> None:
    shown = give("import_bars", *SIMULATED, "--inline")
    assert "\x1b" not in shown.out
    assert all(line[:3].strip().isdigit() and line[3:5] == " %" for line in shown.out_lines[1:-1])


def test_a_folder_of_day_files_is_imported(give: Give, vipdoc: Path) -> None:
    shown = give("import_bars", "--source", "tdx", "--path", str(vipdoc), "--inline")
    assert shown.status == 0
    assert dict(Stock.objects.values_list("symbol", "bar_count")) == {"600001.SH": 40, "000001.SZ": 30}


def test_a_path_may_be_relative(give: Give, vipdoc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(vipdoc.parent)
    assert give("import_bars", "--source", "tdx", "--path", "vipdoc", "--inline").status == 0
    assert ImportTask.objects.get().parameters["path"] == str(vipdoc)


def test_importing_again_changes_nothing_and_says_so(give: Give) -> None:
    give("import_bars", *SIMULATED, "--inline")
    again = give("import_bars", *SIMULATED, "--inline")
    assert again.status == 0
    assert "nothing new" in again.out_lines[-1]


def test_an_update_and_a_repair_of_what_is_stored(give: Give) -> None:
    give("import_bars", *SIMULATED, "--inline")
    assert give("update_bars", "--source", "simulated", "--inline").status == 0
    assert give("repair_bars", "--source", "simulated", "--inline", "--start", "2024-12-02").status == 0
    assert set(ImportTask.objects.values_list("kind", flat=True)) == set(Kind.values)


def test_an_update_of_an_empty_database_says_to_import_first(give: Give) -> None:
    shown = give("update_bars", "--source", "simulated", "--inline")
    assert (shown.status, shown.err_lines) == (
        2,
        ["There are no bars to update yet. Start a full import first."],
    )


def test_a_failed_stock_among_others_is_status_3_and_what_to_do_is_said(give: Give) -> None:
    give("import_bars", *SIMULATED, "--inline")
    listed = Stock.objects.values_list("symbol", flat=True)[0]
    shown = give("import_bars", *SIMULATED, "--inline", "--refresh", "--symbols", f"{listed},688999")
    task = ImportTask.objects.order_by("-created_at")[0]
    assert (shown.status, task.failed) == (3, 1)
    assert shown.out_lines[-2].startswith("Completed with 1 failed")
    assert f"import_tasks show {task.pk}" in shown.out_lines[-1]
    assert f"import_tasks retry {task.pk}" in shown.out_lines[-1]


def test_an_unknown_symbol_alone_is_a_failed_task_with_its_reason(give: Give) -> None:
    shown = give("import_bars", *SIMULATED, "--inline", "--symbols", "688999")
    assert shown.status == 1
    assert "688999.SH" in shown.out_lines[-2]
    assert not Bar.objects.exists()


def test_a_truncated_day_file_is_a_listed_failure_and_nothing_of_it_is_stored(give: Give, vipdoc: Path) -> None:
    file = vipdoc / "sh" / "lday" / "sh600001.day"
    file.write_bytes(file.read_bytes()[:-7])
    shown = give("import_bars", "--source", "tdx", "--path", str(vipdoc), "--inline")
    assert shown.status == 3
    assert list(Stock.objects.filter(bar_count__gt=0).values_list("symbol", flat=True)) == ["000001.SZ"]
    failure = ImportTask.objects.get().failures.get()
    assert "cut off" in failure.reason
    assert str(file) in failure.reason


def test_files_with_adjusted_prices_are_refused_before_anything_is_changed(give: Give, tmp_path: Path) -> None:
    adjusted = bars(60)
    adjusted[["open", "high", "low", "close"]] /= 2
    adjusted.to_csv(tmp_path / "600001.SH.csv", index=False)
    shown = give("import_bars", "--source", "files", "--path", str(tmp_path), "--inline")
    assert (shown.status, shown.out, len(shown.err_lines)) == (2, "", 1)
    assert "600001.SH" in shown.err
    assert "Only raw prices are stored" in shown.err
    assert not any(what_is_stored())


BAD_INPUT: dict[str, tuple[list[str], str]] = {
    "a symbol that is none": (["--symbols", "hello"], "“hello” is not a stock symbol. Write it as 600519"),
    "an index": (["--symbols", "sh000001"], "sh000001"),
    "a date that is none": (["--start", "2024-02-30"], "“2024-02-30” is not a date. Write it as 2024-12-25."),
    "an end before the start": (["--start", "2024-12-25", "--end", "2024-01-01"], "is before the start"),
    "an end in the future": (
        ["--end", (timezone.localdate() + timedelta(days=1)).isoformat()],
        "is in the future. Name today or an earlier day.",
    ),
    "a start in the future": (["--start", (timezone.localdate() + timedelta(days=9)).isoformat()], "is in the future"),
    "a start before the exchange": (["--start", "1980-01-01"], "before the exchange opened (1990)"),
    "a source that does not exist": (["--source", "nowhere"], "There is no source “nowhere”. Choose one of auto"),
    "a path without a source of files": (["--path", "."], "A path needs a source that reads files: tdx or files."),
    "a source of files without a path": (["--source", "tdx"], "needs a path"),
    "a folder that is not there": (["--source", "tdx", "--path", "/nowhere/vipdoc"], "There is no /nowhere/vipdoc."),
    "a folder without day files": (["--source", "tdx", "--path", "."], "holds no .day files of A-shares."),
    "a file for a folder": (["--source", "tdx", "--path", "manage.py"], "is a file. Name the vipdoc folder"),
    "a priority that is too high": (["--priority", "11"], "is not between -10 and 10."),
    "a negative number of lanes": (["--lanes", "-1"], "is not between 1 and 64."),
    "both ways at once": (["--detach"], "choose one of the two."),
}


@pytest.mark.parametrize("what", BAD_INPUT)
def test_bad_input_is_one_sentence_and_changes_nothing(
    what: str, give: Give, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.chdir(settings.BASE_DIR)
    arguments, words = BAD_INPUT[what]
    shown = give("import_bars", "--inline", *arguments)
    assert (shown.status, shown.out, len(shown.err_lines)) == (2, "", 1), shown
    assert words in shown.err
    assert not any(what_is_stored())


@pytest.mark.parametrize(("simulated", "source"), [(True, "auto"), (False, "simulated")])
def test_simulated_and_real_bars_do_not_share_a_database(give: Give, simulated: bool, source: str) -> None:
    claim_origin(simulated)
    before = what_is_stored()
    shown = give("import_bars", "--source", source, "--inline")
    assert (shown.status, shown.out, len(shown.err_lines)) == (2, "", 1)
    assert "DATABASE_URL" in shown.err
    assert what_is_stored() == before


@pytest.mark.parametrize("more", [[], ["--detach"]])
def test_without_a_worker_nothing_is_started_and_both_remedies_are_named(give: Give, more: list[str]) -> None:
    shown = give("import_bars", *SIMULATED, *more)
    assert (shown.status, shown.out, len(shown.err_lines)) == (2, "", 1)
    assert "--inline" in shown.err
    assert "python manage.py serve" in shown.err
    assert not any(what_is_stored())


def test_bad_input_is_named_before_the_missing_worker(give: Give) -> None:
    assert "is not a date" in give("import_bars", "--start", "tomorrow").err


def test_detach_prints_the_id_alone_and_hands_the_task_out(give: Give) -> None:
    pretend_workers()
    shown = give("import_bars", *SIMULATED, "--detach")
    task = ImportTask.objects.get()
    assert shown.status == 0
    assert UUID(shown.out.strip()) == task.pk
    assert "full import" in shown.err
    assert task.status == Status.RUNNING
    assert LaneSlot.objects.get().task_id == task.pk


def test_detaching_from_the_same_request_twice_names_the_same_task(give: Give) -> None:
    pretend_workers()
    first, second = (give("import_bars", *SIMULATED, "--detach") for _time in range(2))
    assert first.out == second.out
    assert "there already (running)" in second.err
    assert ImportTask.objects.count() == 1


def test_a_higher_priority_raises_the_task_that_is_there(give: Give) -> None:
    pretend_workers()
    give("import_bars", *SIMULATED, "--detach")
    give("import_bars", *SIMULATED, "--detach", "--priority", "7")
    assert ImportTask.objects.get().priority == 7


def test_inline_goes_on_with_the_task_that_is_there(give: Give) -> None:
    pretend_workers()
    task_id = give("import_bars", *SIMULATED, "--detach").out.strip()
    LaneSlot.objects.all().delete()
    shown = give("import_bars", *SIMULATED, "--inline")
    assert shown.status == 0
    assert "there already (running)" in shown.out_lines[0]
    assert str(ImportTask.objects.get().pk) == task_id


def test_who_asked_is_in_the_history(give: Give) -> None:
    give("import_bars", *SIMULATED, "--inline")
    assert ImportTask.objects.get().requested_by.endswith("(manage.py)")


def test_today_before_its_end_is_said(give: Give) -> None:
    shown = give("import_bars", "--source", "simulated", "--symbols", "600001", "--inline", "--end", today())
    noted = [line for line in shown.out_lines if "final from 16:00" in line]
    assert len(noted) == (0 if build_request(Kind.IMPORT, source="simulated", end=today()).note is None else 1)


def today() -> str:
    return timezone.localdate().isoformat()


def test_a_paused_task_is_not_worked_on_and_how_to_go_on_is_said(give: Give) -> None:
    task = submit(build_request(Kind.IMPORT, source="simulated", start="2024-12-02", end="2024-12-25")).task
    lifecycle.pause(task.pk)
    shown = give("import_bars", *SIMULATED, "--inline")
    assert shown.status == 130
    assert "there already (paused)" in shown.out_lines[0]
    assert f"import_tasks resume {task.pk}" in shown.out_lines[-1]
    assert not Bar.objects.exists()


def test_chinese_is_the_language_where_nothing_else_is_asked_for(
    give: Give, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COMMAND_LANGUAGE = ""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    shown = give("update_bars", "--source", "simulated", "--inline")
    assert re.search("[\u4e00-\u9fff]", shown.err)
