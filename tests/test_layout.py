"""What holds for the project as a whole: which way dependencies point, and what no file may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BASE_DIR = Path(settings.BASE_DIR)
PACKAGES = ("config", "importer", "marketdata")
LONGEST_FILE = 400
MACHINE_PATHS = re.compile(r"(?<![\w./])/(?:root|work|Users|home/\w+|tmp/w)/")
INDEX_OPTIONS = re.compile(r"^\s*(?:--)?(?:extra-index-url|index-url|find-links|trusted-host)\b", re.MULTILINE)


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        for path in sorted((BASE_DIR / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=BASE_DIR, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("Not a git checkout: there is no list of the project's files.")
    return [BASE_DIR / name for name in listed.stdout.split("\0") if name and (BASE_DIR / name).is_file()]


def tracked_texts() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        if path != Path(__file__):
            yield str(path.relative_to(BASE_DIR)), path.read_text(encoding="utf-8", errors="replace")


def requirements(name: str) -> dict[str, Requirement]:
    lines = (line.partition("#")[0].strip() for line in (BASE_DIR / name).read_text().splitlines())
    parsed = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


def locked(name: str) -> dict[str, str]:
    lines = [line for line in (BASE_DIR / name).read_text().splitlines() if line and not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    assert all(len(pair) == 2 for pair in pairs), "every line of a lock file is name==version"
    return {canonicalize_name(package): version for package, version in pairs}


def test_marketdata_knows_nothing_of_the_importer() -> None:
    strangers = {
        f"{path.name} imports {name}"
        for path in modules("marketdata")
        for name in imported_modules(path)
        if name.split(".")[0] == "importer"
    }
    assert strangers == set()


def test_the_product_knows_nothing_of_its_tests_and_benchmarks() -> None:
    strangers = {
        f"{path.name} imports {name}"
        for path in modules(*PACKAGES)
        for name in imported_modules(path)
        if name.split(".")[0] in ("tests", "benchmarks", "pytest", "hypothesis")
    }
    assert strangers == set()


def test_library_code_does_not_print() -> None:
    printing = [
        f"{path.relative_to(BASE_DIR)}:{node.lineno}"
        for path in modules(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_only_the_lifecycle_writes_a_tasks_status() -> None:
    writing = [
        f"{path.relative_to(BASE_DIR)}:{node.lineno}"
        for path in modules(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text()))
        if path.name != "lifecycle.py" and _writes_status(node)
    ]
    assert writing == []


def _writes_status(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
        return any(keyword.arg == "status" for keyword in node.keywords)
    return False


def test_no_file_is_longer_than_one_subject_needs() -> None:
    lengths = {str(path.relative_to(BASE_DIR)): len(path.read_text().splitlines()) for path in modules(*PACKAGES)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [f"{name}: {match.group(0)}" for name, text in tracked_texts() for match in MACHINE_PATHS.finditer(text)]
    assert found == []


def test_no_file_names_a_package_index() -> None:
    hosts = _index_hosts_of_this_machine()
    found = [name for name, text in tracked_texts() if INDEX_OPTIONS.search(text)]
    found += [name for name, text in tracked_texts() for host in hosts if host in text]
    assert found == []


def _index_hosts_of_this_machine() -> set[str]:
    shown = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    hosts = re.findall(r"https?://([^/:\s'\"\\]+)", shown.stdout)
    return set(hosts) - {"pypi.org", "localhost", "127.0.0.1"}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_a_lock_file_satisfies_its_requirements(name: str) -> None:
    versions = locked(f"{name}.lock")
    wrong = {
        package: f"{versions.get(package)} is not {requirement.specifier}"
        for package, requirement in requirements(f"{name}.txt").items()
        if not requirement.specifier.contains(versions.get(package, "0"))
    }
    assert wrong == {}


def test_developers_have_the_same_versions_as_users() -> None:
    developers = locked("requirements-dev.lock")
    assert {
        name: version for name, version in locked("requirements.lock").items() if developers.get(name) != version
    } == {}


def test_every_dependency_has_its_reason_written_down() -> None:
    reasons = (BASE_DIR / "docs/decisions/003-dependencies.md").read_text().lower()
    wanted = {**requirements("requirements.txt"), **requirements("requirements-dev.txt")}
    assert [name for name in wanted if f"`{name}`" not in reasons] == []


def test_what_the_product_imports_is_named_in_its_requirements() -> None:
    named = set(requirements("requirements.txt"))
    distributions = packages_distributions()
    unnamed = set()
    for path in modules(*PACKAGES):
        for imported in imported_modules(path):
            providers = {canonicalize_name(each) for each in distributions.get(imported.split(".")[0], [])}
            if providers and not providers & named:
                unnamed.add(f"{path.relative_to(BASE_DIR)} imports {imported}")
    assert unnamed == set()
