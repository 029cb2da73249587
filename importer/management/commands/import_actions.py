"""``python manage.py import_actions --path FILE``: corporate actions from a CSV file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from importer.management.base import Exit, ExplainingCommand
from marketdata.action_files import COLUMNS, read_actions
from marketdata.actions import ActionsResult, Conflict, save_actions
from marketdata.adjustment import Action

SOURCE = "file"
_NAMED = 5


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Stores corporate actions (dividends, bonus shares, rights) from a CSV file. All rows are stored, or none. "
        "Exit status: 0 stored, 3 stored and contradicting another source, 2 a file that cannot be right."
    )

    examples = (("import_actions --path corporate_actions.csv", gettext_lazy("all rows of a file")),)

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

    def run(self, **options: Any) -> int:
        """Read and check the whole file, store it in one transaction, say what changed. Raises MarketDataError."""
        result = save_actions(read_actions(options["path"]), source=SOURCE)
        self._report(result)
        return Exit.WITH_FAILURES if result.conflicts else Exit.OK

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
