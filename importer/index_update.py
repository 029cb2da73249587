"""Get the exchanges' indexes with a daily update, to compare a day's bars with. What cannot be had fails no update."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta

from importer.sources.base import Banned, IndexSource, Source, SourceError
from importer.sources.registry import in_registry_order
from marketdata.index_days import newest_index_days, save_index_days
from marketdata.market_index import INDEX_OF, IndexDayBar

logger = logging.getLogger(__name__)

# Who has bars of this share of an exchange's stocks has that exchange, and it can be compared with its index.
WHOLE_EXCHANGE = 0.9
# Where nobody can say how many stocks there are, it is taken for whole from so many on: a folder may hold a few.
MANY_STOCKS = 1000
# Days that were missed are fetched with the newest one, in the same request.
LOOK_BACK = timedelta(days=30)


def whole_exchanges(shown: Iterable[str], known: Collection[str], *, end: date) -> set[str]:
    """Return the exchanges of which the database has (nearly) all stocks.

    ``shown``: the symbols that a source names; of an exchange of which it names none an index that was stored
    lately says that it was whole then. ``known``: the symbols that have bars.
    """
    newest = newest_index_days()
    whole = {exchange for exchange, index in INDEX_OF.items() if newest.get(index, date.min) >= end - LOOK_BACK}
    by_exchange: dict[str, list[str]] = {}
    for symbol in shown:
        by_exchange.setdefault(symbol[-2:], []).append(symbol)
    for exchange in INDEX_OF.keys() & by_exchange.keys():
        of_exchange = by_exchange[exchange]
        if sum(symbol in known for symbol in of_exchange) >= WHOLE_EXCHANGE * len(of_exchange):
            whole.add(exchange)
        else:
            whole.discard(exchange)
    return whole


def large_exchanges(known: Iterable[str]) -> set[str]:
    """Return the exchanges of which so many stocks have bars that it is taken for whole."""
    counts = dict.fromkeys(INDEX_OF, 0)
    for symbol in known:
        if symbol[-2:] in counts:
            counts[symbol[-2:]] += 1
    return {exchange for exchange, count in counts.items() if count >= MANY_STOCKS}


def follow_indexes(sources: Sequence[Source], exchanges: Collection[str], *, end: date) -> None:
    """Store the indexes of whole exchanges up to ``end``, a finished day: one request for each that is not there yet.

    The sources of the update are asked in turn until one has the day. What none has is logged, and stays unknown.
    Raises StopRequested.
    """
    newest = newest_index_days()
    wanted = {index: _first(newest.get(index), end) for exchange, index in INDEX_OF.items() if exchange in exchanges}
    wanted = {index: start for index, start in wanted.items() if start <= end}
    for source in in_registry_order([source for source in sources if isinstance(source, IndexSource)]):
        for index, start in list(wanted.items()):
            try:
                days = [each for each in source.index_days(index, start, end) if _is_plausible(each, start, end)]
            except SourceError as error:
                logger.warning("the index %s from %s: %s", index, source.name, error)
                if isinstance(error, Banned):
                    break
                continue
            save_index_days(index, days, source=source.name)
            if any(each.day == end for each in days):
                del wanted[index]
    if wanted:
        logger.info("no source has the indexes of %s: %s; the day is not compared with them", end, ", ".join(wanted))


def _first(newest: date | None, end: date) -> date:
    return end if newest is None else max(newest + timedelta(days=1), end - LOOK_BACK)


def _is_plausible(each: IndexDayBar, start: date, end: date) -> bool:
    numbers = (each.close, each.amount)
    return start <= each.day <= end and all(math.isfinite(number) and number > 0 for number in numbers)
