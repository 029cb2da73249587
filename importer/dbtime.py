"""The database's own clock: leases and pace slots of several hosts are compared in one time."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection
from django.utils import timezone


def db_now() -> datetime:
    """Return the database's time now, aware (UTC), to the millisecond or better.

    PostgreSQL: the clock, not the start of the transaction.
    """
    if connection.vendor == "sqlite":
        # SQLite has no clock but this machine's; asking it would cost a query for the same answer.
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)
