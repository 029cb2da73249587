"""``python manage.py export_bars --format FORMAT --out DIR``: bars for other programs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from rich.console import Console
from rich.progress import Progress

from importer.management.base import Exit, ExplainingCommand, sigterm_as_ctrl_c
from marketdata.adjusted import flag_texts, parse_adjustment
from marketdata.adjustment import Adjust
from marketdata.export import ExportFailed, ExportResult, export_bars
from marketdata.exports import FORMATS
from marketdata.symbols import parse_symbols


def iso_date(text: str) -> date:
    """Return the date that an option names."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(_("“%(value)s” is not a date like 2024-05-31.") % {"value": text}) from None


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Writes bars to a folder that is whole or not there: CSV (a file per stock), Parquet (one file) or qlib's "
        "format. Exit status: 0 written, 1 failed, 2 bad input."
    )

    examples = (
        ("export_bars --format csv --out bars", gettext_lazy("raw bars, a file per stock")),
        (
            "export_bars --format parquet --out bars --adjust qfq --start 2021-01-01",
            gettext_lazy("adjusted bars from 2021 on, in one file"),
        ),
        ("export_bars --format qlib --out qlib_data --adjust hfq", gettext_lazy("for qlib")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", required=True, choices=list(FORMATS), help=_("file format"))
        parser.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help=_("folder: new, empty, or an earlier export")
        )
        parser.add_argument("--symbols", metavar="S,…", help=_("only these stocks, separated by commas"))
        parser.add_argument("--start", type=iso_date, metavar="D", help=_("first day"))
        parser.add_argument("--end", type=iso_date, metavar="D", help=_("last day"))
        parser.add_argument(
            "--adjust", choices=[form.value for form in Adjust], default="none", help=_("adjustment of prices")
        )
        parser.add_argument(
            "--as-of", type=iso_date, metavar="D", help=_("as known on this day: no later bar, no later ex-date")
        )
        parser.add_argument("--adjust-volume", action="store_true", help=_("adjust volumes for share changes too"))

    def run(self, **options: Any) -> int:
        """Export, then say what was written and what is in doubt. Raises MarketDataError for bad input."""
        if options["adjust_volume"] and options["adjust"] == Adjust.NONE:
            raise CommandError(_("--adjust-volume needs --adjust qfq, hfq or broker."), returncode=Exit.BAD_INPUT)
        try:
            with sigterm_as_ctrl_c():
                result = self._export(options)
        except ExportFailed as error:
            raise CommandError(str(error), returncode=Exit.FAILED) from error
        for text in flag_texts(result.said.get("flags", [])):
            self.stderr.write(str(text))
        self.stdout.write(
            ngettext(
                "%(bars)s bars of %(count)s stock were written to %(folder)s (adjustment: %(adjust)s).",
                "%(bars)s bars of %(count)s stocks were written to %(folder)s (adjustment: %(adjust)s).",
                result.stocks,
            )
            % {
                "bars": f"{result.bars:,}",
                "count": f"{result.stocks:,}",
                "folder": result.folder,
                "adjust": result.said["adjust"],
            }
        )
        return Exit.OK

    def _export(self, options: dict[str, Any]) -> ExportResult:
        adjustment = parse_adjustment(options["adjust"], options["as_of"], options["adjust_volume"])
        symbols = parse_symbols(options["symbols"]) if options["symbols"] is not None else None
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task(_("export"), total=None)
            return export_bars(
                options["format"],
                options["out"],
                symbols=symbols,
                start=options["start"],
                end=options["end"],
                adjustment=adjustment,
                on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
            )
