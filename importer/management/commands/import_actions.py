"""``python manage.py import_actions --path FILE``: corporate actions from a CSV file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config.database_state import database_problem
from marketdata.action_files import COLUMNS, read_actions
from marketdata.actions import ActionsResult, Conflict, save_actions
from marketdata.adjustment import Action
from marketdata.exceptions import MarketDataError

BAD_INPUT = 2
WITH_FINDINGS = 3
SOURCE = "file"
_NAMED = 5


class Command(BaseCommand):
    help = _(
        "Stores corporate actions (dividends, bonus shares, rights) from a CSV file. All rows are stored, or none. "
        "Exit status: 0 stored, 3 stored and contradicting another source, 2 a file that cannot be right."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        columns = ",".join(COLUMNS)
        parser.add_argument(
            "--path",
            type=Path,
            required=True,
            metavar="FILE",
            help=_("CSV file in UTF-8 whose first line is %(columns)s; yuan and shares for one share")
            % {"columns": columns},
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read and check the whole file, store it in one transaction, say what changed."""
        if problem := database_problem():
            raise CommandError(str(problem), returncode=BAD_INPUT)
        try:
            result = save_actions(read_actions(options["path"]), source=SOURCE)
        except MarketDataError as error:
            raise CommandError(str(error), returncode=BAD_INPUT) from error
        self._report(result)
        if result.conflicts:
            raise SystemExit(WITH_FINDINGS)

    def _report(self, result: ActionsResult) -> None:
        self.stdout.write(
            _("%(added)s corporate actions added, %(changed)s changed, %(unchanged)s unchanged.")
            % {"added": result.added, "changed": result.changed, "unchanged": result.unchanged}
        )
        if result.unknown_symbols:
            named = ", ".join(result.unknown_symbols[:_NAMED])
            more = len(result.unknown_symbols) - _NAMED
            self.stdout.write(
                _(
                    "%(count)s actions were not stored: their %(stocks)s stocks are not in the database (%(named)s). "
                    "Import the stocks, then run this again."
                )
                % {
                    "count": result.unknown_count,
                    "stocks": len(result.unknown_symbols),
                    "named": f"{named}, …" if more > 0 else named,
                }
            )
        for conflict in result.conflicts:
            self.stdout.write(_conflict_line(conflict))
        if result.conflicts:
            self.stdout.write(
                ngettext(
                    "%(count)s action contradicts another source.",
                    "%(count)s actions contradict another source.",
                    len(result.conflicts),
                )
                % {"count": len(result.conflicts)}
            )


def _conflict_line(conflict: Conflict) -> str:
    return _("%(symbol)s %(ex_date)s: kept %(kept)s (%(kept_source)s), not %(refused)s (%(refused_source)s).") % {
        "symbol": conflict.symbol,
        "ex_date": conflict.kept.ex_date,
        "kept": _facts(conflict.kept),
        "kept_source": conflict.kept_source,
        "refused": _facts(conflict.refused),
        "refused_source": conflict.refused_source,
    }


def _facts(action: Action) -> str:
    return _("%(cash)g yuan, %(new)g new shares, %(rights)g rights at %(price)g") % {
        "cash": action.cash_per_share,
        "new": action.new_shares_per_share,
        "rights": action.rights_per_share,
        "price": action.rights_price,
    }
