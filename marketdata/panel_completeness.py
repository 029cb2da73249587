"""Which days of a panel are not complete: counted from its rows and the stocks' summaries, in whole columns.

A day counts as in ``completeness``: a stock is missing when it is listed, not known to be suspended, and has no bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from django.db.models import Exists, F, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_noop

from marketdata import bars_table
from marketdata.bar_columns import Days, Integers, Mask
from marketdata.completeness import DayFigures, require_complete
from marketdata.exceptions import IncompleteDay
from marketdata.models import AbsentDay, Bar
from marketdata.stock_spans import StockSpans, day_number, wanted_spans
from marketdata.texts import counted, sentence
from marketdata.trading_days import FIRST_DAY, newest_finished_day, trading_days

_AND_MORE = gettext_noop(
    "%(day)s is not complete: %(figures)s; and %(more)s. Run: python manage.py repair_bars --start %(day)s "
    "--end %(last)s"
)
# The columns have a place for each calendar day: no exchange was open before, and nobody reads what is after.
_FIRST, _LAST = date(1990, 1, 1), date(2060, 1, 1)
_START, _LENGTH = day_number(_FIRST), (_LAST - _FIRST).days
# So many stocks' days are in memory at a time.
_STOCKS_AT_ONCE = 200


class PanelCount:
    """Counts the bars of some stocks by day, against what is expected of them."""

    def __init__(self, spans: StockSpans) -> None:
        self._spans = spans
        self._bars, self._present, self._present_covered = (np.zeros(_LENGTH, np.int64) for _ in range(3))

    def add(self, places: Integers, days: Days) -> None:
        """Count bars, each once: their stocks' places in the spans, and their days."""
        spans, numbers = self._spans, days.astype(np.int64)
        offsets = np.clip(numbers - _START, 0, _LENGTH - 1)
        listed = (spans.began[places] <= numbers) & (numbers < spans.ended[places])
        covered = (spans.covered_from[places] <= numbers) & (numbers <= spans.covered_until[places])
        self._bars += _count(offsets)
        self._present += _count(offsets, listed)
        self._present_covered += _count(offsets, listed & covered)

    def incomplete(self, start: date | None, end: date | None) -> list[DayFigures]:
        """Return the figures of the days on which a stock is missing, oldest first.

        Looked at are the days with a bar of any of the stocks, and those on which the exchange is known to have been
        open, from ``start`` (None: the first bar) to ``end`` (None: the last bar), but no later than the newest
        finished day.
        """
        spans = self._spans
        listed = _between(spans.began, spans.ended)
        covered = _between(
            np.maximum(spans.began, spans.covered_from), np.minimum(spans.ended, spans.covered_until + 1)
        )
        suspended = covered - self._present_covered
        missing = listed - self._present - suspended
        missing[~self._looked_at(start, end)] = 0
        if missing.any():
            absent = self._absences()
            suspended, missing = suspended + absent, np.where(missing, missing - absent, 0)
        return [
            DayFigures(_day(offset), int(self._present[offset]), int(missing[offset]), int(suspended[offset]))
            for offset in np.flatnonzero(missing)
        ]

    def _looked_at(self, start: date | None, end: date | None) -> Mask:
        looked_at = self._bars > 0
        with_bars = np.flatnonzero(looked_at)
        first = start or (_day(with_bars[0]) if len(with_bars) else None)
        last = end or (_day(with_bars[-1]) if len(with_bars) else None)
        if first is None or last is None:
            return looked_at
        last = min(last, newest_finished_day(timezone.now()))
        calendar = trading_days(max(first, FIRST_DAY), last)
        known = [day for day in calendar.days if calendar.assumed_from is None or day < calendar.assumed_from]
        looked_at[np.array([day_number(day) for day in known], np.int64) - _START] = True
        return looked_at

    def _absences(self) -> Integers:
        """Return how many listed stocks have no bar each day that a repair, but no coverage, has excused."""
        rows = (
            AbsentDay.objects.exclude(stock__covered_from__lte=F("date"), stock__covered_until__gte=F("date"))
            .exclude(Exists(Bar.objects.filter(stock=OuterRef("stock"), date=OuterRef("date"))))
            .order_by()
            .values_list("stock_id", "date")
        )
        place_of = {stock_id: place for place, stock_id in enumerate(self._spans.ids)}
        found = [(place_of[stock_id], day_number(day)) for stock_id, day in rows if stock_id in place_of]
        places, numbers = np.array(found, np.int64).reshape(-1, 2).T
        listed = (self._spans.began[places] <= numbers) & (numbers < self._spans.ended[places])
        return _count(numbers - _START, listed)


def incomplete_days(
    spans: StockSpans, start: date | None, end: date | None, places: Integers, days: Days
) -> list[DayFigures]:
    """Return the figures of a panel's incomplete days, see ``PanelCount.incomplete``, from all of its rows."""
    count = PanelCount(spans)
    count.add(places, days)
    return count.incomplete(start, end)


def require_complete_days(incomplete: Sequence[DayFigures]) -> None:
    """Raise IncompleteDay, which names the first of these days and says how many more there are, if there is one."""
    if not incomplete:
        return
    first, *others = incomplete
    if not others:
        require_complete(first)
    more = counted(len(others), "%(count)s more day is not complete", "%(count)s more days are not complete")
    days = {"day": first.day.isoformat(), "last": others[-1].day.isoformat()}
    raise IncompleteDay(_AND_MORE, figures=sentence(first.text), more=more, **days)


def require_complete_range(symbols: Sequence[str] | None, start: date | None, end: date | None) -> None:
    """Raise IncompleteDay unless all days of a range are complete among these stocks (None: all that have bars).

    Reads the keys of their bars, of some stocks at a time. Raises UnknownStock.
    """
    spans = wanted_spans(symbols)
    count, place_of = PanelCount(spans), spans.places_of_ids()
    for begin in range(0, len(spans), _STOCKS_AT_ONCE):
        ids, days = bars_table.read_panel(spans.ids[begin : begin + _STOCKS_AT_ONCE], start, end, ())
        count.add(place_of[ids], days)
    require_complete_days(count.incomplete(start, end))


def _between(began: Integers, ended: Integers) -> Integers:
    """Return for each day how many of the stocks have begun and not ended."""
    first = np.clip(began - _START, 0, _LENGTH)
    last = np.maximum(np.clip(ended - _START, 0, _LENGTH), first)
    steps = np.bincount(first, minlength=_LENGTH + 1) - np.bincount(last, minlength=_LENGTH + 1)
    counts: Integers = np.cumsum(steps)[:_LENGTH]
    return counts


def _count(offsets: Integers, which: Mask | None = None) -> Integers:
    chosen = offsets if which is None or which.all() else offsets[which]
    counts: Integers = np.bincount(chosen, minlength=_LENGTH)
    return counts


def _day(offset: int | np.int64) -> date:
    return _FIRST + timedelta(days=int(offset))
