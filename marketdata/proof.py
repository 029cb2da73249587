"""Proof of a stock's adjusted prices: each ex-date with its facts, our step, and what others published."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby, pairwise
from pathlib import Path

from django.utils.translation import gettext_noop

from marketdata.adjusted import event_flag_text, occurrences_of
from marketdata.adjustment import Event, Status, compose, round_half_up
from marketdata.exceptions import MarketDataError, UnknownStock
from marketdata.models import Stock
from marketdata.recoding import current_symbol
from marketdata.symbols import parse_symbol
from marketdata.texts import Text

# Beyond a thousandth it is no rounding: facts are wrong, or missing.
TOLERANCE = 0.001

_STATUS = {
    Status.APPLIED: gettext_noop("applied"),
    Status.WAITS: gettext_noop("waits for its ex-date"),
    Status.BEFORE_FIRST_BAR: gettext_noop("before the first bar"),
    Status.NO_EFFECT: gettext_noop("explained already"),
    Status.NOT_EX: gettext_noop("the market did not go ex"),
    Status.UNKNOWN_ACTION: gettext_noop("ex-right without a known action"),
    Status.IMPOSSIBLE: gettext_noop("cannot be right, not applied"),
}
_NO_FACTORS = gettext_noop(
    "%(path)s is not a table of factors (%(detail)s). It must be a CSV file with the columns date and factor: the "
    "后复权 factor that applies from that date on."
)


class BadFactorFile(MarketDataError):
    """A vendor's factors that cannot be read."""

    code = "bad_factor_file"


@dataclass(frozen=True)
class ProofRow:
    """One ex-date. Prices in yuan; ``difference`` is relative, the largest against those who published something.

    ``previous_close``: the exchange's own, compared with our theoretical price rounded to a cent, as the exchange
    does. ``vendor_step``: compared with our step.
    """

    symbol: str
    event: Event
    vendor_step: float | None = None

    @property
    def ex_date(self) -> date:
        return self.event.action.ex_date

    @property
    def previous_close(self) -> float | None:
        return self.event.action.previous_close

    @property
    def theoretical(self) -> float | None:
        """The price from which we reckon: the theoretical one if the action counts, else the plain close."""
        return self.event.theoretical if self.event.counts else self.event.reference

    @property
    def difference(self) -> float | None:
        found = []
        if self.previous_close and self.theoretical and self.event.status != Status.WAITS:
            found.append(self.previous_close / round_half_up(self.theoretical) - 1.0)
        if self.vendor_step:
            found.append(self.vendor_step / self.event.step - 1.0)
        return max(found, key=abs, default=None)

    @property
    def is_flagged(self) -> bool:
        """Whether someone differs by more than 0.1 %, or the facts are unknown or impossible."""
        in_doubt = self.event.status in (Status.UNKNOWN_ACTION, Status.IMPOSSIBLE)
        return in_doubt or (self.difference is not None and abs(self.difference) > TOLERANCE)

    @property
    def status(self) -> Text:
        return Text(_STATUS[self.event.status])

    @property
    def note(self) -> Text | None:
        """What a reader of adjusted prices has to know about this ex-date; None if nothing."""
        return event_flag_text(self.symbol, self.event)


@dataclass(frozen=True)
class Proof:
    """All ex-dates of one stock; ``vendor_only``: the vendor's steps on days that are no ex-date here."""

    symbol: str
    first_bar: date | None
    last_bar: date | None
    rows: tuple[ProofRow, ...]
    vendor_only: Mapping[date, float]

    @property
    def flagged_count(self) -> int:
        return sum(row.is_flagged for row in self.rows) + len(self.vendor_only)


def prove(symbol: str, *, vendor_steps: Mapping[date, float] | None = None) -> Proof:
    """Return the proof of a stored stock. ``vendor_steps``: another's step (at least 1 as a rule) by ex-date.

    Raises BadSymbol, and UnknownStock when the stock is not in the database.
    """
    canonical = current_symbol(parse_symbol(symbol))
    stock = Stock.objects.filter(symbol=canonical).values_list("id", "first_bar", "last_bar").first()
    if stock is None:
        raise UnknownStock(symbol=canonical)
    stock_id, first_bar, last_bar = stock
    events = compose(occurrences_of([stock_id]).get(stock_id, ()))
    return proof_of(canonical, events, first_bar=first_bar, last_bar=last_bar, vendor_steps=vendor_steps or {})


def proof_of(
    symbol: str,
    events: Iterable[Event],
    *,
    first_bar: date | None,
    last_bar: date | None,
    vendor_steps: Mapping[date, float],
) -> Proof:
    """Return the proof of events that are at hand; see ``prove``. Pure."""
    decided = list(events)
    compared = _vendor_steps_of(decided, vendor_steps)
    rows = tuple(ProofRow(symbol, event, compared.get(event.action.ex_date)) for event in decided)
    ours = {day for event in decided for day in (event.action.ex_date, event.applies_on)}
    strangers = {
        day: step
        for day, step in sorted(vendor_steps.items())
        if day not in ours and first_bar and last_bar and first_bar < day <= last_bar
    }
    return Proof(symbol, first_bar, last_bar, rows, strangers)


def _vendor_steps_of(events: Sequence[Event], vendor_steps: Mapping[date, float]) -> dict[date, float]:
    """Return by ex-date what the vendor says to our step; 1 where he has none between his first and last.

    Of several ex-dates before one bar he may publish the product on any of them: the last one takes the comparison.
    """
    found: dict[date, float] = {}
    if not vendor_steps:
        return found
    first, last = min(vendor_steps), max(vendor_steps)
    decided = [event for event in events if event.applies_on and event.reference]
    for applies_on, together in groupby(decided, key=lambda event: event.applies_on):
        *before, final = together
        days = {event.action.ex_date for event in (*before, final)} | {applies_on}
        theirs = math.prod(vendor_steps.get(day, 1.0) for day in days if day)
        if first <= final.action.ex_date <= last:
            found[final.action.ex_date] = theirs / math.prod(event.step for event in before)
    return found


def steps_from_factors(factors: Mapping[date, float]) -> dict[date, float]:
    """Return the step of each date from 后复权 factors that apply from their date on; the oldest has none."""
    days = sorted(factors)
    steps = {day: factors[day] / factors[before] for before, day in pairwise(days)}
    return {day: step for day, step in steps.items() if step != 1.0}


def read_factors(path: Path) -> dict[date, float]:
    """Return a vendor's 后复权 factors from a CSV file with the columns date and factor. Raises BadFactorFile."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = {date.fromisoformat(row["date"]): float(row["factor"]) for row in csv.DictReader(file)}
    except OSError as error:
        raise BadFactorFile(_NO_FACTORS, path=str(path), detail=error.strerror or str(error)) from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise BadFactorFile(_NO_FACTORS, path=str(path), detail=str(error)) from error
    smallest = min(found.values(), default=math.nan)
    if not smallest > 0:
        raise BadFactorFile(_NO_FACTORS, path=str(path), detail=f"factor {smallest:g}")
    return found
