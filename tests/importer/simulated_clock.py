"""Imports and updates of the simulated market at a moment of a simulated clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any

import time_machine

from importer import run_import
from importer.models import ImportTask, Kind
from marketdata.models import Bar, CorporateAction, Stock
from marketdata.trading_days import EXCHANGE_TIME, trading_days

AFTER_THE_CLOSE = time(16, 30)
START = date(2024, 3, 1)


@contextmanager
def at(day: date, moment: time = AFTER_THE_CLOSE) -> Iterator[None]:
    """Let it be ``moment`` of ``day`` at the exchange inside the block."""
    with time_machine.travel(datetime.combine(day, moment, EXCHANGE_TIME), tick=True):
        yield


def import_at(day: date, **options: Any) -> ImportTask:
    """Import the simulated market from START on, after the close of ``day``."""
    with at(day):
        return run_import(Kind.IMPORT, source="simulated", start=START, **options)


def update_at(day: date, moment: time = AFTER_THE_CLOSE, **options: Any) -> ImportTask:
    """Update the whole market at that moment."""
    with at(day, moment):
        return run_import(Kind.UPDATE, source="simulated", **options)


def forget_everything() -> None:
    Bar.objects.all().delete()
    CorporateAction.objects.all().delete()
    Stock.objects.all().delete()


def days_between(start: date, end: date) -> tuple[date, ...]:
    return trading_days(start, end).days
