"""``python manage.py doctor``: what is wrong with this installation, in sentences."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.database_state import database_problem
from importer.doctor import Verdict, examine
from importer.management.base import Exit, ExplainingCommand
from marketdata.store import bars_hash

MARKS = {Verdict.FINE: "ok", Verdict.FINDING: "!!", Verdict.BROKEN: "!!"}


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Examines this installation and says what is wrong with it and what to do. "
        "Exit status: 0 nothing is wrong, 3 with findings, 2 when the database cannot be examined."
    )
    examples = (
        ("doctor", gettext_lazy("look at everything")),
        (
            "doctor --hash",
            gettext_lazy("a hash of all stored bars: equal databases have equal hashes, however they were filled"),
        ),
    )
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hash", action="store_true", help=_("print a hash of all bars, and nothing else"))

    def run(self, **options: Any) -> int:
        if options["hash"]:
            if (problem := database_problem()) is not None:
                raise CommandError(str(problem), returncode=Exit.BAD_INPUT)
            self.stdout.write(bars_hash())
            return Exit.OK
        return self._examine()

    def _examine(self) -> int:
        colours = {
            Verdict.FINE: self.style.SUCCESS,
            Verdict.FINDING: self.style.WARNING,
            Verdict.BROKEN: self.style.ERROR,
        }
        counts = dict.fromkeys(Verdict, 0)
        for fact in examine():
            counts[fact.verdict] += 1
            mark = colours[fact.verdict](MARKS[fact.verdict]) if self.stdout.isatty() else MARKS[fact.verdict]
            self.stdout.write(f"{mark}  {fact.text}")
            self.stdout.flush()
        wrong = counts[Verdict.FINDING] + counts[Verdict.BROKEN]
        self.stdout.write("")
        if not wrong:
            self.stdout.write(_("Nothing is wrong."))
            return Exit.OK
        self.stdout.write(_("Findings: %(count)s. They are marked with !!.") % {"count": wrong})
        return Exit.BAD_INPUT if counts[Verdict.BROKEN] else Exit.WITH_FAILURES
