"""Tencent (腾讯): one request to learn since when a stock is known, then one for each calendar year of the range.

Amounts come in ten thousand yuan with two decimals, so they are exact to 100 yuan. AKShare makes shares of the
volumes by the code's beginning, and is wrong for two: 000xxx in Shenzhen stays in lots, 689xxx in Shanghai becomes
a hundred times too large. Beijing's stocks are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import ClassVar

import akshare
import pandas as pd

from importer.sources.akshare.calls import asking
from importer.sources.akshare.exchanges import listed_stocks
from importer.sources.base import BAR_COLUMNS, BadData, ListedStock, UnknownSymbol
from importer.sources.frames import another_stock, canonical, no_bars, require_columns
from importer.sources.gate_adapter import Passage
from importer.sources.labels import label_of
from importer.sources.rows import Precision
from importer.sources.units import shares_factor
from marketdata.symbols import vendor_symbol
from marketdata.texts import word
from marketdata.trading_days import EXCHANGE_TIME, FIRST_DAY

# AKShare's mistakes, and what undoes them. Should a later version mend them, the rows say so.
_UNDO = {"sz000": 100.0, "sh689": 0.01}
_STOCK_IN_ANSWER = re.compile(rb'"data"\s*:\s*\{\s*"((?:sh|sz|bj)\d{6})"')
_EMPTY_YEAR = re.compile(rb'"day"\s*:\s*\[\s*\]')
# How the request for the first day is told from those for the years.
_FIRST_DAY_REQUEST = "kline_dayqfq"


class Tencent:
    name: ClassVar[str] = "tencent"
    label: ClassVar[str] = label_of("tencent")
    paced: ClassVar[bool] = True
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False
    exchanges: ClassVar[frozenset[str]] = frozenset({"SH", "SZ"})
    precision: ClassVar[Precision] = Precision(volume_step=100, amount_step=100.0)

    def stocks(self) -> Iterable[ListedStock]:
        """Return the A-shares of Shanghai and Shenzhen that are or were listed: see ``listed_stocks``."""
        return [stock for stock in listed_stocks() if not stock.symbol.endswith(".BJ")]

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return raw bars in BAR_COLUMNS: one request, and one for each year from the later of ``start`` and the
        stock's first day to ``end``.

        Raises what ``asking`` raises, UnknownSymbol and BadData.
        """
        if symbol.endswith(".BJ"):
            raise UnknownSymbol(source=word(self.label), symbol=symbol)
        vendor = vendor_symbol(symbol, "sh600519")
        passage: Passage | None = None
        try:
            with asking(self.name, symbol) as passage:
                # Without the dashes AKShare takes the year for a large number and fetches every year to this one.
                answer = akshare.stock_zh_a_hist_tx(
                    symbol=vendor,
                    start_date=(start or FIRST_DAY).isoformat(),
                    end_date=(end or datetime.now(EXCHANGE_TIME).date()).isoformat(),
                    adjust="",
                )
        except BadData as error:
            if passage is not None and isinstance(error.__cause__, LookupError | TypeError):
                _check_stock(passage, vendor, symbol)
                if _is_unknown(passage):
                    raise UnknownSymbol(source=word(self.label), symbol=symbol) from error
                if _has_no_rows(passage):
                    return no_bars()
            raise
        if answer.empty:
            return no_bars()
        require_columns(answer, BAR_COLUMNS, self.name, symbol)
        bars = canonical(answer)
        undo = next((factor for start_, factor in _UNDO.items() if vendor.startswith(start_)), 1.0)
        factor = shares_factor(bars, undo, (1.0,) if undo != 1.0 else ())
        if factor != 1.0:
            bars["volume"] = (bars["volume"] * factor).round().astype(bars["volume"].dtype)
        return bars


def _check_stock(passage: Passage, vendor: str, symbol: str) -> None:
    for _, head in passage.heads:
        sent = _STOCK_IN_ANSWER.search(head)
        if sent is not None and sent[1].decode() != vendor:
            raise another_stock(Tencent.name, symbol, sent[1].decode())


def _is_unknown(passage: Passage) -> bool:
    """Say whether AKShare failed to learn since when the stock is known: it asks a second page, and finds nothing."""
    return bool(passage.heads) and _FIRST_DAY_REQUEST in passage.heads[-1][0]


def _has_no_rows(passage: Passage) -> bool:
    """Say whether every year that was asked for came without rows, of which AKShare can make no frame."""
    years = [head for url, head in passage.heads if "newfqkline" in url]
    return all(_EMPTY_YEAR.search(head) for head in years)
