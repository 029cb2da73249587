"""Quiet hours, digests and retries, decided from values alone."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest

from importer.notify.rules import last_digest_at, next_try, quiet_until
from marketdata.trading_days import EXCHANGE_TIME

NIGHT = (time(22, 30), time(7, 30))
NOON = (time(12), time(13))


def at(hour: int, minute: int = 0, day: int = 24) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=EXCHANGE_TIME)


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, at(22, 29), None),
        (NIGHT, at(22, 30), at(7, 30, day=25)),
        (NIGHT, at(3), at(7, 30)),
        (NIGHT, at(7, 30), None),
        (NOON, at(12, 59), at(13)),
        (NOON, at(11), None),
        ((time(9), time(9)), at(9), None),
        (None, at(3), None),
    ],
)
def test_quiet_hours_may_go_over_midnight(
    hours: tuple[time, time] | None, now: datetime, until: datetime | None
) -> None:
    assert quiet_until(hours, now) == until


def test_the_newest_digest_was_due_today_or_yesterday() -> None:
    assert last_digest_at(time(18, 30), at(18, 30)) == at(18, 30)
    assert last_digest_at(time(18, 30), at(18, 29)) == at(18, 30, day=23)


def test_a_receiver_that_is_down_is_tried_less_and_less_often_up_to_once_an_hour() -> None:
    now = at(9)
    waits = [next_try(attempts, now) - now for attempts in range(1, 9)]
    assert waits[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert waits[-1] == timedelta(hours=1)
