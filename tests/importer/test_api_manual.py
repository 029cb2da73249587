"""The API's manual: its examples run, and it names every field, parameter and error code that there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from importer.api import api
from importer.api_errors import _STATUS_OF
from tests.importer.processes import Installation

BASE_DIR = Path(settings.BASE_DIR)
MANUALS = ("API.md", "API.zh-CN.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"""(?:problem|Refusal|_answer|_unauthorized|InvalidInput|unknown_field)\([^"\n]*"(\w+)",""")


def manual(name: str) -> str:
    return (BASE_DIR / "docs" / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return [block for found, block in BLOCK.findall(manual(name)) if found == language]


def codes() -> set[str]:
    """Return the error codes of the API: those of our errors, and those that stand in the code."""
    files = [*(BASE_DIR / "config").glob("*.py"), *(BASE_DIR / "importer").glob("api_*.py")]
    literal = {code for file in files for code in CODE.findall(file.read_text(encoding="utf-8"))}
    return literal | {error.code for error in _STATUS_OF}


def described_names() -> set[str]:
    """Return the names of all fields and parameters in the OpenAPI document but those of single hosts and sources."""
    document = api.get_openapi_schema()
    names = {
        parameter["name"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation["parameters"]
    }
    schemas = document["components"]["schemas"]
    return names | {
        name for title in schemas for name in schemas[title]["properties"] if title not in ("Host", "Source")
    }


@pytest.mark.parametrize("name", MANUALS)
def test_the_manual_names_every_field_and_parameter(name: str) -> None:
    text = manual(name)
    assert [each for each in sorted(described_names()) if each not in text] == []


@pytest.mark.parametrize("name", MANUALS)
def test_the_manual_names_every_error_code(name: str) -> None:
    assert {"not_json", "csrf", "unknown_task", "bad_json", "login_required", "method_not_allowed"} <= codes()
    assert [code for code in sorted(codes()) if f"`{code}`" not in manual(name)] == []


def test_both_manuals_have_the_same_calls_and_examples() -> None:
    calls = [re.findall(r"^\| `((?:GET|POST) [^`]*)`", manual(name), re.MULTILINE) for name in MANUALS]
    assert calls[0] == calls[1]
    examples = [[block.count("\n") for _language, block in BLOCK.findall(manual(name))] for name in MANUALS]
    assert examples[0] == examples[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", MANUALS)
def test_the_examples_run(installation: Installation, name: str) -> None:
    installation.environment = {"BARVAULT_SOURCE": "simulated", "BARVAULT_SIMULATED_STOCKS": "12"}
    _command, url = installation.start_serve()
    here = url.rstrip("/").replace("127.0.0.1", "localhost")
    script = "\n".join(blocks(name, "python")).replace("http://localhost:5000", here)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("进度: ")
    assert "completed 12" in run.stdout
    assert "amount" in run.stdout
    if shutil.which("curl") is None:
        pytest.skip("The Python examples ran. Those for curl need curl.")
    for line in "\n".join(blocks(name, "bash")).splitlines():
        if line.startswith("curl "):
            command = line.replace("http://localhost:5000", here)
            printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
            assert json.loads(printed.stdout)["success"] is True
