"""Factors of stored stocks: what ``reading.py`` and ``export.py`` apply to the raw bars that they read.

Bars are read first, their factors after: an import that stores a bar in between then only moves the anchor to that
bar, and the prices before it still fit each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import NDArray

from marketdata import queries
from marketdata.adjustment import Action, Adjust, Dates, Event, Factors, Floats, Occurrence, compose, factors
from marketdata.bar_columns import PRICES
from marketdata.either_database import Row, as_date, fetch_rows
from marketdata.frame_attributes import SharedDict, SharedList
from marketdata.texts import Text

# As pandas types DataFrame.attrs.
Attributes = dict[Hashable | None, Any]

_FLAGS = {
    "not_ex_in_the_market": gettext_noop(
        "%(symbol)s: %(ex_date)s is listed as an ex-date, but the market did not go ex (the share-structure reform of "
        "2005 to 2007). Prices are not adjusted for it."
    ),
    "ex_right_without_known_action": gettext_noop(
        "%(symbol)s: ex-right without a known action on %(ex_date)s. Prices before it follow the exchange's previous "
        "close, which is rounded to a cent; volumes are not adjusted."
    ),
    "impossible_action": gettext_noop(
        "%(symbol)s: the corporate action of %(ex_date)s cannot be right and is not applied. Prices before it do not "
        "fit those after it."
    ),
    "differs_from_exchange": gettext_noop(
        "%(symbol)s: the corporate action of %(ex_date)s does not explain the exchange's previous close. Prices before "
        "it may be off."
    ),
}


@dataclass(frozen=True)
class Adjustment:
    """How bars are to be read. ``as_of``: as they were known on that day; later bars and ex-dates do not exist."""

    adjust: Adjust = Adjust.NONE
    as_of: date | None = None
    volume: bool = False

    def last_day(self, end: date | None) -> date | None:
        """Return the last day to read, where the caller asked for days up to ``end``."""
        return min((day for day in (end, self.as_of) if day is not None), default=None)


def parse_adjustment(adjust: str, as_of: date | None = None, adjust_volume: bool = False) -> Adjustment:
    """Return how bars are to be read. Raises ValueError, saying which forms there are."""
    try:
        form = Adjust(adjust)
    except ValueError:
        raise ValueError(f"adjust is {', '.join(Adjust)}, not {adjust!r}") from None
    if adjust_volume and form == Adjust.NONE:
        raise ValueError("adjust_volume has no meaning without adjust: unadjusted volumes are those of their day")
    return Adjustment(form, as_of, adjust_volume)


def load_factors(stock_ids: Sequence[int], adjustment: Adjustment, *, start: date | None = None) -> dict[int, Factors]:
    """Return the factors of each stock for bars from ``start`` on (None: for all). Read the bars before.

    The events of ``qfq`` and ``broker`` are those after ``start`` only: older ones change nothing there.
    """
    form = adjustment.adjust
    if form == Adjust.NONE:
        return {stock_id: factors((), form) for stock_id in stock_ids}
    anchors = _anchors(stock_ids, adjustment.as_of or date.max)
    occurrences = occurrences_of(stock_ids, after=None if form == Adjust.HFQ else start)
    found = {}
    for stock_id in stock_ids:
        first, newest = anchors.get(stock_id, (None, None))
        if newest is None:
            # On that day it had no first bar yet.
            first = None
        # A bar that was stored after the anchor was read must not take part.
        events = compose(occurrences.get(stock_id, ()), as_of=newest or adjustment.as_of)
        found[stock_id] = factors(events, form, first_bar=first, last_bar=newest)
    return found


def occurrences_of(stock_ids: Sequence[int], *, after: date | None = None) -> dict[int, list[Occurrence]]:
    """Return each stock's actions with an ex-date after ``after`` (None: all) between their bars, by ex-date."""
    rows = fetch_rows(
        queries.READ_OCCURRENCES_SQLITE,
        queries.READ_OCCURRENCES_POSTGRESQL,
        [stock_ids, after or date.min],
    )
    return {
        stock_id: [_occurrence(row) for row in of_stock] for stock_id, of_stock in groupby(rows, key=lambda row: row[0])
    }


class PanelFactors:
    """The factors of several stocks, applied to rows of all of them at once."""

    # A day number needs 22 bits up to the year 9999; the rest of 64 is for the stock's place.
    _SHIFT = 22

    def __init__(self, of_stocks: Sequence[Factors]) -> None:
        """``of_stocks``: one for each place that ``prices`` and ``volumes`` are asked about."""
        keys = [
            (place << self._SHIFT) + np.concatenate(([0], each.starts.astype(np.int64)))
            for place, each in enumerate(of_stocks)
        ]
        self._keys = np.concatenate(keys) if keys else np.empty(0, np.int64)
        self._scale = _joined([each.scale for each in of_stocks])
        self._shift = _joined([each.shift for each in of_stocks])
        self._volume_scale = _joined([each.volume_scale for each in of_stocks])

    def segments(self, places: NDArray[np.int64], days: Dates) -> NDArray[np.intp]:
        """Return for each row which pair of numbers applies."""
        rows = (places << self._SHIFT) + days.astype("datetime64[D]").astype(np.int64)
        return np.searchsorted(self._keys, rows, side="right") - 1

    def adjusted(
        self,
        places: NDArray[np.int64],
        days: Dates,
        columns: Mapping[str, NDArray[Any]],
        *,
        volume: bool,
    ) -> dict[str, NDArray[Any]]:
        """Return ``columns`` (by the names of a bar's values) with prices, and volumes if asked, adjusted.

        An adjusted volume is float64; amounts are never adjusted: they were paid.
        """
        at = self.segments(places, days)
        found = dict(columns)
        for name in PRICES:
            if name in found:
                found[name] = found[name] * self._scale[at] + self._shift[at]
        if volume and "volume" in found:
            found["volume"] = found["volume"] * self._volume_scale[at]
        return found


def attributes(symbols: Sequence[str], of_stocks: Sequence[Factors], adjustment: Adjustment) -> Attributes:
    """Return what a frame says about its prices (``DataFrame.attrs``; plain values, as Parquet can keep them).

    ``adjust``, and ``as_of`` if given. For adjusted prices ``anchor``: the day whose prices stay as traded, or a
    mapping from symbol to day where stocks have different ones; ``adjust_volume``: true where volumes are adjusted,
    too; ``flags``: what a reader has to know, a list of ``symbol``, ``ex_date``, ``flag`` (put into words by
    ``flag_texts``).
    """
    said: Attributes = {"adjust": adjustment.adjust.value}
    if adjustment.as_of:
        said["as_of"] = adjustment.as_of.isoformat()
    if adjustment.adjust == Adjust.NONE:
        return said
    if adjustment.volume:
        said["adjust_volume"] = True
    anchors = SharedDict({symbol: _iso(each.anchor) for symbol, each in zip(symbols, of_stocks, strict=True)})
    days = set(anchors.values())
    said["anchor"] = days.pop() if len(days) == 1 else anchors or None
    said["flags"] = SharedList(
        {"symbol": symbol, "ex_date": event.action.ex_date.isoformat(), "flag": event.flag}
        for symbol, each in zip(symbols, of_stocks, strict=True)
        for event in each.flags
    )
    return said


def flag_texts(flags: Sequence[Mapping[str, str]]) -> list[Text]:
    """Return the ``flags`` of a frame's attrs as sentences."""
    return [Text(_FLAGS[each["flag"]], {"symbol": each["symbol"], "ex_date": each["ex_date"]}) for each in flags]


def event_flag_text(symbol: str, event: Event) -> Text | None:
    """Return what a reader of adjusted prices has to know about an event; None if nothing."""
    values = {"symbol": symbol, "ex_date": event.action.ex_date.isoformat()}
    return Text(_FLAGS[event.flag], values) if event.flag else None


def _anchors(stock_ids: Sequence[int], as_of: date) -> dict[int, tuple[date | None, date | None]]:
    """Return each stock's first bar, and its newest one not after ``as_of``."""
    rows = fetch_rows(queries.READ_ANCHORS_SQLITE, queries.READ_ANCHORS_POSTGRESQL, [as_of, stock_ids])
    return {stock_id: (as_date(first), as_date(newest)) for stock_id, first, newest in rows}


def _occurrence(row: Row) -> Occurrence:
    _stock, ex_date, cash, new, rights, price, published, prev_date, prev_close, next_date, next_open = row
    day = as_date(ex_date)
    if day is None:
        raise ValueError("an action without an ex-date")
    action = Action(day, cash, new, rights, price, published)
    return Occurrence(action, as_date(prev_date), prev_close, as_date(next_date), next_open)


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.empty(0)
