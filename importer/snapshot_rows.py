"""A day of the whole market as a snapshot shows it: is it to be believed, and what does it decide? Pure.

Why with these limits: docs/decisions/010-daily-update.md
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

import pandas as pd
from django.utils.translation import gettext_noop

from importer.sources.base import SNAPSHOT_COLUMNS
from importer.sources.rows import EXACT, Precision
from importer.sources.validation import sound_rows, to_tick
from marketdata.store import Standing
from marketdata.texts import Text, word

PRICES = ("open", "high", "low", "close")
HALF_A_TICK = 0.005
# The widest limit is 30 % of the previous close; its rounding may add a little.
WIDEST_MOVE = 0.31
# Of 100 rows at most so many may be missing, or odd, before the whole part is refused; a few may be in a small part.
MISSING_PERCENT, ODD_PERCENT, REPEATED_PERCENT, FEW = 2, 1, 10, 2
# A probe's prices agree to a tick, its volume to a lot: as in ``overlap.py``.
PRICE_TOLERANCE, LOT = 0.011, 100

_MISSING = gettext_noop("It shows only %(shown)s of the %(known)s stocks that are known up to %(day)s.")
_IMPLAUSIBLE = gettext_noop(
    "%(odd)s of %(total)s rows cannot be right, %(symbol)s among them: close %(close)s yuan, %(volume)s shares for "
    "%(amount)s yuan."
)
_JUMPS = gettext_noop(
    "%(odd)s of %(total)s stocks moved by more than 31 %% in a day, %(symbol)s from %(prev_close)s to %(close)s yuan."
)
_REPEATED = gettext_noop("%(odd)s of %(total)s stocks show the bar of %(day)s: it is not of today.")
_NOTHING = gettext_noop("No stock in it has traded.")
_NO_BAR = gettext_noop("%(symbol)s has no bar of %(day)s yet when it is asked for by itself.")
_DISAGREES = gettext_noop(
    "%(symbol)s asked for by itself says %(field)s %(fetched)s, and not %(shown)s: the session is not over, or it is "
    "of another day."
)


class Row(NamedTuple):
    """A stock in the snapshot: yuan and shares. NaN where it did not trade."""

    symbol: str
    name: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    amount: float
    prev_close: float

    @property
    def traded(self) -> bool:
        return self.volume > 0


@dataclass(frozen=True)
class DayTable:
    """The rows of one part of a snapshot, by symbol. ``doubtful``: those that fail a check, or are there twice and
    differ: they are in ``rows`` so that they count as shown, and decide nothing."""

    rows: Mapping[str, Row]
    doubtful: frozenset[str]

    def traded(self) -> list[Row]:
        return [row for row in self.rows.values() if row.traded]


class Decision(StrEnum):
    """What the snapshot decides about a stock."""

    STORE = "store"  # its row is the day's bar
    SUSPENDED = "suspended"  # it is known to have no bar that day
    KNOWN = "known"  # the day is stored, or known to have no bar, already
    ASK = "ask"  # the snapshot cannot tell: it is asked for by itself


def read_table(records: Iterable[Sequence[Any]], *, day: date, precision: Precision = EXACT) -> DayTable:
    """Return what a source showed; each record has the values of SNAPSHOT_COLUMNS, None for a number that is missing.

    A row that repeats another one counts once. Prices become the nearest whole tick where they are one.
    """
    frame = pd.DataFrame(list(records), columns=list(SNAPSHOT_COLUMNS)).drop_duplicates(ignore_index=True)
    numbers = frame[[*PRICES, "volume", "amount", "prev_close"]].apply(pd.to_numeric, errors="coerce").astype(float)
    sound = sound_rows(numbers.assign(date=pd.Timestamp(day)), today=day, precision=precision)
    for name in (*PRICES, "prev_close"):
        numbers[name] = to_tick(numbers[name].to_numpy())
    columns = [frame["symbol"], frame["name"].fillna(""), *(numbers[name] for name in SNAPSHOT_COLUMNS[2:])]
    rows: dict[str, Row] = {}
    doubtful = set()
    for row, is_sound in zip(
        map(Row._make, zip(*(each.tolist() for each in columns), strict=True)), sound, strict=True
    ):
        # A price without a volume, or a volume without a price.
        half = math.isnan(row.volume) != math.isnan(row.close)
        if row.symbol in rows or half or (row.traded and not (is_sound and row.prev_close > 0)):
            doubtful.add(row.symbol)
        rows[row.symbol] = row
    return DayTable(rows, frozenset(doubtful))


def objection(table: DayTable, standings: Mapping[str, Standing], *, day: date, previous_day: date) -> Text | None:
    """Return why a part of a snapshot cannot be the finished ``day``; None when nothing speaks against it.

    ``standings``: of the stocks that belong into the part and are not delisted. ``previous_day`` is the trading day
    before.
    """
    traded = table.traded()
    if not traded:
        return Text(_NOTHING)
    newest = max((each.last_bar for each in standings.values()), default=previous_day)
    current = [symbol for symbol, each in standings.items() if each.last_bar == newest and newest < day]
    shown = sum(symbol in table.rows for symbol in current)
    if _too_many(len(current) - shown, len(current), MISSING_PERCENT):
        return Text(_MISSING, {"shown": shown, "known": len(current), "day": newest.isoformat()})
    odd = [row for row in traded if row.symbol in table.doubtful]
    if _too_many(len(odd), len(traded), ODD_PERCENT):
        return Text(_IMPLAUSIBLE, {"odd": len(odd), "total": len(traded), **_shown(odd[0])})
    odd = [row for row in traded if not abs(row.close - row.prev_close) <= WIDEST_MOVE * row.prev_close]
    if _too_many(len(odd), len(traded), ODD_PERCENT):
        return Text(_JUMPS, {"odd": len(odd), "total": len(traded), **_shown(odd[0])})
    comparable = [row for row in traded if row.symbol in standings and standings[row.symbol].last_bar == previous_day]
    repeated = sum(repeats(row, standings[row.symbol]) for row in comparable)
    if repeated and (repeated == len(comparable) or _too_many(repeated, len(comparable), REPEATED_PERCENT)):
        return Text(_REPEATED, {"odd": repeated, "total": len(comparable), "day": previous_day.isoformat()})
    return None


def repeats(row: Row, standing: Standing) -> bool:
    """Say whether a row is the stock's newest stored bar once more."""
    return row.volume == standing.volume and abs(row.close - standing.close) < HALF_A_TICK


def probes_of(table: DayTable, count: int) -> list[Row]:
    """Return the rows to confirm by asking for their stocks: of the largest amounts, which move until the close."""
    sound = [row for row in table.traded() if row.symbol not in table.doubtful]
    return sorted(sound, key=lambda row: (row.amount, row.symbol), reverse=True)[:count]


def probe_objection(row: Row, bars: pd.DataFrame, day: date) -> Text | None:
    """Return in what the stock's own ``bars`` contradict its row; None when they confirm it."""
    own = bars[bars["date"] == pd.Timestamp(day)]
    if own.empty:
        return Text(_NO_BAR, {"symbol": row.symbol, "day": day.isoformat()})
    for field in (*PRICES, "volume"):
        fetched, shown = float(own[field].iloc[-1]), float(getattr(row, field))
        if abs(fetched - shown) > (LOT if field == "volume" else PRICE_TOLERANCE):
            values = {"symbol": row.symbol, "field": word(field)}
            return Text(_DISAGREES, {**values, "fetched": f"{fetched:g}", "shown": f"{shown:g}"})
    return None


def decide(
    row: Row | None, standing: Standing | None, *, day: date, previous_day: date, doubtful: bool, explained: bool
) -> Decision:
    """Return what the snapshot of ``day`` decides about a stock.

    ``explained``: a corporate action explains a previous close that is not the stored one.
    """
    if standing is None:
        return Decision.ASK
    if standing.known_until >= day:
        return Decision.KNOWN
    gone = standing.delisted_on is not None and standing.delisted_on <= day
    if gone or standing.known_until < previous_day or row is None or doubtful:
        return Decision.ASK
    if not row.traded:
        return Decision.SUSPENDED
    if repeats(row, standing) or not (explained or follows(row, standing)):
        return Decision.ASK
    return Decision.STORE


def follows(row: Row, standing: Standing) -> bool:
    """Say whether the exchange's previous close is the stored one: not ex-right, and nothing is missing between."""
    return abs(row.prev_close - standing.close) < HALF_A_TICK


def _too_many(odd: int, total: int, percent: int) -> bool:
    return odd > FEW and odd * 100 > total * percent


def _shown(row: Row) -> dict[str, Any]:
    numbers = ("close", "prev_close", "volume", "amount")
    return {"symbol": row.symbol, **{name: f"{getattr(row, name):,g}" for name in numbers}}
