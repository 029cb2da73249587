"""Sina (新浪): two requests per stock, always its whole history, packed; volumes in shares, amounts in yuan.

AKShare decodes the history in a JavaScript engine; several of those at once have been seen to end the process, so
one call runs at a time. Only the raw branch is ever called: for adjusted prices and factors AKShare gives the
server's answer to Python's ``eval``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import ClassVar

import akshare
import numpy as np
import pandas as pd
from django.utils.translation import gettext_noop

from importer.sources.akshare.calls import asking
from importer.sources.akshare.exchanges import listed_stocks
from importer.sources.akshare.sina_market import market_rows
from importer.sources.base import BAR_COLUMNS, BadData, ListedStock, UnknownSymbol
from importer.sources.fetching import current_context
from importer.sources.frames import another_stock, canonical, no_bars, require_columns
from importer.sources.gate_adapter import Passage
from importer.sources.gate_signs import NotThere, out_of_time
from importer.sources.labels import label_of
from importer.sources.rows import EXACT, Precision
from marketdata.symbols import vendor_symbol
from marketdata.texts import word
from marketdata.trading_days import known_calendar

_STOCK_IN_ANSWER = re.compile(rb"KLC_\w*?((?:sh|sz|bj)\d{6})")
_LOOK_EVERY = 0.25
_one_engine = threading.Lock()

_EMPTY_CALENDAR = gettext_noop("%(source)s sent an empty list of trading days.")


class Sina:
    name: ClassVar[str] = "sina"
    label: ClassVar[str] = label_of("sina")
    paced: ClassVar[bool] = True
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False
    precision: ClassVar[Precision] = EXACT
    snapshot_parts: ClassVar[Sequence[str]] = ("",)

    def stocks(self) -> Iterable[ListedStock]:
        """Return every A-share that is or was listed, from the exchanges' own lists: see ``listed_stocks``."""
        return listed_stocks()

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return raw bars in BAR_COLUMNS: two requests for the whole history, of which the range is kept.

        AKShare cuts the range out before it removes the records of share capital that it has mixed in, each of
        which then is a bar on a day without trading: so the range is cut here, and days on which the exchange was
        closed are dropped. Raises what ``asking`` raises, UnknownSymbol and BadData.
        """
        vendor = vendor_symbol(symbol, "sh600519")
        try:
            with _engine_to_itself(), asking(self.name, symbol) as passage:
                answer = akshare.stock_zh_a_daily(symbol=vendor, start_date="19900101", end_date="21000101", adjust="")
        except NotThere as error:
            raise UnknownSymbol(source=word(self.label), symbol=symbol) from error
        _check_stock(passage, vendor, symbol)
        if answer.empty:
            return no_bars()
        require_columns(answer, BAR_COLUMNS, self.name, symbol)
        return _in_range(_on_open_days(canonical(answer)), start, end)

    def snapshot(self, day: date, part: str = "") -> pd.DataFrame:
        """Return every stock of its market pages, 80 to a page, see ``SnapshotSource.snapshot``; one call.

        Raises what ``asking`` raises, and BadData.
        """
        return market_rows(self.name)


def published_trading_days() -> list[date]:
    """Return the exchange's days as Sina publishes them, sorted: one request.

    A truncated answer gives wrong dates without an error: ``marketdata.trading_days.extend_calendar`` checks them.
    Raises what ``asking`` raises.
    """
    with _engine_to_itself(), asking(Sina.name):
        answer = akshare.tool_trade_date_hist_sina()
    days = sorted(set(answer["trade_date"]))
    if not days:
        raise BadData(_EMPTY_CALENDAR, source=word(Sina.label), symbol="")
    return days


@contextmanager
def _engine_to_itself() -> Iterator[None]:
    """Wait until no other thread of this process decodes, looking whether to stop meanwhile."""
    context = current_context()
    while not _one_engine.acquire(timeout=_LOOK_EVERY):
        if context is not None:
            context.raise_if_stopping()
            if context.seconds_left() <= 0:
                raise out_of_time(Sina.name, 0)
    try:
        yield
    finally:
        _one_engine.release()


def _check_stock(passage: Passage, vendor: str, symbol: str) -> None:
    for _, head in passage.heads:
        sent = _STOCK_IN_ANSWER.search(head)
        if sent is not None and sent[1].decode() != vendor:
            raise another_stock(Sina.name, symbol, sent[1].decode())


def _on_open_days(bars: pd.DataFrame) -> pd.DataFrame:
    calendar = known_calendar()
    # A row whose date cannot be read stays: validation lists it.
    keep = [pd.isna(day) or calendar.is_open(day) for day in bars["date"].dt.date]
    return bars.loc[keep].reset_index(drop=True)


def _in_range(bars: pd.DataFrame, start: date | None, end: date | None) -> pd.DataFrame:
    outside = np.zeros(len(bars), dtype=bool)
    if start is not None:
        outside |= (bars["date"] < pd.Timestamp(start)).to_numpy()
    if end is not None:
        outside |= (bars["date"] > pd.Timestamp(end)).to_numpy()
    return bars.loc[~outside].reset_index(drop=True)
