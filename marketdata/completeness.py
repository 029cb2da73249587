"""A day's certificate: which stocks should have a bar that day, which have one, and of which none is expected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from marketdata.bar_columns import Integers
from marketdata.exceptions import IncompleteDay
from marketdata.market_index import NOTHING_KNOWN, IndexAnswer, IndexVerdict
from marketdata.models import AbsentDay, Bar, Stock
from marketdata.stock_spans import StockSpans, day_number
from marketdata.texts import Text, sentence
from marketdata.trading_days import is_trading_day, newest_finished_day

_NONE_SUSPENDED = gettext_noop("%(expected)s expected, %(present)s there, %(missing)s missing")
_TEXT = gettext_noop("%(expected)s expected, %(present)s there, %(missing)s missing; %(suspended)s suspended besides")
_WITH_INDEX = gettext_noop("%(figures)s. %(differing)s")

_NOTHING = gettext_noop(
    "No bar is expected of %(day)s: the exchange was closed, the day is not over yet, or nothing is stored."
)

_INDEX_DIFFERS = gettext_noop(
    "%(day)s is not complete although no stock seems to be missing. %(differing)s. Run: python manage.py repair_bars "
    "--start %(day)s --end %(day)s"
)


@dataclass(frozen=True)
class DayFigures:
    """How many stocks have their bar of ``day``; how many lack it, listed and not known to be suspended; how many
    are suspended. ``index``: what the exchanges' indexes say, see ``index_days``; what is not known says nothing."""

    day: date
    present: int
    missing: int
    suspended: int
    index: IndexVerdict = NOTHING_KNOWN

    @property
    def expected(self) -> int:
        return self.present + self.missing

    @property
    def is_complete(self) -> bool:
        return self.present > 0 and not self.missing and self.index.answer != IndexAnswer.DIFFERS

    @property
    def text(self) -> Text:
        # With nobody expected, to count the suspended would say that there was trading.
        if not self.expected:
            return Text(_NOTHING, {"day": self.day.isoformat()})
        return Text(
            _TEXT if self.suspended else _NONE_SUSPENDED,
            {
                "expected": self.expected,
                "present": self.present,
                "missing": self.missing,
                "suspended": self.suspended,
            },
        )

    @property
    def full_text(self) -> Text:
        """The same, with what the indexes say where they differ."""
        if self.index.answer != IndexAnswer.DIFFERS:
            return self.text
        return Text(_WITH_INDEX, {"figures": sentence(self.text), "differing": sentence(self.index.text)})


@dataclass(frozen=True)
class Completeness:
    """``missing``: symbols of stocks that are listed, not known to be suspended, and have no bar of the day."""

    figures: DayFigures
    missing: tuple[str, ...]


def day_completeness(day: date) -> Completeness:
    """Return what there is of ``day`` among the stocks that have bars at all; seeks each stock's key once.

    A stock counts from its listing, or its first bar where that is not known, until the day before it is delisted.
    It is suspended on a day without a bar that a source was asked for and answered (its coverage), or that a repair
    has confirmed. Of a day without any bar on which the exchange was closed, or which is not over, none is expected.
    """
    rows = _listed(day).order_by("symbol")
    has_bar = Exists(Bar.objects.filter(stock=OuterRef("pk"), date=day))
    return _completeness(day, rows.values_list("symbol", has_bar, ExpressionWrapper(_excused(day), BooleanField())))


def completeness_among(day: date, spans: StockSpans, with_bar: Integers) -> DayFigures:
    """Return the same of these stocks alone, for a reader who knows already which of them have their bar.

    ``with_bar``: their places in ``spans``. The database is asked only about stocks that seem to be missing.
    """
    number = day_number(day)
    listed = spans.listed(number)
    traded = np.zeros(len(spans), np.bool_)
    traded[with_bar] = True
    lacking = listed & ~traded
    missing = lacking & ~spans.covered(number)
    if missing.any():
        absent = AbsentDay.objects.filter(date=day).order_by().values_list("stock_id", flat=True)
        missing &= ~np.isin(spans.ids, list(absent))
    present, lost, suspended = (int(np.count_nonzero(mask)) for mask in (listed & traded, missing, lacking & ~missing))
    return _expected(DayFigures(day, present, lost, suspended))


def newest_figures(day: date) -> DayFigures:
    """Return the figures of the newest finished day from the stocks' summaries alone, in one query.

    ``day`` must not have a later one with bars: then a stock's last bar says whether it has that day's.
    """
    has_bar = Q(last_bar__gte=day)
    counts = _listed(day).aggregate(
        listed=Count("pk"),
        present=Count("pk", filter=has_bar),
        suspended=Count("pk", filter=~has_bar & _excused(day)),
    )
    present, suspended = counts["present"], counts["suspended"]
    return DayFigures(day, present, counts["listed"] - present - suspended, suspended)


def require_complete(figures: DayFigures) -> None:
    """Raise IncompleteDay, which says what is missing and what to run, unless the day is complete."""
    if figures.is_complete:
        return
    day = figures.day.isoformat()
    if not figures.expected:
        raise IncompleteDay(figures.text.msgid, **figures.text.values)
    if figures.index.answer == IndexAnswer.DIFFERS:
        raise IncompleteDay(_INDEX_DIFFERS, day=day, differing=sentence(figures.index.text))
    raise IncompleteDay(day=day, figures=sentence(figures.text))


def _listed(day: date) -> QuerySet[Stock]:
    began = Q(listed_on__lte=day) | Q(listed_on=None, first_bar__lte=day)
    return Stock.objects.filter(began, bar_count__gt=0).filter(Q(delisted_on=None) | Q(delisted_on__gt=day))


def _excused(day: date) -> Q:
    """The stocks of which no bar is expected unless they have one."""
    is_absent = Exists(AbsentDay.objects.filter(stock=OuterRef("pk"), date=day))
    return Q(covered_from__isnull=False, covered_from__lte=day, covered_until__gte=day) | Q(is_absent)


def _completeness(day: date, rows: Iterable[tuple[str, bool, bool]]) -> Completeness:
    """``rows``: symbol, whether there is a bar, whether none is expected."""
    present = suspended = 0
    missing = []
    for symbol, has_bar, excused in rows:
        if has_bar:
            present += 1
        elif excused:
            suspended += 1
        else:
            missing.append(symbol)
    figures = DayFigures(day, present, len(missing), suspended)
    expected = _expected(figures)
    return Completeness(expected, tuple(missing) if expected is figures else ())


def _expected(figures: DayFigures) -> DayFigures:
    """Return the figures, or those of a day of which no bar is expected: nobody lacks one of a Sunday, or of tomorrow.

    A bar tells that somebody traded: in its first years Shenzhen did not always close when Shanghai did.
    """
    day = figures.day
    if figures.present or (is_trading_day(day) and day <= newest_finished_day(timezone.now())):
        return figures
    return DayFigures(day, present=0, missing=0, suspended=0)
