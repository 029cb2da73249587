"""``manage.py demo``: what ``make demo`` runs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importer.management.base import Exit, ExplainingCommand
from importer.models import ImportTask, Kind
from importer.task_requests import build_request, submit


class Command(ExplainingCommand):
    summary = gettext_lazy("Shows a simulated market in a database of its own: a full import, the page, the workers.")
    needs_database = False

    def run(self, **_options: Any) -> int:
        """Prepare the demo's database, ask for its import once, and serve: the workers start what waits.

        1. Refuse to touch the real database.
        2. Migrate.
        3. The first time only, make the task of a full import; later the page shows how that one went.
        4. Serve until stopped.
        """
        if not settings.DEMO:
            raise CommandError(
                _("The demo keeps to a database of its own. Start it with `make demo`, or set BARVAULT_DEMO=1."),
                returncode=Exit.BAD_INPUT,
            )
        self.stdout.write(_("Preparing the simulated market, in a database of its own. This takes a few seconds."))
        self.stdout.flush()
        call_command("migrate", verbosity=0)
        if not ImportTask.objects.exists():
            submit(build_request(Kind.IMPORT), by="demo")
        call_command("serve")
        return Exit.OK
