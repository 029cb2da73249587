"""A setting that cannot be read is named; its value, which may be a password, is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.databases import placed_below
from config.environment_values import EnvironmentValues, make_folder
from tests.importer.processes import Installation


def values(**variables: str) -> EnvironmentValues:
    env = EnvironmentValues()
    env.ENVIRON = variables
    return env


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (lambda env: env.int("NAME"), "many", "NAME is not a whole number."),
        (lambda env: env.float("NAME"), "half", "NAME is not a number."),
        (lambda env: env.numbers("NAME"), "sina", "NAME is not a list of NAME=NUMBER"),
        (lambda env: env.numbers("NAME"), "sina=quick", "NAME is not a list of NAME=NUMBER"),
        (lambda env: env.numbers("NAME"), "sina=-1", "NAME is not a list of NAME=NUMBER"),
        (lambda env: env.numbers("NAME"), "sina=nan", "NAME is not a list of NAME=NUMBER"),
        (lambda env: env.seconds("NAME", 1.0), "-1", "NAME is not a number of seconds."),
        (lambda env: env.seconds("NAME", 1.0, above_zero=True), "0", "NAME is not a number of seconds above zero."),
        (lambda env: env.servers("NAME", 7709), "tdx.example:http", "NAME is not a list of HOST or HOST:PORT"),
        (lambda env: env.servers("NAME", 7709), ":7709", "NAME is not a list of HOST or HOST:PORT"),
        (lambda env: env.hours("NAME"), "22-7", "NAME is not two times of day: write 22:30-07:30."),
        (lambda env: env.web_address("NAME"), "hc.example/ping", "NAME is not a web address: write https://"),
        (lambda env: env.db_url("NAME"), "secret", "NAME is no address of a database"),
    ],
)
def test_what_cannot_be_read_is_named_without_its_value(read: Any, value: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(values(NAME=value))
    assert str(refusal.value).startswith(words)
    assert value not in str(refusal.value)


def test_servers_have_a_port_of_their_own_or_the_usual_one() -> None:
    env = values(NAMED="192.0.2.1, tdx.example:7711", EMPTY="")
    assert env.servers("NAMED", 7709) == [("192.0.2.1", 7709), ("tdx.example", 7711)]
    assert env.servers("EMPTY", 7709) == env.servers("UNSET", 7709) == []


def test_a_value_that_begins_with_a_dollar_sign_is_taken_as_it_is() -> None:
    env = values(SECRET_KEY="$5x(1k", NAMES="$a,b", x="another")
    assert env.str("SECRET_KEY", default="") == "$5x(1k"
    assert env.list("NAMES", default=[]) == ["$a", "b"]
    assert values(NAME="$x", x="another").str("NAME") == "$x"


def test_what_can_be_read_is_read() -> None:
    env = values(COUNT="3", GAPS="sina=0.5, tencent=0.3", DATABASE_URL="sqlite:////somewhere/file")
    assert env.int("COUNT") == 3
    assert env.numbers("GAPS") == {"sina": 0.5, "tencent": 0.3}
    assert env.numbers("MISSING") == {}
    assert env.db_url("DATABASE_URL")["NAME"] == "/somewhere/file"


def test_a_list_of_words_has_each_of_them_once() -> None:
    assert values(NAMES="sina, eastmoney,sina,").words("NAMES") == ["sina", "eastmoney"]
    assert values().words("NAMES") == []


def test_a_floor_for_a_source_that_does_not_exist_is_refused() -> None:
    environment = {**os.environ, "BARVAULT_PACE_FLOORS": "sinna=5,exchanges=1", "BARVAULT_ENV_FILE": os.devnull}
    asked = [sys.executable, "manage.py", "doctor"]
    ended = subprocess.run(asked, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("BARVAULT_PACE_FLOORS names sinna; it may name eastmoney, sina,")


def test_lists_may_have_spaces_after_their_commas(tmp_path: Path) -> None:
    code = "from config import settings as s; print(s.API_TOKENS, s.EXTRA_ALLOWED_HOSTS, sorted(s.NOTIFY_EVENTS))"
    lists = {
        "BARVAULT_API_TOKENS": "one, two",
        "BARVAULT_ALLOWED_HOSTS": "a.example, b.example",
        "BARVAULT_NOTIFY_EVENTS": "missing, failed",
    }
    shown = Installation(tmp_path).manage("shell", "-c", code, **lists)
    assert shown.stdout.splitlines()[-1] == "['one', 'two'] ['a.example', 'b.example'] ['failed', 'missing']"


def test_an_address_of_the_pages_without_its_beginning_would_be_no_link(tmp_path: Path) -> None:
    shown = Installation(tmp_path).manage("doctor", check=False, BARVAULT_BASE_URL="barvault.lan:5000")
    assert shown.returncode == 2
    assert shown.stderr.startswith("BARVAULT_BASE_URL is not a web address: write https://")


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ImproperlyConfigured, match="BARVAULT_VAR_DIR"):
        make_folder(tmp_path / "file" / "folder")


def test_paths_are_below_the_project_wherever_a_process_works(tmp_path: Path) -> None:
    script = (
        "from config import settings; print(settings.VAR_DIR.resolve()); print(settings.DATABASES['default']['NAME'])"
    )
    below = os.path.relpath(tmp_path / "var", settings.BASE_DIR)
    asked = {"PYTHONPATH": str(settings.BASE_DIR), "BARVAULT_VAR_DIR": below, "DATABASE_URL": "sqlite:///own.sqlite3"}

    shown = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **asked}, cwd=tmp_path, capture_output=True, text=True
    )

    assert shown.stdout.splitlines() == [str(tmp_path / "var"), str(settings.BASE_DIR / "own.sqlite3")]


@pytest.mark.parametrize("address", ["sqlite:////somewhere/file", "sqlite:///:memory:", "postgres://user@host/name"])
def test_a_database_that_needs_no_folder_stays_as_it_is(tmp_path: Path, address: str) -> None:
    parsed = values(DATABASE_URL=address).db_url("DATABASE_URL")
    assert placed_below(parsed, tmp_path) == parsed


def test_a_command_that_cannot_start_says_why_in_one_sentence(tmp_path: Path) -> None:
    shown = Installation(tmp_path).manage("doctor", check=False, BARVAULT_PORT="five thousand")
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert shown.stderr.startswith("BARVAULT_PORT is not a whole number.")


class OfFile(EnvironmentValues):
    ENVIRON: ClassVar[dict[str, str]] = {}


def read_from(tmp_path: Path, text: str) -> EnvironmentValues:
    OfFile.ENVIRON = {"NAMED": "by the environment"}
    (tmp_path / ".env").write_text(text)
    env = OfFile()
    env.read_file(tmp_path / ".env")
    return env


def test_a_file_of_settings_is_read_with_spaces_quotes_and_comments(tmp_path: Path) -> None:
    env = read_from(tmp_path, "# ours\n\nexport PORT = 5001\nWORDS='a b'\nMAIL=mailtos://a:b%40c@d?to=e f\n")
    assert (env.int("PORT"), env.str("WORDS"), env.str("MAIL")) == (5001, "a b", "mailtos://a:b%40c@d?to=e f")


def test_what_the_environment_names_stays(tmp_path: Path) -> None:
    assert read_from(tmp_path, "NAMED=by the file").str("NAMED") == "by the environment"


def test_a_line_that_is_no_setting_is_named_by_its_number_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        read_from(tmp_path, "PORT=5001\nmailtos://you:secret@qq.com\n")
    assert str(refusal.value) == f"Line 2 of {tmp_path / '.env'} is no setting: write NAME=value."


def test_no_file_of_settings_is_no_error(tmp_path: Path) -> None:
    OfFile().read_file(tmp_path / ".env")
