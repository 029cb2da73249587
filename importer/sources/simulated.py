"""A made-up market, for the demo, the tests and the benchmarks: thousands of stocks, deterministic from a seed.

What its bars look like: docs/decisions/005-simulated-market.md
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import ClassVar, TypeVar

import numpy as np
import pandas as pd
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer import pacing
from importer.sources.arrays import Dates, Floats
from importer.sources.base import (
    SNAPSHOT_COLUMNS,
    BadData,
    Banned,
    ListedStock,
    SourceError,
    SourceUnavailable,
    UnknownSymbol,
)
from importer.sources.fetching import current_context
from importer.sources.labels import label_of
from importer.sources.simulated_listing import MARKET_OPENS, SimulatedStock, listing
from importer.sources.simulated_market import Action, Path, make_path, market_noise
from importer.sources.simulated_noise import draw
from importer.sources.validation import empty_bars
from marketdata.actions import ListedAction
from marketdata.adjustment import Action as StoredAction
from marketdata.texts import word
from marketdata.trading_days import newest_finished_day, trading_days

T = TypeVar("T")
_LOOK_EVERY = 0.05
_PRICES = ("open", "high", "low", "close")
ACTION_COLUMNS = ("ex_date", "cash_per_share", "new_shares_per_share", "rights_per_share", "rights_price")


@dataclass(frozen=True)
class Conditions:
    """``latency``: seconds per request. ``error_rate``: the share of requests that fail, some of each kind."""

    latency: float = 0.0
    error_rate: float = 0.0


class Simulated:
    """The market of ``seed`` with ``stocks`` stocks, up to ``newest`` (by default the newest finished day)."""

    name: ClassVar[str] = "simulated"
    label: ClassVar[str] = label_of("simulated")
    paced: ClassVar[bool] = False
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = True
    snapshot_parts: ClassVar[Sequence[str]] = ("",)

    def __init__(
        self, *, seed: int, stocks: int, conditions: Conditions = Conditions(), newest: date | None = None
    ) -> None:
        self.seed = seed
        self.conditions = conditions
        self._listing = listing(seed, stocks)
        self._newest = newest

    @property
    def newest(self) -> date:
        """The newest day that has bars."""
        if self._newest is None:
            self._newest = newest_finished_day(timezone.now())
        return self._newest

    def stocks(self) -> list[ListedStock]:
        """Return every stock that is or was listed, see ``Source.stocks``."""
        return self._request(
            "stocks",
            lambda: [
                ListedStock(stock.symbol, stock.name, stock.board.value, stock.listed_on, stock.delisted_on)
                for stock in self._listing.values()
                if stock.listed_on <= self.newest
            ],
        )

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return made-up raw bars, see ``Source.daily_bars``. A bar is the same whatever the range."""
        return self._request(symbol, lambda: _frame(self._path(symbol), start, end))

    def corporate_actions(self, symbol: str) -> pd.DataFrame:
        """Return what happened to holders of ``symbol`` up to the newest day, by ex-date.

        Columns are ACTION_COLUMNS: ``ex_date`` datetime64 at midnight, cash and rights price in yuan, new shares and
        rights per share. Raises as ``daily_bars`` does.
        """
        return self._request(f"actions {symbol}", lambda: _actions_frame(self._path(symbol)))

    def market_actions(self, since: date, *, today: date, symbols: Sequence[str] | None = None) -> list[ListedAction]:
        """Return corporate actions, see ``ActionSource.market_actions``: what happened up to the newest day."""

        def answer() -> list[ListedAction]:
            known = [stock for stock in self._listing.values() if stock.listed_on <= self.newest]
            wanted = known if symbols is None else [each for each in known if each.symbol in set(symbols)]
            return [
                ListedAction(stock.symbol, _listed(action))
                for stock in _unless_stopped(wanted)
                for action in _path(self.seed, stock, self.newest).actions
                if action.ex_date >= since
            ]

        return self._request("actions", answer)

    def snapshot(self, day: date, part: str = "") -> pd.DataFrame:
        """Return what the exchange showed at the end of ``day``: a row for each stock listed then.

        Columns are SNAPSHOT_COLUMNS. ``prev_close`` is the exchange's reference in yuan, ex-right on an ex-date; of
        a stock that is suspended, the other numbers are NaN. Raises SourceUnavailable for a day without a session.
        """
        return self._request(f"snapshot {day}", lambda: self._snapshot(day).copy())

    def _snapshot(self, day: date) -> pd.DataFrame:
        days, _noise = _market(self.seed, self.newest)
        if np.datetime64(day) not in days:
            raise SourceUnavailable(
                gettext_noop("%(source)s: there is no finished session on %(date)s."),
                source=word(self.label),
                date=day.isoformat(),
            )
        return _snapshot(self.seed, len(self._listing), day)

    def _path(self, symbol: str) -> Path:
        stock = self._listing.get(symbol)
        if stock is None or stock.listed_on > self.newest:
            raise UnknownSymbol(source=word(self.label), symbol=symbol)
        return _path(self.seed, stock, self.newest)

    def _request(self, key: str, answer: Callable[[], T]) -> T:
        """Answer as a distant server would: after the pace, the latency, and with a fault now and then."""
        if not self.paced:
            self._wait_and_fail(key)
            return answer()
        _wait_for_slot(self.name)
        try:
            self._wait_and_fail(key)
        except SourceError as error:
            pacing.report_trouble(self.name, error)
            raise
        pacing.report_success(self.name)
        return answer()

    def _wait_and_fail(self, key: str) -> None:
        _sleep(self.conditions.latency)
        if self.conditions.error_rate <= 0:
            return
        _attempts[key] += 1
        fault = draw(self.seed, "fault", key, _attempts[key]) / self.conditions.error_rate
        if fault < 0.6:
            raise SourceUnavailable(source=word(self.label), detail="simulated fault")
        if fault < 0.8:
            raise Banned(source=word(self.label), detail="simulated fault")
        if fault < 1.0:
            raise BadData(source=word(self.label), symbol=key, detail="simulated fault")


class PacedSimulated(Simulated):
    """Keeps the shared pace and has a breaker, as a source on the network."""

    paced: ClassVar[bool] = True


# How often each thing was asked for in this process: a retry draws anew, and so may succeed.
_attempts: Counter[str] = Counter()


def open_market() -> Simulated:
    """Return the simulated market of the settings; paced if BARVAULT_PACE_FLOORS names it."""
    kind = Simulated if pacing.pace_of(Simulated.name) is None else PacedSimulated
    return kind(
        seed=settings.SIMULATED_SEED,
        stocks=settings.SIMULATED_STOCKS,
        conditions=Conditions(settings.SIMULATED_LATENCY, settings.SIMULATED_ERROR_RATE),
    )


@lru_cache(maxsize=4)
def _market(seed: int, newest: date) -> tuple[Dates, Floats]:
    days = np.array(trading_days(MARKET_OPENS, newest).days, dtype="datetime64[D]")
    return days, market_noise(seed, days)


@lru_cache(maxsize=16)
def _path(seed: int, stock: SimulatedStock, newest: date) -> Path:
    return make_path(stock, *_market(seed, newest))


# The whole market's paths take seconds: a second look at the same day is free.
@lru_cache(maxsize=2)
def _snapshot(seed: int, count: int, day: date) -> pd.DataFrame:
    days, noise = _market(seed, day)
    rows = []
    for stock in _unless_stopped(listing(seed, count).values()):
        if stock.listed_on > day or (stock.delisted_on is not None and stock.delisted_on <= day):
            continue
        path = make_path(stock, days, noise)
        rows.append((stock.symbol, stock.name, *_snapshot_row(path, day)))
    return pd.DataFrame(rows, columns=list(SNAPSHOT_COLUMNS))


def _snapshot_row(path: Path, day: date) -> tuple[float, ...]:
    nothing = float("nan")
    if path.date[-1] != np.datetime64(day):
        return (nothing,) * 6 + (path.next_reference / 100,)
    prices = [getattr(path, name)[-1] / 100 for name in _PRICES]
    return (*prices, float(path.volume[-1]), float(path.amount[-1]), path.reference[-1] / 100)


def _listed(action: Action) -> StoredAction:
    return StoredAction(action.ex_date, action.cash, action.new_shares, action.rights, action.rights_price)


def _frame(path: Path, start: date | None, end: date | None) -> pd.DataFrame:
    first = 0 if start is None else int(np.searchsorted(path.date, np.datetime64(start)))
    last = len(path.date) if end is None else int(np.searchsorted(path.date, np.datetime64(end), side="right"))
    if first >= last:
        return empty_bars()
    rows = slice(first, last)
    prices = {name: getattr(path, name)[rows] / 100 for name in _PRICES}
    return pd.DataFrame(
        {
            "date": path.date[rows].astype("datetime64[s]"),
            **prices,
            "volume": path.volume[rows].copy(),
            "amount": path.amount[rows].copy(),
        },
        copy=False,
    )


def _actions_frame(path: Path) -> pd.DataFrame:
    rows = [
        (action.ex_date, action.cash, action.new_shares, action.rights, action.rights_price) for action in path.actions
    ]
    frame = pd.DataFrame(rows, columns=list(ACTION_COLUMNS))
    return frame.astype({"ex_date": "datetime64[s]"} | dict.fromkeys(ACTION_COLUMNS[1:], float))


def _wait_for_slot(source: str) -> None:
    context = current_context()
    if context is None:
        pacing.wait_for_slot(source)
    else:
        pacing.wait_for_slot(source, context.should_stop, context.deadline)


def _unless_stopped(stocks: Iterable[SimulatedStock]) -> Iterator[SimulatedStock]:
    """Yield each: a whole market takes seconds to make up. Raises StopRequested as soon as the fetch has to end."""
    context = current_context()
    for stock in stocks:
        if context is not None:
            context.raise_if_stopping()
        yield stock


def _sleep(seconds: float) -> None:
    """Sleep as a request would take; raise StopRequested or SourceUnavailable as soon as the fetch has to end."""
    until = time.monotonic() + seconds
    while True:
        context = current_context()
        if context is not None:
            context.raise_if_stopping()
            if context.seconds_left() <= 0:
                raise SourceUnavailable(source=word(Simulated.label), detail="no answer in time")
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _LOOK_EVERY))
