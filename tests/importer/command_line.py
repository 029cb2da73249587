"""Our commands as a user gives them, in this process: arguments in, exit status and sentences out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from django.core.management import load_command_class
from django.utils import translation

from importer.models import Failure, ImportChunk, ImportTask, LaneSlot, Transition
from marketdata.models import Bar, Origin, Stock


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def out_lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def err_lines(self) -> list[str]:
        return self.err.splitlines()


def give_command(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> Outcome:
    """Run ``manage.py name arguments`` in this process, in the language that the environment asks for."""
    command = load_command_class("importer", name)
    capsys.readouterr()
    status = 0
    with translation.override(None):
        try:
            command.run_from_argv(["manage.py", name, *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
    shown = capsys.readouterr()
    return Outcome(status, shown.out, shown.err)


def what_is_stored() -> Sequence[int]:
    """Return how many rows each table of ours has."""
    tables = (ImportTask, ImportChunk, LaneSlot, Failure, Transition, Stock, Bar, Origin)
    return [table.objects.count() for table in tables]
