"""When rules run: moments after and before any time, trading days, due runs, cron expressions."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.exceptions import BadRequest
from importer.schedule_rules import Rule, When, checked_rule, is_assumed, is_due, latest_run, next_run
from marketdata.trading_days import EXCHANGE_TIME, Calendar, installed_calendar

CALENDAR = installed_calendar()
HALF_PAST_FOUR = time(16, 30)
TRADING_DAYS = Rule(When.TRADING_DAY, HALF_PAST_FOUR)
CRONS = ("30 16 * * 1-5", "*/7 9-15 * * *", "0 0 29 2 *", "15 3 1,15 * *", "0 20 * * sat", "0 0 L * *", "5 4 13 * fri")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_TIME)


times = st.times().map(lambda value: value.replace(second=0, microsecond=0))
moments = st.datetimes(datetime(2006, 1, 1), datetime(2028, 12, 31)).map(lambda value: value.replace(tzinfo=UTC))
repeating = st.one_of(
    times.map(lambda value: Rule(When.TRADING_DAY, value)),
    st.builds(lambda value, weekday: Rule(When.WEEKLY, value, weekday), times, st.integers(1, 7)),
    st.sampled_from(CRONS).map(lambda value: Rule(When.CRON, cron=value)),
)
once = st.builds(
    lambda value, day: Rule(When.ONCE, value, day=day), times, st.dates(date(2006, 1, 1), date(2028, 12, 31))
)
rules = st.one_of(repeating, once)


@given(repeating, moments)
def test_the_next_run_is_later_and_the_latest_is_not(rule: Rule, moment: datetime) -> None:
    following, latest = next_run(rule, moment, CALENDAR), latest_run(rule, moment, CALENDAR)
    assert following is not None
    assert latest is not None
    assert latest <= moment < following


@given(rules, moments)
def test_between_the_latest_run_and_the_next_there_is_none(rule: Rule, moment: datetime) -> None:
    following, latest = next_run(rule, moment, CALENDAR), latest_run(rule, moment, CALENDAR)
    if latest is not None:
        assert next_run(rule, latest, CALENDAR) == following
        assert latest_run(rule, latest, CALENDAR) == latest
    if following is not None:
        assert latest_run(rule, following, CALENDAR) == following
        assert latest_run(rule, following - timedelta(seconds=1), CALENDAR) == latest


@given(times, moments)
def test_a_run_of_trading_days_is_on_an_open_day_and_none_is_left_out(at: time, moment: datetime) -> None:
    following = next_run(Rule(When.TRADING_DAY, at), moment, CALENDAR)
    assert following is not None
    assert following.time() == at
    assert CALENDAR.is_open(following.date())
    here = moment.astimezone(EXCHANGE_TIME)
    between = CALENDAR.between(here.date(), following.date()).days
    assert [day for day in between if datetime.combine(day, at, EXCHANGE_TIME) > here] == [following.date()]


@given(times, st.integers(1, 7), moments)
def test_a_weekly_run_is_on_its_weekday_within_a_week(at: time, weekday: int, moment: datetime) -> None:
    following = next_run(Rule(When.WEEKLY, at, weekday), moment, CALENDAR)
    assert following is not None
    assert (following.isoweekday(), following.time()) == (weekday, at)
    assert following - moment <= timedelta(days=7)


@given(once, moments)
def test_a_single_run_comes_before_its_time_and_never_after(rule: Rule, moment: datetime) -> None:
    assert rule.day is not None
    assert rule.at is not None
    its = datetime.combine(rule.day, rule.at, EXCHANGE_TIME)
    assert next_run(rule, moment, CALENDAR) == (its if its > moment else None)


@given(rules, moments, st.timedeltas(timedelta(0), timedelta(days=40)))
def test_a_due_run_is_the_latest_that_was_missed(rule: Rule, seen: datetime, later: timedelta) -> None:
    due_at = next_run(rule, seen, CALENDAR)
    if due_at is None:
        return
    meant = is_due(rule, due_at, seen + later, CALENDAR)
    if due_at > seen + later:
        assert meant is None
    else:
        assert meant == latest_run(rule, seen + later, CALENDAR)
        assert meant is not None
        assert due_at <= meant <= seen + later


def test_a_holiday_is_passed_over() -> None:
    # The Spring Festival of 2024: closed from 9 to 18 February.
    assert next_run(TRADING_DAYS, at("2024-02-08T16:30"), CALENDAR) == at("2024-02-19T16:30")


def test_a_friday_run_is_due_on_saturday() -> None:
    assert is_due(TRADING_DAYS, at("2024-03-01T16:30"), at("2024-03-02T09:00"), CALENDAR) == at("2024-03-01T16:30")


def test_an_assumed_day_that_turns_out_closed_is_not_due() -> None:
    assumed = Calendar(CALENDAR.days[:100], CALENDAR.days[99])
    known = Calendar((*CALENDAR.days[:100], CALENDAR.days[101]), CALENDAR.days[101])
    due_at = next_run(TRADING_DAYS, datetime.combine(CALENDAR.days[99], HALF_PAST_FOUR, EXCHANGE_TIME), assumed)
    assert due_at is not None
    assert is_assumed(TRADING_DAYS, due_at, assumed)
    assert is_due(TRADING_DAYS, due_at, due_at + timedelta(hours=1), assumed) == due_at
    assert is_due(TRADING_DAYS, due_at, due_at + timedelta(hours=1), known) is None


def test_only_trading_days_can_be_assumed() -> None:
    far = at("2031-06-02T16:30")
    assert is_assumed(TRADING_DAYS, far, CALENDAR)
    assert not is_assumed(Rule(When.WEEKLY, HALF_PAST_FOUR, 1), far, CALENDAR)


def test_the_parts_of_a_rule_are_taken_as_given() -> None:
    assert checked_rule("weekly", at=time(9, 5, 59), weekday=6) == Rule(When.WEEKLY, time(9, 5), 6)
    assert checked_rule("cron", cron="  30  16 * *  MON-fri ").cron == "30 16 * * MON-fri"


@pytest.mark.parametrize(
    ("when", "parts", "field"),
    [
        ("trading_day", {}, "time"),
        ("trading_day", {"at": HALF_PAST_FOUR, "weekday": 3}, "weekday"),
        ("weekly", {"at": HALF_PAST_FOUR}, "weekday"),
        ("weekly", {"at": HALF_PAST_FOUR, "weekday": 8}, "weekday"),
        ("once", {"at": HALF_PAST_FOUR}, "date"),
        ("once", {"day": date(2026, 12, 1)}, "time"),
        ("cron", {}, "cron"),
        ("cron", {"cron": "0 0 * * *", "at": HALF_PAST_FOUR}, "time"),
        ("daily", {"at": HALF_PAST_FOUR}, "when"),
    ],
)
def test_a_part_that_is_missing_or_foreign_is_named(when: str, parts: dict[str, object], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        checked_rule(when, **parts)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "cron",
    [
        "60 * * * *", "* * * *", "* * * * * *", "@daily", "H 3 * * *", "R 3 * * *", "R(1-5) 3 * * *", "a b c d e",
        "0 0 30 2 *", "*/0 * * * *", "0 0 * * 8", "5" * 101, "0 0 1 1 * 2030", "\x00 * * * *",
    ],
)  # fmt: skip
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(BadRequest) as refused:
        checked_rule("cron", cron=cron)
    assert refused.value.field == "cron"


@given(st.text(alphabet="0123456789*/,-#LWR?@ abcfrisu", max_size=30))
def test_any_text_is_a_cron_expression_with_a_next_run_or_refused(cron: str) -> None:
    try:
        rule = checked_rule("cron", cron=cron)
    except BadRequest:
        return
    assert next_run(rule, at("2024-03-02T09:00"), CALENDAR) is not None
