"""The stocks of the simulated market: codes on every board, names that are obviously made up, listing dates."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import islice

from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest
from importer.sources.simulated_noise import draw, key_of
from marketdata.symbols import Board
from marketdata.trading_days import installed_calendar

# The simulated exchange opened on this day; nothing is before it.
MARKET_OPENS = date(2015, 1, 5)
_LAST_LISTING = date(2024, 12, 20)
# After the usual start of an import, so that a full import meets every stock.
_FIRST_DELISTING = date(2021, 6, 1)
_LISTED_AT_FIRST = 0.7
_LISTED_BEFORE_2021 = 0.8
_DELISTED = 0.04

# Where codes are taken from, in turn: the boards' shares of the real market, in twentieths.
_SHANGHAI = ("600", "601", "603", "605")
_SHENZHEN = ("000", "001", "002", "003")
_PATTERN = "SZCSZCTSZCBSZCTSZCSZ"
_BOARDS = {
    "S": (Board.MAIN, "SH", _SHANGHAI),
    "Z": (Board.MAIN, "SZ", _SHENZHEN),
    "C": (Board.CHINEXT, "SZ", ("300", "301")),
    "T": (Board.STAR, "SH", ("688",)),
    "B": (Board.BEIJING, "BJ", ("920",)),
}
_CODES_PER_PREFIX = 999
MOST_STOCKS = 7_900


@dataclass(frozen=True)
class SimulatedStock:
    """``delisted_on``: the first day on which it is not traded any more. ``key`` seeds its noise."""

    symbol: str
    name: str
    board: Board
    listed_on: date
    delisted_on: date | None
    key: int


@lru_cache(maxsize=4)
def listing(seed: int, count: int) -> dict[str, SimulatedStock]:
    """Return the first ``count`` stocks by symbol; a longer list begins with the same stocks.

    Raises BadRequest for none, or more than MOST_STOCKS.
    """
    if not 1 <= count <= MOST_STOCKS:
        raise BadRequest(
            "source",
            gettext_noop(
                "The simulated market has 1 to %(most)s stocks, not %(count)s: change BARVAULT_SIMULATED_STOCKS."
            ),
            most=MOST_STOCKS,
            count=count,
        )
    days = installed_calendar().days
    stocks = (
        _stock(seed, number, board, symbol, days) for number, (board, symbol) in enumerate(islice(_symbols(), count))
    )
    return {stock.symbol: stock for stock in stocks}


def _symbols() -> Iterator[tuple[Board, str]]:
    used = dict.fromkeys(_BOARDS, 0)
    while True:
        for letter in _PATTERN:
            board, exchange, prefixes = _BOARDS[letter]
            prefix, number = divmod(used[letter], _CODES_PER_PREFIX)
            used[letter] += 1
            yield board, f"{prefixes[prefix]}{number + 1:03d}.{exchange}"


def _stock(seed: int, number: int, board: Board, symbol: str, days: Sequence[date]) -> SimulatedStock:
    listed_on = _listed_on(draw(seed, symbol, "when"), draw(seed, symbol, "listed"), days)
    delisted_on = None
    earliest = max(listed_on + timedelta(days=730), _FIRST_DELISTING)
    if draw(seed, symbol, "delisted") < _DELISTED and earliest < _LAST_LISTING:
        delisted_on = _between(earliest, _LAST_LISTING, draw(seed, symbol, "delisting"), days)
    return SimulatedStock(symbol, f"模拟{number + 1:04d}", board, listed_on, delisted_on, key_of(seed, symbol))


def _listed_on(when: float, where: float, days: Sequence[date]) -> date:
    if when < _LISTED_AT_FIRST:
        return MARKET_OPENS
    if when < _LISTED_BEFORE_2021:
        return _between(date(2015, 2, 2), date(2020, 12, 31), where, days)
    return _between(date(2021, 1, 4), _LAST_LISTING, where, days)


def _between(start: date, end: date, share: float, days: Sequence[date]) -> date:
    """Return the trading day that lies at ``share`` of the way."""
    first, last = bisect_left(days, start), bisect_left(days, end)
    return days[first + int(share * (last - first))]
