"""``python manage.py check_bars``: what is wrong with the stored bars, and what would mend it."""

from __future__ import annotations

import secrets
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from rich.console import Console
from rich.progress import Progress

from importer.bar_check import check_stocks, stocks_to_check
from importer.bar_sample import compare_stocks, sample, sample_sources
from importer.check_memory import RULES, FindingKey, note_findings
from importer.management.base import Exit, ExplainingCommand, whole_number
from importer.models import Kind
from importer.sources.registry import SOURCES
from importer.task_requests import TaskRequest, build_request
from marketdata.index_days import differing_days
from marketdata.models import Origin, Stock
from marketdata.origin import current_origin
from marketdata.quality import Finding, Rule
from marketdata.trading_days import newest_finished_day

# Names that the sample can be compared with: what is asked over the network.
NETWORK = [name for name, entry in SOURCES.items() if entry.network]


def positive_number(text: str) -> int:
    """Return the number of at least 1 that an option was given."""
    number = whole_number(text)
    if number < 1:
        raise ArgumentTypeError(_("It has to be at least 1, not %(number)s.") % {"number": number})
    return number


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Checks the stored bars: missing trading days, impossible values, jumps beyond the board's limit without an "
        "ex-date, corporate actions in doubt, stocks that are out of date; with --sample, what another source says. "
        "Changes nothing. Exit status: 0 no findings, 3 with findings, 2 bad input or nothing to check."
    )
    examples = (
        ("check_bars", gettext_lazy("every stock that is stored")),
        ("check_bars --symbols 600519 --start 2024-01-01 --end 2024-06-30", gettext_lazy("one stock, half a year")),
        ("check_bars --sample 50 --source sina", gettext_lazy("and ask Sina again for 50 stocks")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbols", metavar="S,…", help=_("only these stocks, separated by commas"))
        parser.add_argument("--start", metavar="D", help=_("first day"))
        parser.add_argument("--end", metavar="D", help=_("last day"))
        parser.add_argument(
            "--sample",
            type=positive_number,
            metavar="N",
            help=_("ask another source again for so many stocks, chosen at random (nothing is stored)"),
        )
        parser.add_argument("--source", choices=NETWORK, help=_("with --sample: the source to compare with"))
        parser.add_argument("--seed", type=whole_number, metavar="N", help=_("with --sample: choose the same stocks"))

    def run(self, **options: Any) -> int:
        """Check, then say what was found. Raises BadRequest, UnknownStock or NothingStored for bad input."""
        if options["sample"] is None and (options["source"] or options["seed"] is not None):
            raise CommandError(_("--source and --seed need --sample."), returncode=Exit.BAD_INPUT)
        now = timezone.now()
        request = build_request(
            Kind.REPAIR,
            start=options["start"],
            end=options["end"],
            symbols=options["symbols"],
            source="simulated" if current_origin() == Origin.SIMULATED else "auto",
            may_be_empty=True,
            now=now,
        )
        stocks = stocks_to_check(request)
        self._found: list[FindingKey] = []
        # Made first: a source that cannot be asked is bad input.
        sources = sample_sources(options["source"]) if options["sample"] else []
        self._check(request, stocks)
        if request.symbols is None:
            self._compare_with_indexes(request)
        compared = True
        if options["sample"]:
            seed = options["seed"] if options["seed"] is not None else secrets.randbelow(1_000_000)
            chosen = sample(stocks, options["sample"], seed)
            compared = self._compare(request, chosen, sources, seed)
        whole = request.symbols is None and options["start"] is None and options["end"] is None
        return self._conclude(compared=compared, everything=whole)

    def _check(self, request: TaskRequest, stocks: list[Stock]) -> None:
        bars = suspended = 0
        newest = newest_finished_day(timezone.now())
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task(_("check"), total=len(stocks))
            for checked in check_stocks(request, stocks, newest=newest):
                bars += checked.bars
                suspended += checked.taken_for_suspended
                self._list(checked.findings)
                progress.advance(bar)
        self.stdout.write(
            ngettext(
                "%(bars)s bars of %(count)s stock were checked.",
                "%(bars)s bars of %(count)s stocks were checked.",
                len(stocks),
            )
            % {"bars": f"{bars:,}", "count": f"{len(stocks):,}"}
        )
        if suspended:
            self.stdout.write(
                _(
                    "%(days)s trading days without a bar count as suspended: a source was asked for them and had none. "
                    "repair_bars asks once more."
                )
                % {"days": f"{suspended:,}"}
            )

    def _compare(self, request: TaskRequest, stocks: list[Stock], sources: list[Any], seed: int) -> bool:
        """Compare the sample; return whether at least one stock of it was compared."""
        self.stdout.write(_("Sample of %(stocks)s stocks (--seed %(seed)s):") % {"stocks": len(stocks), "seed": seed})
        done = days = 0
        for each in compare_stocks(request, stocks, sources, today=timezone.localdate()):
            if each.problem is not None:
                self.stderr.write(str(each.problem))
                continue
            done += 1
            days += each.days
            self._list(each.findings)
        self.stdout.write(
            _("%(done)s of %(stocks)s stocks were compared on %(days)s days.")
            % {"done": done, "stocks": len(stocks), "days": f"{days:,}"}
        )
        return done > 0

    def _compare_with_indexes(self, request: TaskRequest) -> None:
        """List the days whose bars do not add up to the turnover of the indexes, where these are known."""
        for figures in differing_days(request.start, request.end):
            self._found.append(("", figures.day, Rule.INDEX))
            day = figures.day.isoformat()
            self.stdout.write(f"{day}  {_(RULES[Rule.INDEX])}: {figures.index.text}")
            self.stdout.write(f"    → python manage.py repair_bars --start {day} --end {day}")

    def _list(self, findings: Iterable[Finding]) -> None:
        for each in findings:
            self._found.append((each.symbol, each.day, each.rule))
            until = f"–{each.until}" if each.until and each.until != each.day else ""
            self.stdout.write(f"{each.symbol}  {each.day}{until}  {_(RULES[each.rule])}: {each.values}")
            self.stdout.write(f"    → {each.repair}")

    def _conclude(self, *, compared: bool, everything: bool) -> int:
        new = len(note_findings(self._found, everything=everything))
        if self._found:
            counts = Counter(rule for _symbol, _day, rule in self._found)
            parts = [f"{_(RULES[rule])} {counts[rule]:,}" for rule in Rule if counts[rule]]
            self.stdout.write(
                _("Findings: %(count)s (%(rules)s).") % {"count": f"{len(self._found):,}", "rules": "; ".join(parts)}
            )
            if new < len(self._found):
                self.stdout.write(_("New since earlier checks: %(new)s.") % {"new": f"{new:,}"})
            return Exit.WITH_FAILURES
        if not compared:
            return Exit.BAD_INPUT
        self.stdout.write(_("Nothing was found."))
        return Exit.OK
