"""Rows that were not stored: why, and what they held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext_noop

from importer.sources.labels import label_of
from importer.sources.reasons import REASONS
from importer.sources.rows import Rows
from marketdata.texts import Text, word

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
