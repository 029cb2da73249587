"""Sina's market pages: every stock with its day so far, 80 to a page, about 70 requests, no date anywhere.

Volumes in shares, amounts in yuan; a stock that does not trade shows zeros. AKShare fetches all pages in one call: one
that fails costs all of them.
"""

from __future__ import annotations

import akshare
import numpy as np
import pandas as pd

from importer.sources.akshare.calls import asking
from importer.sources.akshare.market_rows import stock_rows

_OF_THE_DAY = ("open", "high", "low", "close", "volume", "amount")


def market_rows(source: str) -> pd.DataFrame:
    """Return all rows in SNAPSHOT_COLUMNS. Raises what ``asking`` raises, and BadData."""
    with asking(source):
        answer = akshare.stock_zh_a_spot()
    rows = stock_rows(answer, source)
    rows.loc[~(rows["volume"] > 0), list(_OF_THE_DAY)] = np.nan
    rows.loc[~(rows["prev_close"] > 0), "prev_close"] = np.nan
    return rows
