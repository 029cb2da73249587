"""The rows of market pages: every stock with its day so far, whichever site shows it."""

from __future__ import annotations

import pandas as pd

from importer.sources.base import SNAPSHOT_COLUMNS
from importer.sources.frames import require_columns
from marketdata.symbols import share_symbol

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


def stock_rows(answer: pd.DataFrame, source: str, exchange: str = "") -> pd.DataFrame:
    """Return the A-shares of an answer in SNAPSHOT_COLUMNS, as they are shown; a number that is missing is NaN.

    ``exchange``: codes come without one, and belong to it. Raises BadData when a column is missing.
    """
    require_columns(answer, list(_COLUMNS), source, exchange)
    # AKShare calls several columns of Sina's by one name that it does not use.
    rows = answer[list(_COLUMNS)].rename(columns=_COLUMNS)
    suffix = f".{exchange}" if exchange else ""
    rows["symbol"] = [share_symbol(f"{code}{suffix}") for code in rows["code"]]
    rows = rows[rows["symbol"].notna()].reset_index(drop=True)
    for name in SNAPSHOT_COLUMNS[2:]:
        rows[name] = pd.to_numeric(rows[name], errors="coerce").astype(float)
    shown: pd.DataFrame = rows[list(SNAPSHOT_COLUMNS)]
    return shown
