"""Sina's market pages: every stock with its day so far, 80 to a page, about 70 requests, no date anywhere.

Volumes in shares, amounts in yuan; a stock that does not trade shows zeros. AKShare fetches all pages in one call: one
that fails costs all of them.
"""

from __future__ import annotations

import akshare
import numpy as np
import pandas as pd

from importer.sources.akshare.calls import asking
from importer.sources.base import SNAPSHOT_COLUMNS
from importer.sources.frames import require_columns
from marketdata.exceptions import BadSymbol
from marketdata.symbols import parse_symbol

_COLUMNS = {
    "代码": "code",
    "名称": "name",
    "今开": "open",
    "最高": "high",
    "最低": "low",
    "最新价": "close",
    "成交量": "volume",
    "成交额": "amount",
    "昨收": "prev_close",
}
_OF_THE_DAY = ("open", "high", "low", "close", "volume", "amount")


def market_rows(source: str) -> pd.DataFrame:
    """Return all rows in SNAPSHOT_COLUMNS. Raises what ``asking`` raises, and BadData."""
    with asking(source):
        answer = akshare.stock_zh_a_spot()
    require_columns(answer, list(_COLUMNS), source, "")
    # AKShare calls several columns by one name that it does not use.
    rows = answer[list(_COLUMNS)].rename(columns=_COLUMNS)
    rows["symbol"] = [_symbol(str(code)) for code in rows["code"]]
    rows = rows[rows["symbol"].notna()].reset_index(drop=True)
    for name in SNAPSHOT_COLUMNS[2:]:
        rows[name] = pd.to_numeric(rows[name], errors="coerce").astype(float)
    rows.loc[~(rows["volume"] > 0), list(_OF_THE_DAY)] = np.nan
    rows.loc[~(rows["prev_close"] > 0), "prev_close"] = np.nan
    shown: pd.DataFrame = rows[list(SNAPSHOT_COLUMNS)]
    return shown


def _symbol(text: str) -> str | None:
    """Return the canonical symbol; None for what is no A-share."""
    try:
        return parse_symbol(text)
    except BadSymbol:
        return None
