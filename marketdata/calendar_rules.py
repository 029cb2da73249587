"""What a published list of trading days must look like before it is believed. Pure.

A truncated answer of AKShare's calendar function gives wrong dates without an error, so the list is held against
the days that are known, and against what a Chinese exchange year looks like.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from django.utils.translation import gettext_noop

from marketdata.exceptions import BadCalendar

# The longest closure since 2006 is 11 days (Spring Festival 2020 and 2024, the autumn holidays of 2023).
MAX_GAP_DAYS = 12
# 1999 to 2026 had 237 to 246 trading days each.
MIN_DAYS_PER_YEAR, MAX_DAYS_PER_YEAR = 230, 250
# The exchange publishes whole years: the last trading day of each since 1990 fell on 28 December or later.
LAST_DAY_OF_YEAR_FROM = (12, 25)
MIN_OVERLAP = 200
MAX_CORRECTIONS = 5

_UNSORTED = gettext_noop("The list of trading days is out of order at %(day)s. It was not stored.")
_WEEKEND = gettext_noop("The list of trading days holds %(day)s, which is no weekday. It was not stored.")
_NO_OVERLAP = gettext_noop(
    "The list of trading days shares only %(days)s days with the known calendar, too few to tell whether it is right. "
    "It was not stored."
)
_CONTRADICTS = gettext_noop(
    "The list of trading days contradicts the known calendar on %(day)s: the answer was probably cut short. "
    "It was not stored."
)
_GAP = gettext_noop("The list of trading days has no day between %(day)s and %(next_day)s. It was not stored.")
_YEAR = gettext_noop("The list of trading days has %(days)s days in %(year)s, which cannot be. It was not stored.")
_CUT = gettext_noop("The list of trading days ends on %(day)s, in the middle of a year. It was not stored.")


def check_extension(
    published: Sequence[date], *, installed: Sequence[date], installed_until: date, known: Sequence[date]
) -> None:
    """Raise BadCalendar when ``published`` cannot be the exchange's list of trading days.

    ``installed`` (complete up to ``installed_until``) is beyond doubt; ``known`` is the same with what was stored
    from earlier lists, of which a later list may correct a few days.

    1. Sorted, each day once, weekdays only.
    2. From its first day to its own or the installed calendar's end it is the installed calendar, day by day, for
       at least 200 days.
    3. What comes after: no gap of more than 12 days, a plausible number of days in each year, whole years.
    4. At most five days differ from those that earlier lists published.
    """
    _check_form(published)
    _check_overlap(published, installed, installed_until)
    later = published[bisect_right(published, installed_until) :]
    if not later:
        return
    _check_gaps([installed[-1], *later])
    _check_years([*installed, *later], first_year=later[0].year)
    stored = known[bisect_right(known, installed_until) : bisect_right(known, later[-1])]
    corrected = sorted(set(later[: bisect_right(later, known[-1])]) ^ set(stored))
    if len(corrected) > MAX_CORRECTIONS:
        raise BadCalendar(_CONTRADICTS, day=str(corrected[0]))


def _check_form(published: Sequence[date]) -> None:
    for day, following in pairwise(published):
        if following <= day:
            raise BadCalendar(_UNSORTED, day=str(following))
    for day in published:
        if day.weekday() >= 5:
            raise BadCalendar(_WEEKEND, day=str(day))


def _check_overlap(published: Sequence[date], installed: Sequence[date], installed_until: date) -> None:
    shared = published[: bisect_right(published, installed_until)]
    if shared:
        end = published[-1] if published[-1] < installed_until else installed_until
        expected = installed[bisect_left(installed, shared[0]) : bisect_right(installed, end)]
        differing = set(shared) ^ set(expected)
        if differing:
            raise BadCalendar(_CONTRADICTS, day=str(min(differing)))
    if len(shared) < MIN_OVERLAP:
        raise BadCalendar(_NO_OVERLAP, days=len(shared))


def _check_gaps(days: Sequence[date]) -> None:
    for day, following in pairwise(days):
        if (following - day).days > MAX_GAP_DAYS:
            raise BadCalendar(_GAP, day=str(day), next_day=str(following))


def _check_years(days: Sequence[date], *, first_year: int) -> None:
    last = days[-1]
    if (last.month, last.day) < LAST_DAY_OF_YEAR_FROM:
        raise BadCalendar(_CUT, day=str(last))
    for year, count in Counter(day.year for day in days if day.year >= first_year).items():
        if not MIN_DAYS_PER_YEAR <= count <= MAX_DAYS_PER_YEAR:
            raise BadCalendar(_YEAR, days=count, year=str(year))
