"""``python manage.py import_bars``: import daily bars, and follow the import."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from importer.management.following import FollowingCommand
from importer.models import Kind


class Command(FollowingCommand):
    kind = Kind.IMPORT
    with_dates = True
    summary = _(
        "Imports daily bars and shows how far it is. Ctrl-C stops showing; the import goes on in the background. "
        "What is stored already is skipped."
    )
    examples = (
        ("import_bars", _("every stock, from 2021-01-01 to the newest finished trading day")),
        ("import_bars --symbols 600519,000001.SZ --start 2021-01-01 --end 2024-12-25", _("two stocks, four years")),
        ("import_bars --source tdx --path /data/vipdoc --inline", _("a TDX folder, without running workers")),
        ("import_bars --detach", _("print the task's id and return at once")),
    )
