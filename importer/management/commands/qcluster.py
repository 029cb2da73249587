"""``python manage.py qcluster``: replaces django-q2's command of the same name."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from config.database_state import database_problem
from importer.cluster import run_cluster
from importer.preloading import preload
from importer.supervised import join_supervisor, say_ready

BAD_INPUT = 2


class Command(BaseCommand):
    help = _("Runs the workers that import in the background, until Ctrl-C or SIGTERM.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=settings.WORKERS, help=_("workers (default: %(default)s)"))

    def handle(self, *_args: Any, **options: Any) -> None:
        # ``serve`` has looked already, and a database that is away for a while must not end a restarted cluster.
        if not join_supervisor() and (problem := database_problem()):
            raise CommandError(str(problem), returncode=BAD_INPUT)
        run_cluster(workers=options["workers"], preload=preload, ready=say_ready)
