"""``python manage.py claim_database``: after a lost secret key, or to go back to an older version."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importer.belonging import claim_key, claim_release, running_code
from importer.hosts import still_running
from importer.management.base import Exit, ExplainingCommand


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Makes this machine's secret key, or its version, the one that the database belongs to. Stop every host first."
    )
    examples = (
        ("claim_database --key", gettext_lazy("the secret key was lost, or replaced on purpose")),
        ("claim_database --release", gettext_lazy("go back to an older version on every machine")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--key", action="store_true", help=_("take this machine's secret key"))
        parser.add_argument("--release", action="store_true", help=_("take this version as the newest"))

    def run(self, **options: Any) -> int:
        if not options["key"] and not options["release"]:
            raise CommandError(_("Say what to take: --key, --release, or both."), returncode=Exit.BAD_INPUT)
        if (problem := still_running()) is not None:
            raise CommandError(str(problem), returncode=Exit.BAD_INPUT)
        if options["key"]:
            claim_key()
            self.stdout.write(_("The database now belongs to this machine's secret key. Copy it to the other hosts."))
        if options["release"]:
            claim_release()
            version = running_code().version
            self.stdout.write(_("Version %(version)s and newer ones may use the database.") % {"version": version})
        return Exit.OK
