"""``python manage.py update_bars``: bring what is stored up to the newest finished day, and follow it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from importer.management.following import FollowingCommand
from importer.models import Kind


class Command(FollowingCommand):
    kind = Kind.UPDATE
    summary = _(
        "Brings every stored stock up to the newest finished trading day (bars are final from 16:00 on) and shows "
        "how far it is. Ctrl-C stops showing; the update goes on in the background."
    )
    examples = (
        ("update_bars", _("every stock that is stored")),
        ("update_bars --symbols 600519 --inline", _("one stock, without running workers")),
        ("update_bars --detach", _("for a timer: print the task's id and return at once")),
    )
