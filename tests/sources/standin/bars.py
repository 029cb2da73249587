"""The market that the stand-in serves: made up from the symbol alone, so that every process knows the same one."""

from __future__ import annotations

import struct
import warnings
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar

FIRST_SESSION = date(2019, 1, 2)
# These two exist in the folder of real data; their real bars are served when it is there.
REAL_SYMBOLS = {"000001.SZ": "vipdoc/sz/lday/sz000001.day", "600000.SH": "vipdoc/sh/lday/sh600000.day"}
# Always there, whatever the number of stocks: each is a case that a source has to get right.
SPECIAL = (
    "600519.SH",
    "000001.SZ",
    "600000.SH",
    "000002.SZ",
    "002594.SZ",
    "300750.SZ",
    "688981.SH",
    "689009.SH",
    "920001.BJ",
    "430047.BJ",
)
NEWLY_LISTED = {"301999.SZ": date(2026, 9, 1), "603999.SH": date(2026, 10, 12)}
DELISTED = {"600001.SH": date(2023, 5, 10), "000003.SZ": date(2022, 6, 20), "000024.SZ": date(2021, 3, 1)}
# Each is suspended on these sessions, both included.
SUSPENDED = {"000002.SZ": (date(2024, 3, 4), date(2024, 3, 15))}
# The composite indexes, and how many days of them are served to who names no first one.
INDEXES = ("000001.SH", "399106.SZ")
INDEX_DAYS = 60
# On the lists of the exchanges, but no A-shares.
B_SHARES = ("900901.SH", "200002.SZ")


@dataclass(frozen=True, slots=True)
class StandInBar:
    """A raw bar: prices in cents, ``volume`` in shares, ``amount`` in yuan."""

    day: date
    open: int
    high: int
    low: int
    close: int
    volume: int
    amount: float


@dataclass(frozen=True)
class Market:
    """``count`` stocks, of which the special ones are the first, with bars up to ``until``."""

    count: int = 60
    until: date = field(default_factory=lambda: newest_finished_session())
    real: Path | None = None

    def symbols(self) -> list[str]:
        """Return every stock that is or was listed."""
        return [*self.listed(), *DELISTED]

    def listed(self) -> list[str]:
        return list(_listed(self.count))

    def listed_on(self, symbol: str) -> date:
        if symbol in NEWLY_LISTED:
            return NEWLY_LISTED[symbol]
        if self.real is not None and symbol in REAL_SYMBOLS:
            return self.bars(symbol)[0].day
        return FIRST_SESSION + timedelta(days=zlib.crc32(symbol.encode()) % 700)

    def bars(self, symbol: str, start: date | None = None, end: date | None = None) -> Sequence[StandInBar]:
        """Return the bars of ``symbol`` with start <= day <= end; none for a stock that never was."""
        if symbol not in self.symbols():
            return ()
        path = REAL_SYMBOLS.get(symbol)
        bars = _read_day_file(self.real / path) if self.real is not None and path else self._made_up(symbol)
        days = [bar.day for bar in bars]
        first = bisect_left(days, start) if start else 0
        last = bisect_right(days, min(end or self.until, self.until))
        return bars[first:last]

    def index_bars(self, index: str, start: date | None = None, end: date | None = None) -> Sequence[StandInBar]:
        """Return the days of an index: points in hundredths, and what all stocks of its exchange turned over.

        B shares make it a little more.
        """
        days = sessions()
        first = bisect_left(days, start) if start else max(0, bisect_right(days, self.until) - INDEX_DAYS)
        wanted = days[first : bisect_right(days, min(end or self.until, self.until))]
        turnovers = _turnovers(self, index[-2:], wanted[0], wanted[-1]) if wanted else {}
        return [
            StandInBar(day, 300_000, 301_000, 299_000, 300_500, 4_000_000_00, round(1.002 * turnovers.get(day, 0.0)))
            for day in wanted
        ]

    def _made_up(self, symbol: str) -> Sequence[StandInBar]:
        return _made_up_bars(symbol, self.listed_on(symbol), min(DELISTED.get(symbol, self.until), self.until))


def newest_finished_session() -> date:
    """Return the newest session whose bars are final: today's from 16:00 exchange time on."""
    now = datetime.now(UTC) + timedelta(hours=8)
    return [day for day in sessions() if day < now.date() or (day == now.date() and now.hour >= 16)][-1]


@lru_cache(maxsize=1)
def sessions() -> Sequence[date]:
    return recorded_days(FIRST_SESSION)


def recorded_days(since: date) -> list[date]:
    """Return the exchange's days as far as they are recorded."""
    with warnings.catch_warnings():
        # The library's own use of pandas, not ours.
        warnings.simplefilter("ignore")
        calendar = XSHGExchangeCalendar(start=since, end=XSHGExchangeCalendar.bound_max())
    return [session.date() for session in calendar.sessions]


@lru_cache(maxsize=8)
def _listed(count: int) -> Sequence[str]:
    symbols = [*SPECIAL, *NEWLY_LISTED]
    number = 0
    while len(symbols) < count:
        code, exchange = [
            (601000 + number, "SH"),
            (2000 + number, "SZ"),
            (300000 + number, "SZ"),
            (688000 + number % 2000, "SH"),
            (920100 + number, "BJ"),
        ][number % 5]
        symbol = f"{code:06d}.{exchange}"
        if symbol not in symbols and symbol not in DELISTED:
            symbols.append(symbol)
        number += 1
    return symbols[:count]


# Half a megabyte each: a market that is larger than this is gone through once.
@lru_cache(maxsize=600)
def _made_up_bars(symbol: str, first: date, last: date) -> Sequence[StandInBar]:
    pause = SUSPENDED.get(symbol)
    days = [day for day in sessions() if first <= day <= last and not (pause and pause[0] <= day <= pause[1])]
    count = len(days)
    # A generator of its own for each column: a longer history begins like a shorter one.
    level, drift, gap, up, down, size, odd, place = (
        np.random.default_rng([zlib.crc32(symbol.encode()), column]) for column in range(8)
    )
    close = np.rint(np.exp(np.cumsum(drift.normal(0, 0.015, count))) * level.uniform(500, 5000)).clip(100)
    opened = np.rint(np.append(close[:1], close[:-1]) * (1 + gap.normal(0, 0.004, count))).clip(100)
    high = np.rint(np.maximum(opened, close) * (1 + up.uniform(0.001, 0.02, count)))
    low = np.rint(np.minimum(opened, close) * (1 - down.uniform(0.001, 0.02, count))).clip(1)
    # Only the STAR Market and Beijing trade in single shares.
    singles = odd.integers(0, 100, count) if symbol[:2] in ("68", "92", "43") else 0
    volume = size.integers(10_000, 900_000, count) * 100 + singles
    average = low + (high - low) * place.uniform(0.3, 0.7, count)
    return [
        StandInBar(day, int(o), int(h), int(lo), int(c), int(v), float(round(int(v) * a / 100)))
        for day, o, h, lo, c, v, a in zip(days, opened, high, low, close, volume, average, strict=True)
    ]


@lru_cache(maxsize=16)
def _turnovers(market: Market, exchange: str, first: date, last: date) -> dict[date, float]:
    found: dict[date, float] = {}
    for symbol in market.listed():
        for bar in market.bars(symbol, first, last) if symbol.endswith(exchange) else ():
            found[bar.day] = found.get(bar.day, 0.0) + bar.amount
    return found


@lru_cache(maxsize=4)
def _read_day_file(path: Path) -> Sequence[StandInBar]:
    bars = []
    for number, o, h, lo, c, amount, volume, _ in struct.iter_unpack("<IIIIIfII", path.read_bytes()):
        day = date(number // 10000, number // 100 % 100, number % 100)
        bars.append(StandInBar(day, o, h, lo, c, volume, float(round(amount))))
    return bars
