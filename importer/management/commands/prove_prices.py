"""``python manage.py prove_prices SYMBOL``: why a stock's adjusted prices are what they are."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rich.console import Console
from rich.table import Table

from importer.management.base import Exit, ExplainingCommand
from marketdata.proof import Proof, ProofRow, prove, read_factors, steps_from_factors

# Wide enough for the whole table where the output is no terminal.
_PLAIN_WIDTH = 200


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Shows each ex-date of a stock: facts, theoretical price, the exchange's previous close, our step, a vendor's "
        "step, the difference. Exit status: 0 nothing differs by more than 0.1 percent, 3 something does, 2 bad input."
    )

    examples = (
        ("prove_prices 600519", gettext_lazy("one stock")),
        ("prove_prices 000002 --factors factors.csv", gettext_lazy("beside a vendor's factors")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help=_("stock, e.g. 600519"))
        parser.add_argument(
            "--factors",
            type=Path,
            metavar="FILE",
            help=_("CSV file with a vendor's 后复权 factors (columns date, factor) to compare with"),
        )

    def run(self, **options: Any) -> int:
        """Print the table, then what has to be known about single dates. Raises MarketDataError for bad input."""
        vendor = steps_from_factors(read_factors(options["factors"])) if options["factors"] else None
        proof = prove(options["symbol"], vendor_steps=vendor)
        self._print(proof)
        return Exit.WITH_FAILURES if proof.flagged_count else Exit.OK

    def _print(self, proof: Proof) -> None:
        if not proof.rows:
            self.stdout.write(_("%(symbol)s has no corporate action in the database.") % {"symbol": proof.symbol})
        else:
            console = Console(width=None if self.stdout.isatty() else _PLAIN_WIDTH, color_system=None)
            with console.capture() as printed:
                console.print(_table(proof))
            self.stdout.write("\n".join(line.rstrip() for line in printed.get().splitlines()))
        for row in proof.rows:
            if row.note:
                self.stdout.write(str(row.note))
        for day, step in proof.vendor_only.items():
            self.stdout.write(
                _("%(symbol)s: the vendor has a step of %(step).6f on %(day)s, where no action is known.")
                % {"symbol": proof.symbol, "step": step, "day": day}
            )


def _table(proof: Proof) -> Table:
    table = Table(title=f"{proof.symbol} {proof.first_bar} – {proof.last_bar}", box=None, pad_edge=False)
    table.add_column(_("ex-date"), no_wrap=True)
    headings = [_("cash"), _("new shares"), _("rights"), _("rights price"), _("close before"), _("theoretical")]
    headings += [_("exchange"), _("our step"), _("vendor's step"), _("difference")]
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column(_("result"))
    for row in proof.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: ProofRow) -> list[str]:
    event, action = row.event, row.event.action
    facts = [action.cash_per_share, action.new_shares_per_share, action.rights_per_share, action.rights_price]
    difference = "" if row.difference is None else f"{row.difference:+.4%}{' !' if row.is_flagged else ''}"
    return [
        str(row.ex_date),
        *(f"{value:g}" if value else "" for value in facts),
        _number(event.reference, ".2f"),
        _number(event.theoretical, ".4f"),
        _number(row.previous_close, ".2f"),
        _number(event.step if event.theoretical else None, ".7f"),
        _number(row.vendor_step, ".7f"),
        difference,
        str(row.status),
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
