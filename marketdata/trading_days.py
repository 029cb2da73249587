"""The exchange's calendar: which days it is open, which day's bars are final, and what is only assumed.

Known days are those of ``exchange_calendars`` (XSHG, recorded to the end of 2026 in version 4.13) and, after them,
the TradingDay rows that ``extend_calendar`` stored. Past the last known day every weekday is assumed to be open;
what rests on an assumed day says so.

Days are exchange dates. ``now`` is aware; a day's bar is final from 16:00 Asia/Shanghai on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

from django.db import transaction

from marketdata.calendar_rules import check_extension
from marketdata.models import TradingDay

EXCHANGE_TIME = ZoneInfo("Asia/Shanghai")
FINAL_FROM = time(16, 0)
# The Shanghai Stock Exchange opened on this day; exchange_calendars begins sixteen days before it.
FIRST_DAY = date(1990, 12, 19)


@dataclass(frozen=True)
class TradingDays:
    """``days`` in order; those from ``assumed_from`` on are weekdays past the last known day (None: all known)."""

    days: tuple[date, ...]
    assumed_from: date | None = None


@dataclass(frozen=True)
class Calendar:
    """Open days as far as they are known: ``days`` sorted, complete up to and including ``known_until``."""

    days: tuple[date, ...]
    known_until: date

    @cached_property
    def _open(self) -> frozenset[date]:
        return frozenset(self.days)

    def is_open(self, day: date) -> bool:
        """Say whether the exchange is open on ``day``: known, or assumed when past ``known_until``."""
        return _is_weekday(day) if day > self.known_until else day in self._open

    def is_assumed(self, day: date) -> bool:
        """Say whether what ``is_open`` answers for ``day`` is only assumed."""
        return day > self.known_until

    def between(self, start: date, end: date) -> TradingDays:
        """Return the open days with start <= day <= end."""
        known = self.days[bisect_left(self.days, start) : bisect_right(self.days, end)]
        assumed = _weekdays(max(start, self.known_until + timedelta(days=1)), end)
        return TradingDays((*known, *assumed), assumed[0] if assumed else None)

    def next_after(self, day: date) -> date:
        """Return the first open day after ``day``."""
        place = bisect_right(self.days, day)
        if place < len(self.days):
            return self.days[place]
        day = max(day, self.known_until) + timedelta(days=1)
        while not _is_weekday(day):
            day += timedelta(days=1)
        return day

    def last_before(self, day: date) -> date | None:
        """Return the last open day before ``day``; None when there is none."""
        candidate = day - timedelta(days=1)
        while candidate > self.known_until:
            if _is_weekday(candidate):
                return candidate
            candidate -= timedelta(days=1)
        place = bisect_left(self.days, day)
        return self.days[place - 1] if place else None

    def extended(self, days: Sequence[date]) -> Calendar:
        """Return this calendar with the days after ``known_until`` among ``days``, which are sorted, added."""
        later = days[bisect_right(days, self.known_until) :]
        return Calendar((*self.days, *later), later[-1]) if later else self


@lru_cache(maxsize=1)
def installed_calendar() -> Calendar:
    """Return the calendar of the installed ``exchange_calendars``, read once per process.

    The first call imports pandas, unless something else has (0.3 to 0.5 s), and exchange_calendars (0.07 s).
    """
    from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar

    # The class knows its holidays; making a calendar of it would also work out opening minutes, in a way that
    # pandas 3.1 warns about.
    known_until = XSHGExchangeCalendar.bound_max().date()
    holidays = {holiday.date() for holiday in XSHGExchangeCalendar.precomputed_holidays()}
    return Calendar(tuple(day for day in _weekdays(FIRST_DAY, known_until) if day not in holidays), known_until)


def known_calendar() -> Calendar:
    """Return the installed calendar extended by what is stored: one small query.

    Take it once for many questions; the functions below are for single ones.
    """
    installed = installed_calendar()
    stored = TradingDay.objects.filter(date__gt=installed.known_until).order_by("date")
    return installed.extended(list(stored.values_list("date", flat=True)))


def _calendar_for(day: date) -> Calendar:
    """Return a calendar that is right up to ``day``, without a query when the installed one reaches that far."""
    installed = installed_calendar()
    return installed if day <= installed.known_until else known_calendar()


def trading_days(start: date, end: date) -> TradingDays:
    """Return the open days with start <= day <= end, and from which one on they are only assumed."""
    return _calendar_for(end).between(start, end)


def is_trading_day(day: date) -> bool:
    """Say whether the exchange is open on ``day`` (assumed for weekdays past the last known day)."""
    return _calendar_for(day).is_open(day)


def next_trading_day(day: date) -> date:
    """Return the first open day after ``day``."""
    installed = installed_calendar()
    # Of a day near the end of the installed calendar the next one may be among the stored days.
    return (installed if day < installed.days[-1] else known_calendar()).next_after(day)


def previous_trading_day(day: date) -> date | None:
    """Return the last open day before ``day``; None when the exchange had not opened yet."""
    return _calendar_for(day).last_before(day)


def last_known_day() -> date:
    """Return the day up to which open and closed days are known."""
    return known_calendar().known_until


def is_assumed(day: date) -> bool:
    """Say whether it is only assumed that the exchange is open or closed on ``day``."""
    return _calendar_for(day).is_assumed(day)


def is_final(day: date, now: datetime) -> bool:
    """Say whether the bar of ``day`` can no longer change at ``now``: from 16:00 exchange time of that day on."""
    return _exchange_time(now) >= datetime.combine(day, FINAL_FROM, EXCHANGE_TIME)


def newest_finished_day(now: datetime) -> date:
    """Return the newest trading day whose bars are final at ``now``."""
    today = _exchange_time(now).date()
    calendar = _calendar_for(today)
    if calendar.is_open(today) and is_final(today, now):
        return today
    day = calendar.last_before(today)
    if day is None:
        raise ValueError(f"the exchange had not opened yet on {today}")
    return day


def extend_calendar(days: Iterable[date]) -> int:
    """Store the published trading days that the installed calendar does not know; return how many are new.

    1. ``days`` is a whole published list, from the past to its end. It is checked: see ``check_extension``.
    2. Days after the installed calendar's end replace the stored ones up to the list's end: the exchange has
       closed on days that it had published as open (2020-01-31).
    Raises BadCalendar and stores nothing when the list cannot be right.
    """
    published = list(days)
    installed = installed_calendar()
    with transaction.atomic():
        known = known_calendar()
        check_extension(published, installed=installed.days, installed_until=installed.known_until, known=known.days)
        later = published[bisect_right(published, installed.known_until) :]
        if not later:
            return 0
        TradingDay.objects.filter(date__gt=installed.known_until, date__lte=later[-1]).exclude(date__in=later).delete()
        TradingDay.objects.bulk_create([TradingDay(date=day) for day in later], ignore_conflicts=True)
        return len(set(later) - set(known.days))


def _exchange_time(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("a naive time says nothing about the exchange's day")
    return now.astimezone(EXCHANGE_TIME)


def _is_weekday(day: date) -> bool:
    return day.weekday() < 5


def _weekdays(start: date, end: date) -> list[date]:
    days = (start + timedelta(days=number) for number in range((end - start).days + 1))
    return [day for day in days if _is_weekday(day)]
