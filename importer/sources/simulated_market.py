"""Made-up bars and corporate actions of one stock: pure arithmetic on noise that depends on seed, stock and day alone.

So a day's bar is the same whatever range is asked for and however far the calendar reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from importer.sources.arrays import Dates, Floats, Ints, Mask
from importer.sources.simulated_listing import SimulatedStock
from importer.sources.simulated_noise import draw, draws, key_of
from marketdata.symbols import Board

# The exchange's daily limits, in percent of the reference price, and how lively a board is.
LIMIT_PERCENT = {Board.MAIN: 10, Board.CHINEXT: 20, Board.STAR: 20, Board.BEIJING: 30}
_VOLATILITY = {Board.MAIN: 0.019, Board.CHINEXT: 0.028, Board.STAR: 0.03, Board.BEIJING: 0.034}
# Room for the rounding to ticks: a return that comes so near to a limit reaches it.
_ROOM = 0.012
_LOWEST, _HIGHEST = 5.0, 300.0
_NO_LIMIT = 10_000_000


@dataclass(frozen=True)
class Action:
    """What a holder of one share gets on the ex-date: yuan before tax, new shares, rights at a price in yuan."""

    ex_date: date
    cash: float = 0.0
    new_shares: float = 0.0
    rights: float = 0.0
    rights_price: float = 0.0

    def theoretical(self, close: float) -> float:
        """Return the ex price of a share that closed at ``close`` yuan, unrounded."""
        return (close - self.cash + self.rights_price * self.rights) / (1 + self.new_shares + self.rights)


@dataclass(frozen=True)
class Path:
    """A stock's traded days. Prices in ticks of 0.01 yuan, volumes in shares, amounts in yuan.

    ``reference``: the previous close that the exchange publishes, ex-right on an ex-date; of the first day, the
    issue price. ``next_reference``: that of the day after the last one.
    """

    date: Dates
    reference: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    amount: Floats
    actions: Sequence[Action]
    next_reference: int


def make_path(stock: SimulatedStock, days: Dates, market: Floats) -> Path:
    """Return the path of ``stock`` over the exchange's ``days`` (datetime64[D]), which begin where the market opens.

    ``market`` is what moves all stocks on each of these days (see ``market_noise``).
    1. Leave out the days before the listing, after the delisting, and those of suspensions.
    2. A walk of returns, reflected at a lowest and a highest price, is the level.
    3. At corporate actions and at limits the level jumps: to the theoretical ex price, to the limit price.
    4. Around the closes, noise makes open, high, low, volume and an amount that fits them.
    """
    first = int(np.searchsorted(days, np.datetime64(stock.listed_on)))
    last = len(days) if stock.delisted_on is None else int(np.searchsorted(days, np.datetime64(stock.delisted_on)))
    listed, moved = days[first:last], market[first:last]
    traded = ~_suspended(stock, listed)
    days, moved = listed[traded], moved[traded]
    noise = draws(stock.key, days.view(np.int64), 8)
    volatility = _VOLATILITY[stock.board] * (0.7 + 0.6 * draw(stock.key, "volatility"))
    limit = LIMIT_PERCENT[stock.board]

    returns = _returns(noise[:3], moved, volatility)
    bound = np.log1p(limit / 100) - _ROOM
    walk = _reflected(np.cumsum(returns) + np.log(8 + 40 * draw(stock.key, "price") ** 2))
    at_limit = np.flatnonzero(np.abs(returns) > bound)
    close, references, actions = _closes(stock, listed, days, walk, at_limit[at_limit > 0], limit)

    reference = references[:-1]
    most, least = (reference * (100 + limit) + 50) // 100, (reference * (100 - limit) + 50) // 100
    if len(days):
        most[0], least[0] = _NO_LIMIT, 1
    spread = reference * volatility
    opened = np.clip(np.rint(reference + spread * (noise[3] - 0.5)).astype(np.int64), least, most)
    # Some limits are held from the first trade to the last.
    locked = ((close == most) | (close == least)) & (noise[4] < 0.3)
    opened = np.where(locked, close, opened)
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    high = np.where(locked, high, np.minimum(high + (spread * noise[4] ** 2).astype(np.int64), most))
    low = np.where(locked, low, np.maximum(low - (spread * noise[5] ** 2).astype(np.int64), least))
    volume = _volumes(stock, noise[6], np.abs(returns) / volatility)
    typical = (opened + high + low + close) / 4
    average = np.clip(typical + (noise[7] - 0.5) * 0.4 * (high - low), low, high)
    amount = np.rint(average * volume) / 100
    return Path(days, reference, opened, high, low, close, volume, amount, actions, int(references[-1]))


def market_noise(seed: int, days: Dates) -> Floats:
    """Return what moves the whole market on each day, of mean 0 and variance 1."""
    noise = draws(key_of(seed, "market"), days.view(np.int64), 4)
    moves: Floats = (noise.sum(axis=0) - 2) * np.sqrt(3)
    return moves


def _returns(noise: Floats, market: Floats, volatility: float) -> Floats:
    """Return log returns with fat tails."""
    own = (noise.sum(axis=0) - 1.5) * 2
    both = 0.4 * market + 0.9 * own
    returns: Floats = volatility * both * (0.55 + 0.15 * both * both)
    return returns


def _reflected(walk: Floats) -> Floats:
    """Return prices of a walk of log prices that is reflected at the lowest and the highest one."""
    low, width = np.log(_LOWEST), np.log(_HIGHEST / _LOWEST)
    prices: Floats = np.exp(low + width - np.abs((walk - low) % (2 * width) - width))
    return prices


def _closes(
    stock: SimulatedStock, listed: Dates, days: Dates, walk: Floats, at_limit: Ints, limit: int
) -> tuple[Ints, Ints, Sequence[Action]]:
    """Return closes and references in ticks (one more, for the day after), and the actions among the ``listed`` days.

    Actions and limits are few: they are gone through in order of time, each one changing the level from then on.
    """
    jumps: list[tuple[int, float]] = [(0, 1.0)]
    references: dict[int, int] = {}
    actions: list[Action] = []
    level = 1.0
    planned = _planned_actions(stock, listed)
    places = np.searchsorted(days, np.array(planned, dtype="datetime64[D]"))
    # A limit is relative to the reference, which an action of the same day lowers first.
    moments = sorted([*((int(at), 0, i) for i, at in enumerate(places)), *((int(at), 1, 0) for at in at_limit)])
    for at, is_limit, number in moments:
        if at == 0:
            continue
        before = references.get(at) or _to_ticks(float(walk[at - 1]) * level)
        if is_limit:
            rises = walk[at] > walk[at - 1]
            price = (before * (100 + (limit if rises else -limit)) + 50) // 100
            level = price / 100 / float(walk[at])
        else:
            action = _action(stock, planned[number], before / 100)
            actions.append(action)
            theory = action.theoretical(before / 100)
            level *= theory / (before / 100)
            references[at] = _to_ticks(theory)
        jumps.append((at, level))
    starts = [at for at, _level in jumps]
    levels = np.repeat([each for _at, each in jumps], np.diff([*starts, len(days)]))
    close = _to_ticks_all(walk * levels)
    issue_price = close[:1] * 5 // 6
    reference = np.concatenate([issue_price, close])
    reference[list(references)] = list(references.values())
    return close, reference, actions


def _suspended(stock: SimulatedStock, listed: Dates) -> Mask:
    suspended = np.zeros(len(listed), dtype=bool)
    for year in _years(listed):
        if draw(stock.key, "halt", year) < 0.15:
            start = date(year, 1, 1) + timedelta(days=int(330 * draw(stock.key, "halt starts", year)))
            end = start + timedelta(days=1 + int(45 * draw(stock.key, "halt lasts", year) ** 2))
            first, last = np.searchsorted(listed, np.array([start, end], dtype="datetime64[D]"))
            suspended[max(first, 1) : last] = True
    return suspended


def _planned_actions(stock: SimulatedStock, listed: Dates) -> list[date]:
    """Return the ex-dates among the ``listed`` days: at most one a year, in early summer."""
    planned = []
    for year in _years(listed):
        if draw(stock.key, "pays", year) < 0.6:
            wanted = date(year, 5, 8) + timedelta(days=int(75 * draw(stock.key, "pays on", year)))
            at = int(np.searchsorted(listed, np.datetime64(wanted)))
            if 1 <= at < len(listed):
                planned.append(listed[at].item())
    return planned


def _action(stock: SimulatedStock, ex_date: date, close: float) -> Action:
    kind, size = draw(stock.key, "kind", ex_date.year), draw(stock.key, "size", ex_date.year)
    cash = max(0.01, round(close * (0.004 + 0.03 * size), 3))
    if kind < 0.15 and close > 15:
        return Action(ex_date, cash, new_shares=round(0.1 + 0.9 * size, 1))
    if kind > 0.98:
        return Action(ex_date, 0.0, rights=round(0.1 + 0.2 * size, 2), rights_price=round(0.7 * close, 2))
    return Action(ex_date, cash)


def _volumes(stock: SimulatedStock, noise: Floats, excitement: Floats) -> Ints:
    usual = 10 ** (5 + 2 * draw(stock.key, "usual volume"))
    shares = usual * np.exp(2 * (noise - 0.5)) * (1 + 0.5 * excitement)
    if stock.board in (Board.STAR, Board.BEIJING):
        return shares.astype(np.int64)
    whole_lots: Ints = (shares // 100).astype(np.int64) * 100
    return whole_lots


def _years(days: Dates) -> range:
    return range(days[0].item().year, days[-1].item().year + 1) if len(days) else range(0)


def _to_ticks(price: float) -> int:
    return int(price * 100 + 0.5)


def _to_ticks_all(prices: Floats) -> Ints:
    return (prices * 100 + 0.5).astype(np.int64)
