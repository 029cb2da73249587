"""What an exchange's index says about a day: that the exchange traded, and how much in all. Pure.

The composite index of Shanghai (上证指数) and that of Shenzhen (深证综指) count every A and B share of their exchange,
so that its turnover is the sum of theirs, but for the B shares, which are not stored, and for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from django.utils.translation import gettext_noop

from marketdata.texts import Text, sentence, sentences, word

# By exchange, written as symbols are; Beijing has an index of some of its stocks only.
INDEX_OF = {"SH": "000001.SH", "SZ": "399106.SZ"}
# B shares are less than 1 % of the turnover, and sources round it to seven digits.
TOLERANCE = 0.02

_NAMES = {"SH": gettext_noop("Shanghai"), "SZ": gettext_noop("Shenzhen")}
_DIFFERS = gettext_noop("%(exchange)s: the stocks' turnover is %(of_stocks)s, the index's is %(of_index)s")
_YUAN = gettext_noop("%(number)s hundred million yuan")
_HUNDRED_MILLION = 1e8


class IndexAnswer(StrEnum):
    """What the indexes say about the stored bars of a day."""

    AGREES = "agrees"  # each index that is known has the turnover of its exchange's bars
    DIFFERS = "differs"  # at least one has another one: bars are missing, or wrong
    UNKNOWN = "unknown"  # no index was fetched of this day, or it cannot be compared: that proves nothing


@dataclass(frozen=True)
class IndexDayBar:
    """A day of an index as a source delivers it: ``close`` in points, ``amount`` (turnover) in yuan."""

    day: date
    close: float
    amount: float


@dataclass(frozen=True)
class Turnover:
    """What an exchange turned over in a day, in yuan: by its index, and by the bars that are stored."""

    exchange: str
    of_index: float
    of_stocks: float

    @property
    def differs(self) -> bool:
        return abs(self.of_index - self.of_stocks) > TOLERANCE * self.of_index

    @property
    def text(self) -> Text:
        return Text(
            _DIFFERS,
            {
                "exchange": word(_NAMES[self.exchange]),
                "of_stocks": sentence(_yuan(self.of_stocks)),
                "of_index": sentence(_yuan(self.of_index)),
            },
        )


@dataclass(frozen=True)
class IndexVerdict:
    """The exchanges whose index is known, compared; none is an answer, too: nothing is known."""

    turnovers: tuple[Turnover, ...] = ()

    @property
    def answer(self) -> IndexAnswer:
        if not self.turnovers:
            return IndexAnswer.UNKNOWN
        return IndexAnswer.DIFFERS if self.differing else IndexAnswer.AGREES

    @property
    def differing(self) -> tuple[Turnover, ...]:
        return tuple(each for each in self.turnovers if each.differs)

    @property
    def text(self) -> Text:
        """Say which exchanges differ, and by how much."""
        return Text("%(differing)s", {"differing": sentences([each.text for each in self.differing])})


NOTHING_KNOWN = IndexVerdict()


def compare(of_indexes: Mapping[str, float], of_stocks: Mapping[str, float]) -> IndexVerdict:
    """Compare turnovers in yuan: ``of_indexes`` by index, ``of_stocks`` by exchange (none stored: left out).

    An index without a turnover says nothing: some sources leave it out for old days.
    """
    return IndexVerdict(
        tuple(
            Turnover(exchange, of_indexes[index], of_stocks.get(exchange, 0.0))
            for exchange, index in INDEX_OF.items()
            if of_indexes.get(index, 0.0) > 0
        )
    )


def _yuan(amount: float) -> Text:
    number = amount / _HUNDRED_MILLION
    return Text(_YUAN, {"number": f"{number:,.0f}" if number >= 100 else f"{number:,.2f}"})
