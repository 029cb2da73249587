from __future__ import annotations

import subprocess
import sys
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar
from hypothesis import given
from hypothesis import strategies as st

from marketdata import trading_days as td
from marketdata.models import TradingDay
from marketdata.trading_days import Calendar, installed_calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")
# Friday, Monday, Tuesday; what follows is not known.
SMALL = Calendar((date(2026, 12, 25), date(2026, 12, 28), date(2026, 12, 29)), date(2026, 12, 30))


def weekdays_of(year: int) -> list[date]:
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    return [day for day in days if day.year == year and day.weekday() < 5]


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=SHANGHAI)


def test_the_installed_calendar_has_every_day_of_the_real_index(real_data: Path) -> None:
    records = np.fromfile(real_data / "vipdoc/sh/lday/sh000001.day", dtype="<u4").reshape(-1, 8)
    index_days = [date(int(day) // 10000, int(day) // 100 % 100, int(day) % 100) for day in records[:, 0]]
    found = installed_calendar().between(date(1990, 1, 1), index_days[-1])
    assert list(found.days) == index_days
    assert found.assumed_from is None


def test_the_installed_calendar_is_the_one_that_exchange_calendars_makes_of_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = XSHGExchangeCalendar(start="1990-12-19", end=XSHGExchangeCalendar.bound_max())
    assert [session.date() for session in made.sessions] == list(installed_calendar().days)


def test_a_known_holiday_is_closed_and_a_known_session_open() -> None:
    calendar = installed_calendar()
    assert not calendar.is_open(date(2024, 10, 1))
    assert not calendar.is_open(date(2024, 9, 29))  # a Sunday on which offices worked and the exchange did not
    assert calendar.is_open(date(2024, 10, 8))
    assert not calendar.is_assumed(date(2024, 10, 8))


def test_the_exchange_was_closed_before_it_was_founded() -> None:
    assert td.trading_days(date(1980, 1, 1), date(1990, 12, 19)).days == (date(1990, 12, 19),)
    assert td.previous_trading_day(date(1990, 12, 19)) is None


def test_a_range_without_an_open_day_is_empty() -> None:
    assert SMALL.between(date(2026, 12, 26), date(2026, 12, 27)).days == ()
    assert SMALL.between(date(2026, 12, 29), date(2026, 12, 25)).days == ()


def test_past_the_last_known_day_weekdays_are_assumed_and_the_answer_says_so() -> None:
    found = SMALL.between(date(2026, 12, 28), date(2027, 1, 4))
    assert found.days == (
        date(2026, 12, 28),
        date(2026, 12, 29),
        date(2026, 12, 31),
        date(2027, 1, 1),
        date(2027, 1, 4),
    )
    assert found.assumed_from == date(2026, 12, 31)
    assert SMALL.is_assumed(date(2026, 12, 31))
    assert not SMALL.is_open(date(2027, 1, 2))


def test_a_range_that_ends_on_the_last_known_day_rests_on_no_assumption() -> None:
    assert SMALL.between(date(2026, 12, 25), SMALL.known_until).assumed_from is None


def test_the_next_and_the_last_open_day_cross_the_end_of_what_is_known() -> None:
    assert SMALL.next_after(date(2026, 12, 25)) == date(2026, 12, 28)
    assert SMALL.next_after(date(2026, 12, 29)) == date(2026, 12, 31)
    assert SMALL.next_after(date(2027, 1, 1)) == date(2027, 1, 4)
    assert SMALL.last_before(date(2027, 1, 4)) == date(2027, 1, 1)
    assert SMALL.last_before(date(2026, 12, 31)) == date(2026, 12, 29)
    assert SMALL.last_before(date(2026, 12, 28)) == date(2026, 12, 25)


@given(st.dates(date(1991, 1, 1), date(2029, 12, 31)))
def test_next_and_last_are_the_neighbours_in_the_list_of_days(day: date) -> None:
    calendar = installed_calendar()
    around = calendar.between(day - timedelta(days=40), day + timedelta(days=40)).days
    assert calendar.next_after(day) == min(other for other in around if other > day)
    assert calendar.last_before(day) == max(other for other in around if other < day)
    assert calendar.is_open(day) == (day in around)


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (at(date(2024, 12, 25), 15, 59), date(2024, 12, 24)),
        (at(date(2024, 12, 25), 16, 0), date(2024, 12, 25)),
        (at(date(2024, 12, 28), 18, 0), date(2024, 12, 27)),  # a Saturday
        (at(date(2024, 10, 4), 18, 0), date(2024, 9, 30)),  # a holiday
        (datetime(2024, 12, 25, 7, 59, tzinfo=UTC), date(2024, 12, 24)),
        (datetime(2024, 12, 25, 8, 0, tzinfo=UTC), date(2024, 12, 25)),
        (datetime(2024, 12, 25, 17, 0, tzinfo=UTC), date(2024, 12, 25)),  # 01:00 of the 26th in Shanghai
    ],
)
def test_a_day_is_finished_from_four_in_the_afternoon_exchange_time(now: datetime, newest: date) -> None:
    assert td.newest_finished_day(now) == newest
    assert td.is_final(newest, now)


def test_the_bar_of_a_day_to_come_is_not_final() -> None:
    assert not td.is_final(date(2024, 12, 26), at(date(2024, 12, 25), 23, 59))


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        td.newest_finished_day(datetime(2024, 12, 25, 16, 0))


@pytest.mark.django_db
def test_stored_days_extend_the_calendar_and_closed_days_among_them_are_known() -> None:
    installed = installed_calendar()
    assert td.last_known_day() == installed.known_until
    year = installed.known_until.year + 1
    open_days = weekdays_of(year)[3:]
    TradingDay.objects.bulk_create(TradingDay(date=day) for day in open_days)

    assert td.last_known_day() == open_days[-1]
    assert not td.is_trading_day(weekdays_of(year)[0])
    assert td.is_trading_day(open_days[0])
    assert not td.is_assumed(open_days[0])
    assert td.next_trading_day(installed.days[-1]) == open_days[0]
    assert td.previous_trading_day(open_days[0]) == installed.days[-1]
    found = td.trading_days(installed.days[-1], open_days[-1] + timedelta(days=7))
    assert found.days[:2] == (installed.days[-1], open_days[0])
    assert found.assumed_from is not None
    assert found.assumed_from > open_days[-1]


@pytest.mark.django_db
def test_a_calendar_installed_later_is_believed_over_the_stored_days_that_it_covers() -> None:
    TradingDay.objects.create(date=date(2024, 10, 1))
    assert not td.is_trading_day(date(2024, 10, 1))


def test_known_days_are_answered_without_a_database() -> None:
    # No django_db mark: a query would fail.
    assert td.trading_days(date(2024, 12, 24), date(2024, 12, 25)).days == (date(2024, 12, 24), date(2024, 12, 25))
    assert td.next_trading_day(date(2024, 9, 30)) == date(2024, 10, 8)


def test_importing_the_module_does_not_load_the_slow_libraries() -> None:
    code = (
        "import django, sys; django.setup(); before = set(sys.modules); import marketdata.trading_days; "
        "print({'pandas', 'exchange_calendars'} & (set(sys.modules) - before))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
