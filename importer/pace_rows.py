"""SourceState's rows: how they are locked, and how what the rules decide is read from them and written to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import date, datetime

from django.db import transaction

from importer.models import Breaker, SourceState
from importer.pace_rules import Health, Pace, after_probe, after_successes
from marketdata.texts import Text
from marketdata.trading_days import EXCHANGE_TIME

_SAME_NAMES = [field.name for field in fields(Health) if field.name != "reason"]


@contextmanager
def locked_row(source: str) -> Iterator[SourceState]:
    """Hold the row of ``source``, made when missing, for one short transaction of its own.

    Inside another transaction it is a RuntimeError: the row, and with it every lane, would wait for that one's end.
    """
    with transaction.atomic(durable=True):
        rows = SourceState.objects.select_for_update()
        row = rows.filter(pk=source).first()
        if row is None:
            SourceState.objects.bulk_create([SourceState(source=source)], ignore_conflicts=True)
            row = rows.get(pk=source)
        yield row


def health_of(row: SourceState) -> Health:
    """Return what the rules know of a source."""
    values = {name: getattr(row, name) for name in _SAME_NAMES}
    return Health(**values, reason=Text(row.reason_id, row.reason_values))


def store_health(row: SourceState, health: Health) -> None:
    """Put what the rules decided into the row, which the caller saves."""
    for name in _SAME_NAMES:
        setattr(row, name, getattr(health, name))
    row.reason_id, row.reason_values = health.reason.msgid, dict(health.reason.values)


def count_successes(row: SourceState, pace: Pace | None, count: int, now: datetime, *, closing: bool) -> None:
    """Count answers. Only ``closing`` ones may end a half-open state: others were asked for before it began."""
    if not count:
        return
    row.successes += count
    row.last_success_at = now
    if pace is None:
        row.requests += count
        row.requests_today = count + (row.requests_today if row.counted_on == exchange_date(now) else 0)
        row.counted_on = exchange_date(now)
    elif closing or row.breaker == Breaker.CLOSED:
        health = after_successes(health_of(row), pace, count)
        store_health(row, after_probe(health, pace, now) if row.breaker == Breaker.HALF_OPEN else health)


def count_request(row: SourceState, now: datetime) -> None:
    """Count a request that is about to be sent; the count of the day starts anew at midnight, exchange time."""
    today = exchange_date(now)
    row.requests += 1
    row.requests_today = row.requests_today + 1 if row.counted_on == today else 1
    row.counted_on = today


def exchange_date(now: datetime) -> date:
    return now.astimezone(EXCHANGE_TIME).date()
