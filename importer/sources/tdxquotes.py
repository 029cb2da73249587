"""通达信's quote servers: the protocol of the terminal, up to 800 days to a request.

Volumes come in lots of 100 shares (the rows decide, should a board or a server count in shares), amounts as a float
of seven digits. Days of a suspension may come as rows without a volume. Delisted stocks and Beijing's are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import ClassVar, TypeVar

import numpy as np
import pandas as pd
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer.sources import tdx_wire
from importer.sources.base import BadData, Banned, ListedStock, SourceUnavailable, UnknownSymbol
from importer.sources.bounds import Bounds
from importer.sources.compact_dates import dates_of_numbers
from importer.sources.frames import another_stock, canonical, no_bars
from importer.sources.gate import StaleConnection, one_request
from importer.sources.labels import label_of
from importer.sources.rows import PRICES, Precision
from importer.sources.tcp import Line, Lines
from importer.sources.tdx_servers import check_age, expected_day, leave_alone, proven_line
from importer.sources.tdx_wire import BARS_AT_ONCE, MARKETS, NAME, Bars
from importer.sources.units import shares_factor
from marketdata.actions import ListedAction
from marketdata.adjustment import Action
from marketdata.market_index import IndexDayBar
from marketdata.symbols import board_of, share_symbol, vendor_symbol
from marketdata.texts import word
from marketdata.trading_days import EXCHANGE_TIME, trading_days

SHARES_PER_LOT = 100.0
MILLS_PER_YUAN = 1000.0
# The calendar may lack a day or two that were added to it.
_SPARE_DAYS = 5

_SHORT_LIST = gettext_noop("%(source)s: the list of %(exchange)s ends after %(count)s of %(total)s securities.")
_NO_LIST = gettext_noop("%(source)s: the list of %(exchange)s is empty, which cannot be.")

_lines = Lines()
T = TypeVar("T")


class TdxQuotes:
    name: ClassVar[str] = NAME
    label: ClassVar[str] = label_of(NAME)
    paced: ClassVar[bool] = True
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False
    precision: ClassVar[Precision] = Precision(volume_step=int(SHARES_PER_LOT))
    # So many stocks' corporate actions are forty seconds at the usual pace.
    most_action_stocks: ClassVar[int] = 200

    def stocks(self) -> Iterable[ListedStock]:
        """Return the A-shares of Shanghai and Shenzhen that are listed now, by symbol: about fifty requests.

        No dates, and no delisted stocks. Raises what the gate raises, and BadData when a list is not whole.
        """
        found: dict[str, ListedStock] = {}
        for exchange, market in MARKETS.items():
            of_exchange = [
                stock for code, name in _securities(exchange, market) if (stock := _stock(code, exchange, name))
            ]
            if not of_exchange:
                raise BadData(_NO_LIST, source=word(self.label), exchange=exchange, symbol="")
            found |= {stock.symbol: stock for stock in of_exchange}
        return [found[symbol] for symbol in sorted(found)]

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return raw bars in BAR_COLUMNS: a request for each 800 days from today back to ``start``.

        Raises what the gate raises, UnknownSymbol, and SourceUnavailable when the server's data end before ``end``.
        """
        code, exchange = vendor_symbol(symbol, "600519"), symbol[-2:]
        if exchange not in MARKETS:
            raise UnknownSymbol(source=word(self.label), symbol=symbol)
        pages: list[Bars] = []
        fetched, wanted = 0, _days_since(start)
        while wanted is None or fetched < wanted:
            count = BARS_AT_ONCE if wanted is None else min(BARS_AT_ONCE, wanted - fetched)
            page = _page(exchange, code, fetched, count, end, int(pages[0].days[0]) if pages else None)
            if not len(page):
                break
            pages.insert(0, page)
            fetched += len(page)
            if start is not None and page.days[0] <= _number(start):
                break
        if not pages:
            raise UnknownSymbol(source=word(self.label), symbol=symbol)
        return _frame(pages, start, end)

    def market_actions(self, since: date, *, today: date, symbols: Sequence[str] | None = None) -> list[ListedAction]:
        """Return the corporate actions of named stocks, see ``ActionSource.market_actions``: a request for each.

        Raises what the gate raises, BadData, and ValueError without names: the whole market is too much to ask for.
        """
        if symbols is None:
            raise ValueError("the quote servers are asked for the corporate actions of named stocks only")
        return [
            ListedAction(symbol, action)
            for symbol in sorted(set(symbols))
            if symbol[-2:] in MARKETS
            for action in _actions(symbol)
            if action.ex_date >= since
        ]

    def index_days(self, index: str, start: date, end: date) -> Sequence[IndexDayBar]:
        """Return days of an index, see ``IndexSource.index_days``. Raises what the gate raises."""
        code, market, count = index[:6], MARKETS[index[-2:]], min(_days_since(start) or BARS_AT_ONCE, BARS_AT_ONCE)
        bars = _ask(lambda line, bounds: tdx_wire.index_bars(line, market, code, count, bounds), end)
        kept = np.flatnonzero((bars.days >= _number(start)) & (bars.days <= _number(end)))
        closes = bars.prices[:, 3] / MILLS_PER_YUAN
        days = dates_of_numbers(bars.days[kept]).tolist()
        return [
            IndexDayBar(day, float(closes[row]), float(bars.amounts[row]))
            for day, row in zip(days, kept, strict=True)
            if day is not None
        ]


def close_connections() -> None:
    """Close the connections that this process keeps."""
    _lines.close()


def _ask(question: Callable[[Line, Bounds], T], end: date | None = None) -> T:
    """Put a question to a server that has the bars of ``end``: one request, and a few where a new server is needed.

    A server that fails is left alone for a while: the next question goes to another one.
    """
    while True:
        try:
            with _line(end) as line, one_request(NAME, line.host) as bounds:
                return question(line, bounds)
        except StaleConnection:
            continue


def _page(exchange: str, code: str, start: int, count: int, end: date | None, before: int | None) -> Bars:
    def question(line: Line, bounds: Bounds) -> Bars:
        return tdx_wire.daily_bars(line, MARKETS[exchange], code, start, count, bounds, before=before)

    return _ask(question, end)


def _actions(symbol: str) -> list[Action]:
    code, market = vendor_symbol(symbol, "600519"), MARKETS[symbol[-2:]]
    sent, actions = _ask(lambda line, bounds: tdx_wire.ex_rights(line, market, code, bounds))
    if sent != code:
        raise another_stock(NAME, symbol, sent)
    return actions


@contextmanager
def _line(end: date | None) -> Iterator[Line]:
    with _lines.one(proven_line) as line:
        try:
            if line.checked_for < expected_day(end):
                check_age(line, end)
                line.checked_for = expected_day(end)
            yield line
        except (SourceUnavailable, Banned):
            leave_alone(line)
            raise


def _securities(exchange: str, market: int) -> Iterator[tuple[str, str]]:
    total = _ask(lambda line, bounds: tdx_wire.security_count(line, market, bounds))
    start = 0
    before: list[tuple[str, str]] = []
    while start < total:
        page = _list_page(market, start)
        # The same page again would pass for those that are missing.
        if not page or page == before:
            raise BadData(
                _SHORT_LIST, source=word(label_of(NAME)), exchange=exchange, count=start, total=total, symbol=""
            )
        yield from page
        start, before = start + len(page), page


def _list_page(market: int, start: int) -> list[tuple[str, str]]:
    return _ask(lambda line, bounds: tdx_wire.securities(line, market, start, bounds))


def _stock(code: str, exchange: str, name: str) -> ListedStock | None:
    """Return an A-share; None for an index, a fund, a bond or a B-share."""
    symbol = share_symbol(f"{code}.{exchange}")
    return ListedStock(symbol, name=name, board=board_of(symbol).value) if symbol is not None else None


def _days_since(start: date | None) -> int | None:
    """Return how many days a stock can have traded since ``start``, a few more rather than less; None: no bound."""
    if start is None:
        return None
    today = timezone.now().astimezone(EXCHANGE_TIME).date()
    return len(trading_days(start, max(start, today)).days) + _SPARE_DAYS


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def _frame(pages: list[Bars], start: date | None, end: date | None) -> pd.DataFrame:
    days = np.concatenate([page.days for page in pages])
    volumes = np.concatenate([page.volumes for page in pages])
    amounts = np.concatenate([page.amounts for page in pages])
    prices = np.concatenate([page.prices for page in pages]) / MILLS_PER_YUAN
    # A day without a trade is no bar; a day of which a number is missing is one, for validation to see.
    kept = ~((volumes == 0) & (amounts == 0))
    if start is not None:
        kept &= days >= _number(start)
    if end is not None:
        kept &= days <= _number(end)
    if not kept.any():
        return no_bars()
    bars = pd.DataFrame(
        {
            "date": dates_of_numbers(days[kept]).astype("datetime64[s]"),
            **{name: prices[kept, column] for column, name in enumerate(PRICES)},
            "volume": volumes[kept],
            "amount": amounts[kept],
        }
    )
    bars["volume"] *= shares_factor(bars, SHARES_PER_LOT, (1.0,))
    return canonical(bars)
