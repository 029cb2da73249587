"""When one snapshot of the market replaces a request for each stock. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from importer.models import Kind
from importer.planning import StockFacts
from importer.task_requests import TaskRequest
from marketdata.trading_days import EXCHANGE_TIME, is_final, is_trading_day

# Fewer stocks than this are asked for one by one: a snapshot is about as many requests.
WORTH_A_SNAPSHOT = 60
# So many stocks of a snapshot are asked for by themselves, to confirm it.
PROBES = 3
# Of the stocks that a snapshot shows, so many it leaves open as a rule: ex-rights that nothing explains, odd rows.
LEFT_OPEN = 0.005


@dataclass(frozen=True)
class Lacking:
    """Stocks that lack the day alone, and those that lack more."""

    the_day: int = 0
    more: int = 0

    @property
    def worth_a_snapshot(self) -> bool:
        return self.the_day >= WORTH_A_SNAPSHOT

    @property
    def asked_singly(self) -> int:
        """How many stocks an update asks for by themselves, beside the probes, when it takes a snapshot."""
        return self.more + round(LEFT_OPEN * self.the_day)


def snapshot_is_due(request: TaskRequest, now: datetime) -> bool:
    """Say whether an update may take a snapshot at ``now``: of the whole market, of today's session, which is over."""
    today = now.astimezone(EXCHANGE_TIME).date()
    if request.kind != Kind.UPDATE or request.symbols is not None or request.refresh or request.end != today:
        return False
    return is_trading_day(today) and is_final(today, now)


def lacking(stocks: Iterable[StockFacts], day: date, previous_day: date) -> Lacking:
    """Return what stocks with bars lack until ``day``; ``previous_day`` is the trading day before."""
    the_day = more = 0
    for stock in stocks:
        if stock.last_bar is None:
            continue
        known_until = max(stock.last_bar, stock.covered_until or stock.last_bar)
        if known_until >= (min(day, stock.delisted_on) if stock.delisted_on else day):
            continue
        if known_until >= previous_day:
            the_day += 1
        else:
            more += 1
    return Lacking(the_day, more)
