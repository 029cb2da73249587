"""How long a lane's hold lasts, and when it is over: compared in the database's own time."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

# A dead lane is replaced within 15 seconds: this lease, and at most two rounds of the dispatcher.
SLOT_LEASE = timedelta(seconds=8)
# A message that no worker took in this time is sent again under a new token.
MESSAGE_LEASE = timedelta(seconds=8)
# A lease further ahead than this was written before a clock was set back.
IMPLAUSIBLE = timedelta(minutes=1)


def lease_over(now: datetime) -> Q:
    """Return the condition that ``leased_until`` has passed, or cannot be right, at ``now`` (database time)."""
    return Q(leased_until__lt=now) | Q(leased_until__gt=now + IMPLAUSIBLE)


def is_over(leased_until: datetime, now: datetime) -> bool:
    """Say the same of a row that was read already."""
    return leased_until < now or leased_until > now + IMPLAUSIBLE
