"""The common base of commands: language, sentences, exit statuses, help."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import OperationalError

from importer.exceptions import NothingToRetry
from importer.management.base import Exit, ExplainingCommand, command_language, whole_number
from importer.management.tables import table_lines
from tests.importer.command_line import give_command
from tests.importer.processes import Installation
from tests.importer.terminal import manage_into

OURS = sorted(name for name, app in get_commands().items() if app == "importer")
# They have nothing to choose.
WITHOUT_EXAMPLES = ("demo", "qcluster")


@pytest.mark.parametrize(
    ("asked", "environment", "language"),
    [
        ("", {}, "zh-hans"),
        ("", {"LANG": "C.UTF-8"}, "zh-hans"),
        ("", {"LANG": "zh_CN.UTF-8"}, "zh-hans"),
        ("", {"LANG": "de_DE.UTF-8"}, "zh-hans"),
        ("", {"LANG": "en_US.UTF-8"}, "en"),
        ("", {"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB"}, "en"),
        ("", {"LANG": "en_US", "LC_MESSAGES": "en_US", "LC_ALL": "zh_CN"}, "zh-hans"),
        ("", {"LANG": "en_US", "LC_ALL": ""}, "en"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("zh-hans", {"LANG": "en_US.UTF-8"}, "zh-hans"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_locales_else_chinese(
    asked: str, environment: dict[str, str], language: str
) -> None:
    assert command_language(asked, environment) == language


class _Command(ExplainingCommand):
    needs_database = False
    act: Callable[[], int]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--number", type=whole_number)

    def run(self, **_options: Any) -> int:
        return type(self).act()


def command_that(act: Callable[[], int]) -> ExplainingCommand:
    return type("Command", (_Command,), {"act": staticmethod(act)})()


def refuse() -> int:
    raise NothingToRetry


def lose_the_database() -> int:
    raise OperationalError("no route to host")


def test_an_explained_error_is_its_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command_that(refuse).run_from_argv(["manage.py", "try"])
    assert end.value.code == Exit.BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 1


def test_traceback_shows_where_it_was_raised() -> None:
    with pytest.raises(CommandError) as raised:
        command_that(refuse).run_from_argv(["manage.py", "try", "--traceback"])
    assert isinstance(raised.value.__cause__, NothingToRetry)


def fill_the_disk() -> int:
    raise OperationalError("database or disk is full")


def test_a_full_disk_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command_that(fill_the_disk).run_from_argv(["manage.py", "try"])
    assert end.value.code == Exit.BAD_INPUT
    assert "is full. Make room, then resume" in capsys.readouterr().err


def test_a_database_that_is_gone_is_a_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command_that(lose_the_database).run_from_argv(["manage.py", "try"])
    assert end.value.code == Exit.BAD_INPUT
    assert "does not answer: no route to host." in capsys.readouterr().err


def test_a_status_is_the_exit_status() -> None:
    with pytest.raises(SystemExit) as end:
        call_command(command_that(lambda: Exit.WITH_FAILURES))
    assert end.value.code == 3


def test_status_0_ends_nothing() -> None:
    call_command(command_that(lambda: Exit.OK))


def test_called_from_python_an_explained_error_is_a_command_error() -> None:
    with pytest.raises(CommandError) as raised:
        call_command(command_that(refuse))
    assert raised.value.returncode == Exit.BAD_INPUT


def test_a_number_that_is_none_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command_that(lambda: Exit.OK).run_from_argv(["manage.py", "try", "--number", "many"])
    assert end.value.code == Exit.BAD_INPUT
    assert "“many” is not a whole number." in capsys.readouterr().err


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_help_has_examples_that_the_command_accepts(
    name: str, language: str, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    settings.COMMAND_LANGUAGE = language
    shown = give_command(capsys, name, "--help")
    assert shown.status == 0
    examples = [line.split("manage.py ", 1)[1] for line in shown.out_lines if line.startswith("  python manage.py ")]
    assert examples or name in WITHOUT_EXAMPLES
    parser = load_command_class("importer", name).create_parser("manage.py", name)
    for example in examples:
        command, *arguments = shlex.split(example)
        assert command == name
        parser.parse_args(arguments)


@pytest.mark.parametrize("name", OURS)
def test_every_command_says_what_it_does(name: str) -> None:
    command = load_command_class("importer", name)
    assert isinstance(command, ExplainingCommand)
    assert str(command.summary)


def test_help_through_django_speaks_the_users_language_too(bare_installation: Installation) -> None:
    english = bare_installation.manage("help", "import_bars")
    assert "Examples:" in english.stdout


def test_a_database_without_tables_is_one_sentence_that_names_migrate(bare_installation: Installation) -> None:
    for command in ("import_bars", "doctor --hash"):
        shown = bare_installation.manage(*command.split(), check=False)
        assert shown.returncode == 2
        assert shown.stdout == ""
        assert shown.stderr.count("\n") == 1
        assert "python manage.py migrate" in shown.stderr


def test_a_database_that_is_none_is_one_sentence(bare_installation: Installation) -> None:
    bare_installation.var_dir.mkdir(parents=True, exist_ok=True)
    Path(bare_installation.var_dir / "barvault.sqlite3").write_bytes(b"not a database" * 100)
    shown = bare_installation.manage("import_tasks", check=False)
    assert (shown.returncode, shown.stderr.count("\n")) == (2, 1)
    assert "file is not a database" in shown.stderr


def test_a_reader_that_goes_away_is_no_traceback(installation: Installation) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        shown = manage_into(installation, output, "import_tasks")
    assert shown.returncode == Exit.BROKEN_PIPE
    assert shown.stderr == ""


def test_columns_stay_in_line_with_chinese_in_them() -> None:
    assert table_lines([("任务", "a"), ("x", "b"), ("", "c")]) == ["任务  a", "x     b", "      c"]


def test_rows_may_be_of_different_length() -> None:
    assert table_lines([("a", "b"), ("longer",)]) == ["a       b", "longer"]


def test_no_rows_are_no_lines() -> None:
    assert table_lines([]) == []
