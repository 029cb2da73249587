"""Where everything stands, for the pages, the API and the command line: from summaries, never from the bars."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone

from importer.models import ImportTask, Kind, Status
from importer.verdict import Known, complete_until
from marketdata.models import Stock
from marketdata.trading_days import newest_finished_day, trading_days


@dataclass(frozen=True)
class DataStatus:
    """What is stored: stocks, bars (rows), their first and last exchange date, and how far they are complete.

    ``complete_until`` is the newest day until which every stock that trades is known; None for an empty database.
    """

    stock_count: int
    stocks_with_bars: int
    bar_count: int
    first_date: date | None
    last_date: date | None
    newest_finished_day: date
    stocks_up_to_date: int


@dataclass(frozen=True)
class Space:
    """Bytes that the database takes, and bytes free on its disk (None: the server keeps that to itself)."""

    used: int
    free: int | None


def data_status(now: datetime | None = None) -> DataStatus:
    """Return the figures of what is stored. A stock is up to date when it is known until the newest finished day,
    or was delisted before."""
    newest = newest_finished_day(now or timezone.now())
    known = Q(bar_count__gt=0) & (Q(covered_until__gte=newest) | Q(last_bar__gte=newest) | Q(delisted_on__lte=newest))
    sums = Stock.objects.aggregate(
        stocks=Count("pk"),
        with_bars=Count("pk", filter=Q(bar_count__gt=0)),
        bars=Sum("bar_count", default=0),
        first=Min("first_bar"),
        last=Max("last_bar"),
        up_to_date=Count("pk", filter=known),
    )
    return DataStatus(
        stock_count=sums["stocks"],
        stocks_with_bars=sums["with_bars"],
        bar_count=sums["bars"],
        first_date=sums["first"],
        last_date=sums["last"],
        newest_finished_day=newest,
        stocks_up_to_date=sums["up_to_date"],
    )


@dataclass(frozen=True)
class Completeness:
    """``until``: the newest day until which (nearly) every stock that trades is known; ``behind`` are older."""

    until: date | None
    behind: int
    newest: date
    missing_days: int
    known: Sequence[Known]


def known_on(day: date) -> list[Known]:
    """Return until when the stocks are known that are traded on ``day``."""
    trades = Q(bar_count__gt=0) & (Q(delisted_on=None) | Q(delisted_on__gt=day))
    counts = Stock.objects.filter(trades).order_by().values("covered_until").annotate(stocks=Count("pk"))
    return [Known(row["covered_until"], row["stocks"]) for row in counts]


def completeness(now: datetime) -> Completeness:
    """Return how far what is stored is complete, against the newest finished day."""
    newest = newest_finished_day(now)
    known = known_on(newest)
    until, behind = complete_until(known)
    missing = len(trading_days(until + timedelta(days=1), newest).days) if until and until < newest else 0
    return Completeness(until, behind, newest, missing, known)


def never_imported(day: date) -> int:
    """Return how many listed stocks that are traded on ``day`` were never fetched.

    0 for somebody who has only ever asked for some stocks: the others are not missing to them.
    """
    if not ImportTask.objects.filter(kind=Kind.IMPORT, parameters__symbols=None).exists():
        return 0
    listed = Q(listed_on=None) | Q(listed_on__lte=day)
    trades = Q(delisted_on=None) | Q(delisted_on__gt=day)
    return Stock.objects.filter(listed, trades, bar_count=0, covered_until=None).count()


def active_task() -> ImportTask | None:
    """Return the running task, else the one whose turn is next, else a paused one; None when there is none."""
    for status in (Status.RUNNING, Status.PENDING, Status.PAUSED):
        task = ImportTask.objects.filter(status=status).order_by("-priority", "created_at").first()
        if task is not None:
            return task
    return None


def space() -> Space:
    """Return what the database takes on disk, and what is free there."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return Space(int(cursor.fetchone()[0]), None)
    path = Path(settings.DATABASES["default"]["NAME"])
    used = sum(os.path.getsize(part) for part in (path, Path(f"{path}-wal")) if part.exists())
    return Space(used, shutil.disk_usage(path.parent).free)
