"""A day of many stocks from one proven snapshot: what a lane stores at once, and what it leaves to be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pandas as pd
from django.db import transaction

from importer.chunks import Claim, advance, reorder
from importer.dbtime import db_now
from importer.models import ImportTask
from importer.snapshot_parts import Piece, kept_table
from importer.snapshot_rows import DayTable, Decision, Row, decide
from importer.sources.registry import get_source
from importer.sources.rows import precision_of
from marketdata.store import Standing, standings, store_day
from marketdata.trading_days import previous_trading_day

# So many stocks in one transaction: their bars, summaries, the cursor and the counters.
STOCKS_AT_ONCE = 300


@dataclass(frozen=True)
class MarketDay:
    """A proven snapshot as lanes use it. ``open_ex_rights``: the exchange's previous closes that nothing explains."""

    pieces: tuple[Piece, ...]
    simulated: bool
    day: date
    previous_day: date
    table: DayTable
    explained: frozenset[str]
    open_ex_rights: Mapping[str, float]

    def decide(self, symbol: str, standing: Standing | None) -> Decision:
        """Return what the snapshot decides about a stock that stands there."""
        return decide(
            self.table.rows.get(symbol),
            standing,
            day=self.day,
            previous_day=self.previous_day,
            doubtful=symbol in self.table.doubtful,
            explained=symbol in self.explained,
        )

    def source_of(self, symbol: str) -> str:
        """Return the source that showed the stock's exchange; the first one for an exchange that none showed."""
        of_exchange = (piece.source for piece in self.pieces if symbol.endswith(piece.exchange))
        return next(of_exchange, self.pieces[0].source)

    def as_parameters(self) -> dict[str, Any]:
        """Return what the task's row keeps: all but the table, whose parts are kept apart."""
        return {
            "day": self.day.isoformat(),
            "pieces": [[piece.source, piece.part, piece.exchange] for piece in self.pieces],
            "explained": sorted(self.explained),
            "open_ex_rights": dict(self.open_ex_rights),
        }


@dataclass(frozen=True)
class Decided:
    """What was stored at once: the chunk as it is held now, stocks that are finished, rows written, the last stock."""

    claimed: Claim
    stocks: int
    rows: int
    symbol: str


def market_day(task: ImportTask) -> MarketDay | None:
    """Return the snapshot that a task was planned with; None when it was planned without one."""
    kept = task.parameters.get("snapshot")
    if not kept:
        return None
    day, pieces = date.fromisoformat(kept["day"]), _pieces(kept)
    sources = {piece.source: get_source(piece.source) for piece in pieces}
    precision = {name: precision_of(source) for name, source in sources.items()}
    return MarketDay(
        pieces=pieces,
        simulated=any(source.simulated for source in sources.values()),
        day=day,
        previous_day=previous_trading_day(day) or day,
        table=kept_table(pieces, day, precision),
        explained=frozenset(kept["explained"]),
        open_ex_rights=kept["open_ex_rights"],
    )


def store_decided(market: MarketDay, claimed: Claim) -> Decided | None:
    """Store what the snapshot decides about the stocks of a chunk that are not finished; None when it is nothing.

    1. Read where the stocks stand now, and hold them: since the plan was made others may have stored bars.
    2. Those that are decided come first from now on; the others follow, to be asked for one by one.
    3. Their bars, the cursor's move and the counters are one transaction.

    Raises LostLease.
    """
    ahead = claimed.symbols[claimed.cursor :]
    with transaction.atomic():
        found = standings(ahead, lock=True)
        decisions = {symbol: market.decide(symbol, found.get(symbol)) for symbol in ahead}
        decided = [symbol for symbol in ahead if decisions[symbol] != Decision.ASK]
        if not decided:
            return None
        stored = [symbol for symbol in decided if decisions[symbol] == Decision.STORE]
        symbols = (
            *claimed.symbols[: claimed.cursor],
            *decided,
            *(symbol for symbol in ahead if decisions[symbol] == Decision.ASK),
        )
        without_bar = [found[symbol] for symbol in decided if decisions[symbol] == Decision.SUSPENDED]
        by_source = dict(claimed.by_source)
        for source in dict.fromkeys(piece.source for piece in market.pieces):
            shown = [symbol for symbol in stored if market.source_of(symbol) == source]
            store_day(
                market.day,
                [found[symbol] for symbol in shown],
                _frame([market.table.rows[symbol] for symbol in shown]),
                without_bar=[each for each in without_bar if market.source_of(each.symbol) == source],
                source=source,
                simulated=market.simulated,
            )
            if shown:
                by_source[source] = by_source.get(source, 0) + len(shown)
        if symbols != claimed.symbols:
            reorder(claimed, symbols)
        advance(
            claimed,
            claimed.cursor,
            db_now(),
            done=len(stored),
            skipped=len(decided) - len(stored),
            rows=len(stored),
            by_source=by_source,
        )
    now_held = replace(claimed, symbols=symbols, cursor=claimed.cursor + len(decided), by_source=by_source)
    return Decided(now_held, len(decided), len(stored), decided[-1])


def _pieces(kept: Mapping[str, Any]) -> tuple[Piece, ...]:
    if "pieces" in kept:
        return tuple(Piece(*piece) for piece in kept["pieces"])
    # Planned before an exchange could come from another source than the rest.
    return tuple(Piece(kept["source"], part, part) for part in kept["parts"])


def _frame(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(Row._fields))
