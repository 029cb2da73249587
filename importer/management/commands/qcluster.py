"""``python manage.py qcluster``: replaces django-q2's command of the same name."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.database_state import database_problem
from importer.belonging import join
from importer.cluster import run_cluster
from importer.hosts import namesake
from importer.leaving import end_process
from importer.management.base import Exit, ExplainingCommand, whole_number
from importer.preloading import preload
from importer.storage_trouble import storage_errors
from importer.supervised import join_supervisor, say_ready

logger = logging.getLogger(__name__)


class Command(ExplainingCommand):
    summary = gettext_lazy("Runs the workers that import in the background, until Ctrl-C or SIGTERM.")
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers", type=whole_number, default=settings.WORKERS, help=_("workers (default: %(default)s)")
        )

    def run(self, **options: Any) -> int:
        # ``serve`` has looked already, and a database that is away for a while must not end a restarted cluster.
        if not join_supervisor() and (problem := database_problem() or join()):
            raise CommandError(str(problem), returncode=Exit.BAD_INPUT)
        if options["workers"] < 1:
            raise CommandError(_("There must be at least one worker."), returncode=Exit.BAD_INPUT)
        self._look_for_namesake()
        run_cluster(workers=options["workers"], preload=preload, ready=say_ready)
        end_process(Exit.OK)

    def _look_for_namesake(self) -> None:
        """Warn who started the workers of one database twice on one machine; both work, but only one is shown."""
        try:
            pid = namesake(settings.HOST_NAME)
        except storage_errors():
            return
        if pid is not None:
            logger.warning(
                "Workers called %s run already (process %s), and only those of one of the two are shown. Stop one of "
                "them, or name this one with BARVAULT_HOST_NAME.",
                settings.HOST_NAME,
                pid,
            )
