"""What Django's own commands say when the database cannot be reached: ``make run`` begins with one."""

from __future__ import annotations

from pathlib import Path

from tests.importer.processes import Installation


def without_its_folder(installation: Installation, tmp_path: Path) -> Installation:
    installation.database_url = f"sqlite:///{tmp_path / 'not there' / 'barvault.sqlite3'}"
    return installation


def test_migrate_says_in_a_sentence_that_the_folder_is_not_there(
    bare_installation: Installation, tmp_path: Path
) -> None:
    ended = without_its_folder(bare_installation, tmp_path).manage("migrate", check=False, BARVAULT_LANGUAGE="en")
    folder = tmp_path / "not there"
    assert ended.stderr == f"The folder {folder} is not there. Make it, or change DATABASE_URL.\n"
    assert ended.returncode == 2


def test_migrate_says_in_a_sentence_that_a_server_does_not_answer(bare_installation: Installation) -> None:
    bare_installation.database_url = "postgres://somebody:secret@127.0.0.1:1/bars"
    ended = bare_installation.manage("migrate", check=False, BARVAULT_LANGUAGE="en")
    assert ended.stderr.startswith("The database bars does not answer: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "secret" not in ended.stderr


def test_with_traceback_it_shows_where_it_happened(bare_installation: Installation, tmp_path: Path) -> None:
    ended = without_its_folder(bare_installation, tmp_path).manage("migrate", "--traceback", check=False)
    assert "OperationalError: unable to open database file" in ended.stderr
