"""Days without a bar that a source has confirmed: nobody needs to ask for them again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from marketdata.models import AbsentDay


def remember_absent(stock_id: int, days: Iterable[date], *, source: str) -> None:
    """Remember that ``source`` knows the stock and has no bar of these days. Part of the caller's transaction."""
    AbsentDay.objects.bulk_create(
        [AbsentDay(stock_id=stock_id, date=day, source=source) for day in days], batch_size=1000, ignore_conflicts=True
    )


def absent_days(stock_id: int, start: date, end: date) -> set[date]:
    """Return the days from ``start`` to ``end`` on which the stock is known to have no bar."""
    return set(AbsentDay.objects.filter(stock_id=stock_id, date__range=(start, end)).values_list("date", flat=True))


def forget_absent(stock_id: int, start: date, end: date) -> None:
    """Forget what is known about these days: the next repair asks again."""
    AbsentDay.objects.filter(stock_id=stock_id, date__range=(start, end)).delete()
