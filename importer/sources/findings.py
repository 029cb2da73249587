"""Rows that were not stored: why, and what they held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext_noop

from importer.sources.labels import label_of
from importer.sources.rows import Rows
from marketdata.texts import Text, word

# In the order in which they are looked for: a row is listed with the first one.
REASONS = {
    "no_date": gettext_noop("its date cannot be read"),
    "future": gettext_noop("the day is not over yet"),
    "outside_range": gettext_noop("the day was not asked for"),
    "weekend": gettext_noop("the exchange is closed at weekends"),
    "closed_day": gettext_noop("the exchange was closed"),
    "not_finite": gettext_noop("a number is missing"),
    "not_positive": gettext_noop("a number is below zero, or a price is zero"),
    "no_volume": gettext_noop("there are prices or an amount, but no shares"),
    "too_large": gettext_noop("a number is too large to be true"),
    "not_whole": gettext_noop("the volume is not a whole number of shares"),
    "high_low": gettext_noop("open, high, low and close contradict one another"),
    "off_tick": gettext_noop("a price has more than two decimals"),
    "amount": gettext_noop("amount / shares is outside low..high"),
    "duplicate": gettext_noop("the day is there twice, with different values"),
}

_NOT_STORED = gettext_noop(
    "%(source)s: %(symbol)s on %(date)s was not stored, because %(reason)s "
    "(open %(open)s, high %(high)s, low %(low)s, close %(close)s, %(volume)s shares, %(amount)s yuan)."
)


@dataclass(frozen=True)
class Finding:
    """A row that was not stored. ``date`` is None when it could not be read; ``code`` is a key of REASONS.

    ``text`` is the sentence for the user, with the row's values.
    """

    date: date | None
    code: str
    text: Text


def describe(rows: Rows, at: int, code: str, *, symbol: str, source: str) -> Finding:
    """Return the finding about row ``at``."""
    values = row_values(rows, at)
    text = Text(
        _NOT_STORED, {"source": word(label_of(source)), "symbol": symbol, "reason": word(REASONS[code]), **values}
    )
    day: date | None = rows.date[at].item()
    return Finding(day, code, text)


def row_values(rows: Rows, at: int) -> dict[str, Any]:
    """Return what a row holds as values for a Text (JSON has no NaN)."""
    day = rows.date[at].item()
    numbers = {
        "open": rows.open[at],
        "high": rows.high[at],
        "low": rows.low[at],
        "close": rows.close[at],
        "volume": rows.volume[at],
        "amount": rows.amount[at],
    }
    return {"date": day.isoformat() if day else "?", **{name: _shown(float(value)) for name, value in numbers.items()}}


def _shown(value: float) -> float | int | str:
    if not math.isfinite(value):
        return str(value)
    return int(value) if value.is_integer() and abs(value) >= 1000 else value
