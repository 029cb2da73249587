"""Days of the exchanges' indexes: stored, and compared with the bars of the same day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial

from django.db import transaction
from django.db.models import Max

from marketdata import queries
from marketdata.completeness import DayFigures, day_completeness
from marketdata.either_database import fetch_rows
from marketdata.market_index import IndexAnswer, IndexDayBar, compare
from marketdata.models import IndexDay
from marketdata.origin import claim_origin

# A page that is refreshed every few seconds sums a day's bars no more often than this (seconds).
KEPT_FOR = 60.0
_kept: dict[tuple[date, int], tuple[float, Mapping[str, float]]] = {}


def save_index_days(index: str, days: Iterable[IndexDayBar], *, source: str) -> int:
    """Store days of an index (its symbol); a newer answer replaces an older one. Return how many there were.

    Raises MixedOrigins in a database of the simulated market.
    """
    rows = [IndexDay(index=index, date=each.day, close=each.close, amount=each.amount, source=source) for each in days]
    with transaction.atomic():
        claim_origin(False)
        IndexDay.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["date", "index"],
            update_fields=["close", "amount", "source"],
        )
    return len(rows)


def with_index(figures: DayFigures, turnovers: Callable[[], Mapping[str, float]] | None = None) -> DayFigures:
    """Return the figures of a day with what the indexes say, when no stock is missing: a sum without it proves nothing.

    ``turnovers`` returns what the bars of all stocks turned over that day, by exchange, for a caller who has them;
    they are read otherwise, with a seek per stock. Neither is done when no index is known.
    """
    if figures.missing or not figures.present:
        return figures
    of_indexes = _of_indexes(figures.day)
    if not of_indexes:
        return figures
    return replace(figures, index=compare(of_indexes, turnovers() if turnovers else read_turnovers(figures.day)))


def recently_with_index(figures: DayFigures) -> DayFigures:
    """Return the same for a page: the bars' sum may be a minute old, unless another number of stocks has a bar now."""
    if figures.missing or not figures.present or not _of_indexes(figures.day):
        return figures
    key, now = (figures.day, figures.present), time.monotonic()
    until, turnovers = _kept.get(key, (0.0, {}))
    if until <= now:
        turnovers = read_turnovers(figures.day)
        forget_sums()
        _kept[key] = now + KEPT_FOR, turnovers
    return with_index(figures, lambda: turnovers)


def forget_sums() -> None:
    """Forget what ``recently_with_index`` keeps."""
    _kept.clear()


def read_turnovers(day: date) -> dict[str, float]:
    """Return what the stored bars of ``day`` turned over, in yuan, by exchange."""
    return dict(fetch_rows(queries.READ_TURNOVERS, queries.READ_TURNOVERS, [day]))


def differing_days(start: date | None, end: date | None) -> list[DayFigures]:
    """Return the days with start <= day <= end (None: no bound) whose indexes differ though no stock is missing."""
    days = IndexDay.objects.order_by("date").values_list("date", flat=True).distinct()
    days = days if start is None else days.filter(date__gte=start)
    days = days if end is None else days.filter(date__lte=end)
    found = []
    for day in days:
        turnovers = read_turnovers(day)
        # The sums first: most days agree, and their stocks need not be looked at.
        if compare(_of_indexes(day), turnovers).answer == IndexAnswer.DIFFERS:
            found.append(with_index(day_completeness(day).figures, partial(dict, turnovers)))
    return [figures for figures in found if figures.index.answer == IndexAnswer.DIFFERS]


def newest_index_days() -> dict[str, date]:
    """Return the newest stored day of each index."""
    return dict(IndexDay.objects.order_by().values_list("index").annotate(newest=Max("date")))


def _of_indexes(day: date) -> dict[str, float]:
    return dict(IndexDay.objects.filter(date=day).order_by().values_list("index", "amount"))
