"""When a message goes out: quiet hours, the daily digest, and how long a receiver that is down is tried. Pure.

``now`` is aware; times of day are exchange time.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from marketdata.trading_days import EXCHANGE_TIME

# A receiver that is down is tried again after a minute, then after twice as long each time.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
# So long after its first possible moment a message is given up.
GIVE_UP_AFTER = timedelta(hours=24)

Hours = tuple[time, time]


def quiet_until(quiet: Hours | None, now: datetime) -> datetime | None:
    """Return when the quiet hours that it is now in end; None outside them. They may go over midnight."""
    if quiet is None or quiet[0] == quiet[1]:
        return None
    local = now.astimezone(EXCHANGE_TIME)
    begin, end = quiet
    is_quiet = begin <= local.time() < end if begin < end else local.time() >= begin or local.time() < end
    if not is_quiet:
        return None
    ends = datetime.combine(local.date(), end, EXCHANGE_TIME)
    return ends if ends > local else ends + timedelta(days=1)


def last_digest_at(at: time, now: datetime) -> datetime:
    """Return the newest moment at which a digest was due; what happened before it belongs into that one."""
    local = now.astimezone(EXCHANGE_TIME)
    today = datetime.combine(local.date(), at, EXCHANGE_TIME)
    return today if today <= local else today - timedelta(days=1)


def next_try(attempts: int, now: datetime) -> datetime:
    """Return when a receiver that failed ``attempts`` times is tried again."""
    doublings = min(max(attempts, 1) - 1, 10)
    return now + min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
