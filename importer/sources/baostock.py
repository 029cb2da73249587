"""Baostock: a free service with its own protocol over TCP, asked through its own package.

Raw prices, volumes in shares, amounts to a hundredth of a yuan or better; 2,000 days to a request. Days of a
suspension are rows without a trade. Beijing's stocks are not known. A day's bars come in the evening (about 17:30, by
its documentation), so a stock that lacks today's row before that is not suspended.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from typing import Any, ClassVar

import baostock
import pandas as pd
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer.sources.baostock_wire import asking
from importer.sources.base import BAR_COLUMNS, BadData, ListedStock, SourceUnavailable, UnknownSymbol
from importer.sources.frames import another_stock, canonical, no_bars, require_columns
from importer.sources.labels import label_of
from importer.sources.rows import EXACT, Precision
from marketdata.symbols import board_of, share_symbol, vendor_symbol
from marketdata.texts import Text, sentence, word
from marketdata.trading_days import EXCHANGE_TIME, FIRST_DAY, known_calendar

# By its documentation half past five; nobody waits for it at that minute.
PUBLISHED_AT = time(18, 0)
_FIELDS = ("date", "code", "open", "high", "low", "close", "volume", "amount", "tradestatus")
_RAW = "3"
_TRADED = "1"
_STOCK_FIELDS = ("code", "code_name", "ipoDate", "outDate", "type")
_A_STOCK = "1"

_NOT_YET = gettext_noop("it publishes the bars of a day in the evening; ask for those of %(day)s after %(time)s")
_NO_LIST = gettext_noop("%(source)s: the list of %(exchange)s is empty, which cannot be.")


class Baostock:
    name: ClassVar[str] = "baostock"
    label: ClassVar[str] = label_of("baostock")
    paced: ClassVar[bool] = True
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False
    exchanges: ClassVar[frozenset[str]] = frozenset({"SH", "SZ"})
    precision: ClassVar[Precision] = EXACT

    def stocks(self) -> Iterable[ListedStock]:
        """Return the A-shares of Shanghai and Shenzhen that are or were listed, by symbol: about five requests.

        Raises what ``asking`` raises, and BadData when an exchange is missing: half a market would pass for the whole.
        """
        with asking():
            rows = _rows(baostock.query_stock_basic())
        require_columns(rows, _STOCK_FIELDS, self.name, "")
        found = [stock for row in rows.to_dict("records") if (stock := _stock(row)) is not None]
        for exchange in ("SH", "SZ"):
            if not any(stock.symbol.endswith(exchange) for stock in found):
                raise BadData(_NO_LIST, source=word(self.label), exchange=exchange, symbol="")
        return sorted(found, key=lambda stock: stock.symbol)

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return raw bars in BAR_COLUMNS: a request for each 2,000 days.

        Raises what ``asking`` raises, UnknownSymbol, BadData, and SourceUnavailable for today's bar before it is
        published.
        """
        if symbol.endswith(".BJ"):
            raise UnknownSymbol(source=word(self.label), symbol=symbol)
        vendor = vendor_symbol(symbol, "sh.600519")
        now = timezone.now().astimezone(EXCHANGE_TIME)
        today = now.date()
        needs_today = end == today and known_calendar().is_open(today)
        if needs_today and now.time() < PUBLISHED_AT:
            raise self._not_yet(today)
        with asking(symbol):
            answer = baostock.query_history_k_data_plus(
                vendor,
                ",".join(_FIELDS),
                start_date=(start or FIRST_DAY).isoformat(),
                end_date=(end or today).isoformat(),
                frequency="d",
                adjustflag=_RAW,
            )
            rows = _rows(answer)
        if answer.code != vendor:
            raise another_stock(self.name, symbol, answer.code)
        if rows.empty:
            bars, newest = no_bars(), ""
        else:
            require_columns(rows, _FIELDS, self.name, symbol)
            others = rows.loc[rows["code"] != vendor, "code"]
            if len(others):
                raise another_stock(self.name, symbol, str(others.iloc[0]))
            newest = str(rows["date"].iloc[-1])
            bars = canonical(rows.loc[rows["tradestatus"] == _TRADED, list(BAR_COLUMNS)])
        # A suspended stock has a row for today; only one that is published late, or delisted, has none.
        if needs_today and newest < today.isoformat():
            raise self._not_yet(today)
        return bars

    def _not_yet(self, day: date) -> SourceUnavailable:
        """It is nobody's failure, and does not count as one: nothing is reported to the breaker."""
        detail = sentence(Text(_NOT_YET, {"day": day.isoformat(), "time": f"{PUBLISHED_AT:%H:%M}"}))
        return SourceUnavailable(source=word(self.label), detail=detail)


def _rows(answer: Any) -> pd.DataFrame:
    """Return all rows of an answer of the package, page by page: its own frame is made with what pandas has dropped."""
    rows: list[list[str]] = []
    while answer.next():
        rows.append(answer.get_row_data())
    return pd.DataFrame(rows, columns=answer.fields or None)


def _stock(row: dict[Any, Any]) -> ListedStock | None:
    """Return a row's stock; None for an index, a fund, a bond or a B-share."""
    symbol = share_symbol(row["code"])
    if row["type"] != _A_STOCK or symbol is None:
        return None
    return ListedStock(
        symbol,
        name=row["code_name"].strip(),
        board=board_of(symbol).value,
        listed_on=_day(row["ipoDate"]),
        delisted_on=_day(row["outDate"]),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
