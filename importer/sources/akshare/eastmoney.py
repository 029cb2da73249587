"""Eastmoney (东方财富): one request per stock and range, the fastest of the websites and the first to ban.

Volumes come in lots of 100 shares, on the STAR Market and in Beijing too (docs/decisions/006-gate-and-pace.md);
amounts in yuan. The answer to a range without bars is the same as that to an unknown code: an empty frame proves
nothing. Adjusted prices (``qfq``, ``hfq``) are never asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import ClassVar

import akshare
import pandas as pd

from importer.sources.akshare.calls import asking
from importer.sources.akshare.dividends import listed_actions
from importer.sources.akshare.exchanges import listed_stocks
from importer.sources.akshare.market_pages import PAGES, SHARES_PER_LOT, market_part
from importer.sources.base import ListedStock
from importer.sources.frames import another_stock, canonical, no_bars, require_columns
from importer.sources.gate_adapter import Passage
from importer.sources.labels import label_of
from importer.sources.rows import Precision
from importer.sources.units import shares_factor
from marketdata.actions import ListedAction
from marketdata.market_index import IndexDayBar
from marketdata.symbols import Board, board_of, vendor_symbol

__all__ = ["SHARES_PER_LOT", "Eastmoney"]

_COLUMNS = {
    "日期": "date",
    "开盘": "open",
    "最高": "high",
    "最低": "low",
    "收盘": "close",
    "成交量": "volume",
    "成交额": "amount",
}
_CODE_IN_ANSWER = re.compile(rb'"code"\s*:\s*"(\w+)"')
# Where others have been reported to count in shares, the rows are asked.
_DOUBTFUL_BOARDS = (Board.STAR, Board.BEIJING)


class Eastmoney:
    name: ClassVar[str] = "eastmoney"
    label: ClassVar[str] = label_of("eastmoney")
    paced: ClassVar[bool] = True
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False
    precision: ClassVar[Precision] = Precision(volume_step=SHARES_PER_LOT)
    snapshot_parts: ClassVar[Sequence[str]] = tuple(PAGES)

    def stocks(self) -> Iterable[ListedStock]:
        """Return every A-share that is or was listed, from the exchanges' own lists: see ``listed_stocks``."""
        return listed_stocks()

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return raw bars in BAR_COLUMNS: one request. Raises what ``asking`` raises, and BadData."""
        code = vendor_symbol(symbol, "600519")
        with asking(self.name, symbol) as passage:
            answer = akshare.stock_zh_a_hist(
                symbol=code,
                period="daily",
                start_date=start.strftime("%Y%m%d") if start else "19900101",
                end_date=end.strftime("%Y%m%d") if end else "20500101",
                adjust="",
            )
        _check_code(passage, code, symbol)
        if answer.empty:
            return no_bars()
        require_columns(answer, list(_COLUMNS), self.name, symbol)
        bars = canonical(answer.rename(columns=_COLUMNS))
        others = (1.0,) if board_of(symbol) in _DOUBTFUL_BOARDS else ()
        bars["volume"] *= int(shares_factor(bars, float(SHARES_PER_LOT), others))
        return bars

    def snapshot(self, day: date, part: str = "") -> pd.DataFrame:
        """Return one exchange's market pages, see ``SnapshotSource.snapshot``; all of them for "".

        Raises what ``asking`` raises, and BadData.
        """
        wanted = [part] if part else self.snapshot_parts
        return pd.concat([market_part(self.name, day, each) for each in wanted], ignore_index=True)

    def index_days(self, index: str, start: date, end: date) -> Sequence[IndexDayBar]:
        """Return days of an index, see ``IndexSource.index_days``. Raises what ``asking`` raises, and BadData."""
        with asking(self.name, index) as passage:
            answer = akshare.stock_zh_index_daily_em(
                symbol=f"{index[-2:].lower()}{index[:6]}",
                start_date=f"{start:%Y%m%d}",
                end_date=f"{end:%Y%m%d}",
            )
        _check_code(passage, index[:6], index)
        if answer.empty:
            return []
        require_columns(answer, ["date", "close", "amount"], self.name, index)
        days = pd.to_datetime(answer["date"], errors="coerce")
        rows = zip(days, answer["close"], answer["amount"], strict=True)
        return [IndexDayBar(day.date(), float(close), float(amount)) for day, close, amount in rows if not pd.isna(day)]

    def market_actions(self, since: date, *, today: date, symbols: Sequence[str] | None = None) -> list[ListedAction]:
        """Return corporate actions, see ``ActionSource.market_actions``; from the data centre, another host."""
        return listed_actions(since, today=today, symbols=symbols)


def _check_code(passage: Passage, code: str, symbol: str) -> None:
    """Raise BadData when the answer is about another stock; the frame's own code is only what was asked for."""
    for _, head in passage.heads:
        sent = _CODE_IN_ANSWER.search(head)
        if sent is not None and sent[1].decode() != code:
            raise another_stock(Eastmoney.name, symbol, sent[1].decode())
