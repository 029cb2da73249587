"""Which stocks there are: what a source lists is merged into the Stock rows, and nothing known is ever blanked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from django.db import connection, transaction

from marketdata import queries
from marketdata.exceptions import BadSymbol
from marketdata.models import Stock
from marketdata.origin import claim_origin
from marketdata.recoding import current_symbols, follow_listing, has_mark, plain_name, without_mark
from marketdata.symbols import board_of, parse_symbol

_LISTED_FIELDS = ("name", "board", "listed_on", "delisted_on")
# Rows per statement. PostgreSQL takes 65,535 parameters, SQLite 32,766; a row has 12.
_BATCH = 1000


class Listed(Protocol):
    """A stock as a source lists it; ``symbol`` is canonical, an empty text or None says nothing."""

    @property
    def symbol(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def board(self) -> str: ...
    @property
    def listed_on(self) -> date | None: ...
    @property
    def delisted_on(self) -> date | None: ...


@dataclass(frozen=True)
class ListingResult:
    """How many stocks were not known before, and of how many known ones something changed."""

    added: int
    changed: int


@dataclass(frozen=True)
class _Facts:
    name: str = ""
    board: str = ""
    listed_on: date | None = None
    delisted_on: date | None = None

    def updated_by(self, listed: Listed) -> _Facts:
        """Return these facts with what ``listed`` says; what it leaves empty stays, and a name that is only written
        differently, or is that of a day (XD, N ...), too. Of a new stock that mark is cut off."""
        said = {field: value for field in _LISTED_FIELDS if (value := getattr(listed, field))}
        if has_mark(listed.name):
            said["name"] = self.name or without_mark(listed.name)
        if plain_name(said.get("name", "")) == plain_name(self.name):
            said.pop("name", None)
        return replace(self, **said)


def save_listing(listed: Iterable[Listed], *, simulated: bool) -> ListingResult:
    """Add the stocks that are not known, and bring name, board and dates of the others up to date.

    A stock that is listed twice counts once; one that is not listed any more stays. A board that nobody names
    follows from the symbol. A stock that got another code goes on in its row (``recoding.py``); a former code that
    a file still lists adds nothing. One transaction; calls take turns. Raises BadSymbol for a symbol that is not
    canonical and MixedOrigins; then nothing is stored.
    """
    stocks = list(listed)
    for stock in stocks:
        _check_canonical(stock.symbol)
    with transaction.atomic():
        claim_origin(simulated)
        _take_turns()
        former = follow_listing(stocks)
        stocks = [stock for stock in stocks if stock.symbol not in former]
        known = {
            symbol: _Facts(*facts) for symbol, *facts in Stock.objects.order_by().values_list("symbol", *_LISTED_FIELDS)
        }
        updated: dict[str, _Facts] = {}
        for stock in stocks:
            facts = updated.get(stock.symbol) or known.get(stock.symbol) or _Facts(board=board_of(stock.symbol).value)
            updated[stock.symbol] = facts.updated_by(stock)
        differing = {symbol: facts for symbol, facts in updated.items() if facts != known.get(symbol)}
        _write(differing)
    added = sum(symbol not in known for symbol in differing)
    return ListingResult(added=added, changed=len(differing) - added)


def follow_codes(listed: Iterable[Listed]) -> bool:
    """Let stocks that ``listed`` shows under another code than the stored one go on in their rows; add none.

    Returns whether there was one. One transaction; calls take turns.
    """
    with transaction.atomic():
        _take_turns()
        before = set(Stock.objects.exclude(former_symbol="").values_list("symbol", flat=True))
        return set(follow_listing(listed).values()) != before


def symbols_with_bars() -> list[str]:
    """Return the symbols of the stocks that have bars, by symbol."""
    return list(Stock.objects.filter(bar_count__gt=0).order_by("symbol").values_list("symbol", flat=True))


def ensure_stocks(symbols: Iterable[str]) -> dict[str, int]:
    """Return the id of each stock, by canonical symbol; make those that are not there. Raises BadSymbol.

    A former code is its stock's that is stored under the new one.
    """
    wanted = dict.fromkeys(symbols)
    for symbol in wanted:
        _check_canonical(symbol)
    ids = _ids_of(wanted)
    missing = [symbol for symbol in wanted if symbol not in ids]
    if missing:
        current = current_symbols(missing)
        known = _ids_of(current.values())
        ids |= {symbol: known[current[symbol]] for symbol in missing if current[symbol] in known}
        missing = [symbol for symbol in missing if symbol not in ids]
        stocks = [_stock(symbol, _Facts(board=board_of(symbol).value)) for symbol in sorted(missing)]
        Stock.objects.bulk_create(stocks, batch_size=_BATCH, ignore_conflicts=True)
        ids |= _ids_of(missing)
    return {symbol: ids[symbol] for symbol in wanted}


def _write(facts: dict[str, _Facts]) -> None:
    # In the order of the symbols: two writers that lock rows in different orders would wait for each other.
    Stock.objects.bulk_create(
        [_stock(symbol, facts[symbol]) for symbol in sorted(facts)],
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["symbol"],
        update_fields=_LISTED_FIELDS,
    )


def _stock(symbol: str, facts: _Facts) -> Stock:
    code, exchange = symbol.split(".")
    return Stock(
        symbol=symbol,
        code=code,
        exchange=exchange,
        name=facts.name,
        board=facts.board,
        listed_on=facts.listed_on,
        delisted_on=facts.delisted_on,
    )


def _ids_of(symbols: Iterable[str]) -> dict[str, int]:
    wanted = set(symbols)
    # Beyond a few, reading all is faster than naming each, and has no limit on parameters.
    stocks = Stock.objects.order_by() if len(wanted) > 500 else Stock.objects.order_by().filter(symbol__in=wanted)
    return {symbol: stock_id for symbol, stock_id in stocks.values_list("symbol", "id") if symbol in wanted}


def _check_canonical(symbol: str) -> None:
    if parse_symbol(symbol) != symbol:
        raise BadSymbol(symbol=symbol)


def _take_turns() -> None:
    # SQLite's writers take turns anyhow.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(queries.LOCK_ORIGIN_POSTGRESQL)
