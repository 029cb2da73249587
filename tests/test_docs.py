"""What exists is in the documentation, and what the documentation names exists."""

from __future__ import annotations

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

BASE_DIR = Path(django_settings.BASE_DIR)
READMES = (BASE_DIR / "README.md", BASE_DIR / "README.zh-CN.md")
OUR_APPS = ("importer", "marketdata")
# Only the tests and the set-up of the tests read them.
INTERNAL_VARIABLES = {"BARVAULT_ENV_FILE"}
# Django's own pages, which its documentation describes.
FOREIGN_ROUTES = ("/admin/", "/i18n/", "/jsi18n")

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"""\benv(?:\.\w+)?\(\s*["']([A-Z][A-Z0-9_]+)["']""")
PLACE = re.compile(r"<[^>]*>|\{[^}]*\}")


def documents() -> list[Path]:
    return sorted([*BASE_DIR.glob("*.md"), *(BASE_DIR / "docs").rglob("*.md")])


def all_documents() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in documents())


def our_commands() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app in OUR_APPS)


def variables() -> list[str]:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted((BASE_DIR / "config").glob("*.py")))
    return sorted(set(VARIABLE.findall(sources)) - INTERNAL_VARIABLES)


def routes(resolver: URLResolver | None = None, prefix: str = "/") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix(r"\Z")
        if route.startswith(FOREIGN_ROUTES):
            continue
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from routes(pattern, route)


def headings(document: Path) -> set[str]:
    titles = re.findall(r"^#+ +(.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands_in_code_blocks() -> Iterator[tuple[str, str]]:
    for document in documents():
        for block in CODE_BLOCK.findall(document.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                _before, found, command = line.partition("manage.py ")
                if found and not line.lstrip().startswith("#"):
                    yield document.name, command.partition(" #")[0]


@pytest.mark.parametrize("name", our_commands())
def test_a_command_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", all_documents()), f"manage.py {name} is in no document"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
@pytest.mark.parametrize("name", variables())
def test_a_variable_is_in_the_configuration_table(name: str, readme: Path) -> None:
    rows = [line for line in readme.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert any(f"`{name}`" in row for row in rows), f"{name} is not in the table of {readme.name}"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_configuration_table_names_only_what_is_read(readme: Path) -> None:
    rows = [line for line in readme.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]{3,})`", row.split("|")[1])}
    assert sorted(named - set(variables())) == []


@pytest.mark.parametrize("route", sorted(set(routes())))
def test_a_route_is_documented(route: str) -> None:
    documented = PLACE.sub("{}", all_documents())
    assert PLACE.sub("{}", route) in documented, f"{route} is in no document"


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_a_link_leads_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _hash, anchor = target.partition("#")
        linked = (document.parent / name).resolve() if name else document
        if not linked.exists() or (anchor and anchor not in headings(linked)):
            broken.append(target)
    assert broken == []


def test_the_index_leads_to_every_document() -> None:
    index = BASE_DIR / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(index.read_text())}
    wanted = {path.resolve() for path in (BASE_DIR / "docs").rglob("*.md") if path != index}
    assert sorted(str(path.relative_to(BASE_DIR)) for path in wanted - linked) == []


def test_a_document_that_code_refers_to_is_there() -> None:
    missing = set()
    for package in ("config", "importer", "marketdata", "benchmarks"):
        for path in (BASE_DIR / package).rglob("*.py"):
            for name in re.findall(r"\bdocs/[\w\-/]+\.md", path.read_text(encoding="utf-8")):
                if not (BASE_DIR / name).is_file():
                    missing.add(f"{path.relative_to(BASE_DIR)} refers to {name}")
    assert missing == set()


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_a_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w\-]*):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z][\w\-]*)", text))
    for block in CODE_BLOCK.findall(text):
        named |= set(re.findall(r"^make ([a-z][\w\-]*)", block, re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_table_of_commands_names_each_of_ours_and_no_other(readme: Path) -> None:
    rows = re.findall(r"^\| (`[a-z_]+`.*?) \|", readme.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`([a-z_]+)`", row)) == our_commands()


@pytest.mark.parametrize(("document", "command"), sorted(set(commands_in_code_blocks())))
def test_a_command_line_in_the_documentation_is_accepted(document: str, command: str) -> None:
    name, *arguments = shlex.split(command)
    app = get_commands().get(name)
    assert app, f"{document}: there is no command {name}"
    parser: ArgumentParser = load_command_class(app, name).create_parser("manage.py", name)
    try:
        parser.parse_args(arguments)
    except (CommandError, SystemExit) as error:
        pytest.fail(f"{document}: manage.py {command}: {error}")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_python_example_of_the_readme_runs(readme: Path, settings: Settings) -> None:
    settings.SOURCE = "simulated"
    (example,) = re.findall(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    assert not names["bars"].empty
