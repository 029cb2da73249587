"""A day's certificate: which stocks should have a bar that day, which have one, and of which none is expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_noop

from marketdata.models import AbsentDay, Bar, Stock
from marketdata.texts import Text

_TEXT = gettext_noop("%(expected)s expected, %(present)s there, %(missing)s missing; %(suspended)s suspended besides")


@dataclass(frozen=True)
class Completeness:
    """``missing``: symbols of stocks that are listed, not known to be suspended, and have no bar of ``day``."""

    day: date
    present: int
    suspended: int
    missing: tuple[str, ...]

    @property
    def expected(self) -> int:
        return self.present + len(self.missing)

    @property
    def is_complete(self) -> bool:
        return self.present > 0 and not self.missing

    @property
    def text(self) -> Text:
        return Text(
            _TEXT,
            {
                "expected": f"{self.expected:,}",
                "present": f"{self.present:,}",
                "missing": f"{len(self.missing):,}",
                "suspended": f"{self.suspended:,}",
            },
        )


def day_completeness(day: date) -> Completeness:
    """Return what there is of ``day`` among the stocks that have bars at all; seeks each stock's key once.

    A stock counts from its listing, or its first bar where that is not known, until the day before it is delisted.
    It is suspended on a day without a bar that a source was asked for and answered (its coverage), or that a repair
    has confirmed.
    """
    began = Q(listed_on__lte=day) | Q(listed_on=None, first_bar__lte=day)
    listed = Stock.objects.filter(began, bar_count__gt=0).filter(Q(delisted_on=None) | Q(delisted_on__gt=day))
    rows = listed.order_by("symbol").values_list(
        "symbol",
        Exists(Bar.objects.filter(stock=OuterRef("pk"), date=day)),
        Exists(AbsentDay.objects.filter(stock=OuterRef("pk"), date=day)),
        "covered_from",
        "covered_until",
    )
    present = suspended = 0
    missing = []
    for symbol, has_bar, is_absent, covered_from, covered_until in rows:
        if has_bar:
            present += 1
        elif is_absent or (covered_from is not None and covered_from <= day <= covered_until):
            suspended += 1
        else:
            missing.append(symbol)
    return Completeness(day, present, suspended, tuple(missing))
