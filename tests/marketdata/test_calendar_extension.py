from __future__ import annotations

from datetime import date, timedelta

import pytest

from marketdata.calendar_rules import check_extension
from marketdata.exceptions import BadCalendar
from marketdata.models import TradingDay
from marketdata.trading_days import extend_calendar, installed_calendar, last_known_day
from tests.sources.standin.exchange_days import open_days_of


@pytest.fixture
def published() -> list[date]:
    """The list as the exchange would publish it: every known day, and the next year."""
    installed = installed_calendar()
    return [*installed.days, *open_days_of(installed.known_until.year + 1)]


@pytest.mark.django_db
def test_a_whole_list_extends_the_calendar_by_the_days_that_are_new(published: list[date]) -> None:
    new = [day for day in published if day > installed_calendar().known_until]
    assert extend_calendar(published) == len(new)
    assert last_known_day() == new[-1]
    assert list(TradingDay.objects.values_list("date", flat=True)) == new


@pytest.mark.django_db
def test_the_same_list_again_changes_nothing(published: list[date]) -> None:
    extend_calendar(published)
    assert extend_calendar(published) == 0


@pytest.mark.django_db
def test_a_list_that_knows_nothing_new_is_no_error() -> None:
    assert extend_calendar(installed_calendar().days) == 0
    assert not TradingDay.objects.exists()


@pytest.mark.django_db
def test_a_later_list_corrects_a_day_on_which_the_exchange_stayed_closed_after_all(published: list[date]) -> None:
    extend_calendar(published)
    cancelled = published.pop(-100)
    assert extend_calendar(published) == 0
    assert not TradingDay.objects.filter(date=cancelled).exists()


@pytest.mark.django_db
def test_a_list_that_differs_from_an_earlier_one_in_many_days_is_refused(published: list[date]) -> None:
    extend_calendar(published)
    before = set(TradingDay.objects.values_list("date", flat=True))
    del published[-100:-88:2]
    with pytest.raises(BadCalendar, match="contradicts"):
        extend_calendar(published)
    assert set(TradingDay.objects.values_list("date", flat=True)) == before


def check(days: list[date]) -> None:
    installed = installed_calendar()
    check_extension(days, installed=installed.days, installed_until=installed.known_until, known=installed.days)


def test_a_good_list_passes(published: list[date]) -> None:
    check(published)
    check(published[-1000:])


def test_a_list_cut_short_whose_dates_shifted_is_refused(published: list[date]) -> None:
    # What AKShare makes of a truncated answer: some sessions are missing, others are not sessions.
    with pytest.raises(BadCalendar, match="contradicts"):
        check([*published[:4000], *published[4003:]])
    holiday = date(2024, 10, 1)
    with pytest.raises(BadCalendar, match=r"contradicts.*2024-10-01"):
        check(sorted([*published, holiday]))


def test_a_list_that_ends_in_the_middle_of_the_new_year_is_refused(published: list[date]) -> None:
    with pytest.raises(BadCalendar, match="middle of a year"):
        check(published[:-60])


def test_a_list_out_of_order_or_with_a_day_twice_is_refused(published: list[date]) -> None:
    with pytest.raises(BadCalendar, match="out of order"):
        check(published[::-1])
    with pytest.raises(BadCalendar, match="out of order"):
        check([*published, published[-1]])


def test_a_weekend_is_refused(published: list[date]) -> None:
    new_year = installed_calendar().known_until.year + 1
    saturday = next(
        day for day in (date(new_year, 6, 1) + timedelta(days=number) for number in range(7)) if day.weekday() == 5
    )
    with pytest.raises(BadCalendar, match=str(saturday)):
        check(sorted([*published, saturday]))


def test_a_list_that_shares_no_days_with_the_known_calendar_is_refused(published: list[date]) -> None:
    installed = installed_calendar()
    with pytest.raises(BadCalendar, match="too few"):
        check([day for day in published if day > installed.known_until])
    with pytest.raises(BadCalendar, match="too few"):
        check([])


def test_a_hole_of_more_than_twelve_days_is_refused(published: list[date]) -> None:
    with pytest.raises(BadCalendar, match="no day between"):
        check([*published[:-60], *published[-50:]])


def test_a_year_without_holidays_is_refused() -> None:
    installed = installed_calendar()
    year = installed.known_until.year + 1
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(365))
    with pytest.raises(BadCalendar, match=str(year)):
        check([*installed.days, *(day for day in days if day.weekday() < 5)])
