"""``python manage.py qcluster``: replaces django-q2's command of the same name."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from importer.cluster import run_cluster


class Command(BaseCommand):
    help = _("Runs the workers that import in the background, until Ctrl-C or SIGTERM.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, default=settings.WORKERS, help=_("how many workers"))

    def handle(self, *_args: Any, **options: Any) -> None:
        run_cluster(workers=options["workers"], preload=["pandas"])
