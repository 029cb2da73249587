"""``manage.py demo``: what ``make demo`` runs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.utils.translation import gettext as _

from importer.models import ImportTask, Kind
from importer.task_requests import build_request, submit


class Command(BaseCommand):
    help = _(
        "Try Barvault: a simulated market in a database of its own, a full import, the page. Needs BARVAULT_DEMO=1."
    )
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate the demo's database, ask for its import once, and serve: the cluster starts what waits.

        1. Refuse to run on the real database.
        2. Migrate.
        3. The first time only, make the task of a full import; later its page shows how that one went.
        4. Serve until stopped.
        """
        if not settings.DEMO:
            raise CommandError(
                _("The demo keeps to a database of its own. Start it with `make demo`, or set BARVAULT_DEMO=1.")
            )
        call_command("migrate", verbosity=0)
        if not ImportTask.objects.exists():
            submit(build_request(Kind.IMPORT), by="demo")
        call_command("serve")
