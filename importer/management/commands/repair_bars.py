"""``python manage.py repair_bars``: fetch what the calendar says is missing, and follow it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from importer.management.following import FollowingCommand
from importer.models import Kind


class Command(FollowingCommand):
    kind = Kind.REPAIR
    with_dates = True
    summary = _(
        "Fetches the trading days for which a stock has no bar although the exchange was open, and shows how far it "
        "is. Ctrl-C stops showing; the repair goes on in the background."
    )
    examples = (
        ("repair_bars", _("every stock that is stored")),
        ("repair_bars --symbols 600519 --start 2024-01-01 --end 2024-06-30", _("one stock, half a year")),
    )
