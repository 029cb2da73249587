"""Eastmoney's market pages: every stock of an exchange with its day so far, 100 to a page, no date anywhere.

AKShare sleeps about a second before each page. A page that fails costs the whole part: there is no partial result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import akshare
import numpy as np
import pandas as pd

from importer.sources.akshare.calls import asking
from importer.sources.akshare.market_rows import stock_rows
from importer.sources.units import shares_factor
from marketdata.symbols import Board, board_of

SHARES_PER_LOT = 100
# Beijing has three pages, the others more than twenty each: what is quick comes first.
PAGES: Mapping[str, Callable[[], pd.DataFrame]] = {
    "BJ": akshare.stock_bj_a_spot_em,
    "SZ": akshare.stock_sz_a_spot_em,
    "SH": akshare.stock_sh_a_spot_em,
}
_DOUBTFUL_BOARDS = (Board.STAR, Board.BEIJING)


def market_part(source: str, day: date, part: str) -> pd.DataFrame:
    """Return one exchange's rows in SNAPSHOT_COLUMNS. Raises what ``asking`` raises, and BadData."""
    with asking(source, part):
        answer = PAGES[part]()
    rows = stock_rows(answer, source, part)
    rows["amount"] = rows["amount"].round(2)
    doubtful = np.array([board_of(symbol) in _DOUBTFUL_BOARDS for symbol in rows["symbol"]], dtype=bool)
    for group, others in ((doubtful, (1.0,)), (~doubtful, ())):
        shown = rows[group].assign(date=pd.Timestamp(day))
        factor = shares_factor(shown, float(SHARES_PER_LOT), others) if len(shown) else float(SHARES_PER_LOT)
        rows.loc[group, "volume"] *= factor
    return rows
