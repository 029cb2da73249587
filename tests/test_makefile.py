"""The Makefile, tried in a folder of its own with a Python that only writes down what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from django.conf import settings

MAKEFILE = Path(settings.BASE_DIR) / "Makefile"
PRETENDER = """#!/bin/sh
echo "${{BARVAULT_DEMO:+demo }}$*" >> "{calls}"
case "$*" in {fails}) exit 1 ;; esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


class Folder:
    """A fresh clone, as far as make is concerned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls_file = path / "calls"
        shutil.copy(MAKEFILE, path)
        for name in ("requirements.lock", "requirements-dev.lock"):
            (path / name).touch()
            os.utime(path / name, (1_000_000_000, 1_000_000_000))

    def install_pretender(self, *, fails_at: str = "nothing") -> None:
        python = self.path / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(PRETENDER.format(calls=self.calls_file, fails=fails_at))
        python.chmod(0o755)

    def make(self, *arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(
            ["make", *arguments],
            cwd=self.path, env=environment, user=user, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_help_names_the_targets(folder: Folder) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE.read_text(), re.MULTILINE)
    assert phony is not None
    shown = folder.make().stdout
    unnamed = {target for target in phony[1].split() if f"make {target} " not in shown}
    assert unnamed <= {"help", "install", "install-dev", "format"}


def test_an_old_python_is_refused_with_one_sentence(folder: Folder) -> None:
    refused = folder.make("install", "PYTHON3=false")
    assert refused.returncode != 0
    assert refused.stdout == "Barvault needs Python 3.11 or newer; false is not.\n"
    assert not (folder.path / ".venv").exists()


def test_a_machine_without_python_is_told_what_to_do(folder: Folder) -> None:
    refused = folder.make("install", "PYTHON3=")
    assert refused.returncode != 0
    assert "none was found: install it, or name it with PYTHON3=" in refused.stdout


def test_who_may_not_write_in_the_folder_is_told_so() -> None:
    # In a place that every user reaches. Root may write everywhere: somebody else tries it in its stead.
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place))
        folder.path.chmod(0o555)
        refused = folder.make("install", "PYTHON3=true", user=65534 if os.geteuid() == 0 else None)
        folder.path.chmod(0o755)
    assert refused.returncode != 0
    assert refused.stdout.startswith("This user may not write in ")


def test_nothing_is_installed_twice(folder: Folder) -> None:
    folder.install_pretender()
    folder.make("install")
    folder.make("install")
    assert len(folder.calls()) == 1
    assert "install -r requirements.lock" in folder.calls()[0]


def test_a_changed_lock_is_installed(folder: Folder) -> None:
    folder.install_pretender()
    folder.make("install")
    os.utime(folder.path / "requirements.lock")
    stamp = folder.path / ".venv" / ".installed"
    os.utime(stamp, (1_500_000_000, 1_500_000_000))
    folder.make("install")
    assert len(folder.calls()) == 2


def test_what_a_developer_has_is_enough_for_a_user(folder: Folder) -> None:
    folder.install_pretender()
    folder.make("install-dev")
    folder.make("install")
    assert len(folder.calls()) == 1


def test_an_installation_that_failed_is_tried_again(folder: Folder) -> None:
    folder.install_pretender(fails_at="*pip*")
    assert folder.make("install").returncode != 0
    assert folder.make("install").returncode != 0
    assert len(folder.calls()) == 2


def test_a_venv_without_its_python_is_filled_anew(folder: Folder) -> None:
    folder.install_pretender()
    folder.make("install")
    (folder.path / ".venv" / "bin" / "python").unlink()
    folder.make("help")
    assert not (folder.path / ".venv" / ".installed").exists()


def test_the_demo_keeps_to_its_own_database(folder: Folder) -> None:
    folder.install_pretender()
    folder.make("demo")
    assert folder.calls()[-1] == "demo manage.py demo"


def test_run_prepares_the_real_database_and_serves(folder: Folder) -> None:
    folder.install_pretender()
    folder.make("run")
    assert [call.split()[1] for call in folder.calls()[-2:]] == ["migrate", "serve"]
    assert not any(call.startswith("demo") for call in folder.calls())


@pytest.mark.parametrize("failing", ['*"not slow"*|*"not slow"', '*"slow or"*'])
def test_tests_fail_when_either_half_fails(folder: Folder, failing: str) -> None:
    folder.install_pretender(fails_at=failing)
    assert folder.make("test").returncode != 0
    assert len([call for call in folder.calls() if "pytest" in call]) == 2


def test_clean_leaves_the_databases(folder: Folder) -> None:
    folder.install_pretender()
    (folder.path / "locale").mkdir()
    (folder.path / "var").mkdir()
    (folder.path / "var" / "barvault.sqlite3").touch()
    assert folder.make("clean").returncode == 0
    assert not (folder.path / ".venv").exists()
    assert (folder.path / "var" / "barvault.sqlite3").exists()


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="Only Linux has /proc.")
@pytest.mark.parametrize("target", ["demo", "run"])
def test_no_shell_stands_between_make_and_what_it_runs(folder: Folder, target: str) -> None:
    """Whoever ends make by a signal ends the server, too: make passes it on to its children."""
    folder.install_pretender()
    folder.make("install")
    python = folder.path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$2 $(cat /proc/$PPID/comm)" >> "{folder.calls_file}"\n')
    folder.make(target)
    assert folder.calls()[-1] == f"{'demo' if target == 'demo' else 'serve'} make"
