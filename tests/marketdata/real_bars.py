"""Real bars and actions, read in place from the folder of real data."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from marketdata.adjustment import Action

DAY_RECORD = np.dtype(
    {
        "names": ["date", "open", "high", "low", "close", "amount", "volume", "reserved"],
        "formats": ["<u4", "<u4", "<u4", "<u4", "<u4", "<f4", "<u4", "<u4"],
    }
)


def day_bars(path: Path) -> pd.DataFrame:
    """Return the bars of a stock's ``.day`` file in the canonical columns."""
    records = np.fromfile(path, dtype=DAY_RECORD)
    prices = {name: records[name] / 100 for name in ("open", "high", "low", "close")}
    return pd.DataFrame(
        {
            "date": pd.to_datetime(records["date"].astype(str)).astype("datetime64[s]"),
            **prices,
            "volume": records["volume"].astype(np.int64),
            "amount": records["amount"].astype(np.float64),
        }
    )


def csv_bars(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, parse_dates=["date"])


def market_actions(folder: Path, symbol: str) -> list[Action]:
    """Return one stock's actions of the whole-market table."""
    with (folder / "corporate_actions_to_2021.csv").open(newline="") as lines:
        return [
            Action(
                ex_date=date.fromisoformat(row["ex_date"]),
                cash_per_share=float(row["cash_per_share"]),
                new_shares_per_share=float(row["new_shares_per_share"]),
                rights_per_share=float(row["rights_per_share"]),
                rights_price=float(row["rights_price"]),
            )
            for row in csv.DictReader(lines)
            if row["symbol"] == symbol
        ]


def per_ten_actions(path: Path) -> list[Action]:
    """Return the actions of a table that gives cash and shares for ten shares, as announcements do."""
    with path.open(newline="") as lines:
        return [
            Action(
                ex_date=date.fromisoformat(row["ex_date"]),
                cash_per_share=float(row["cash_per10"]) / 10,
                new_shares_per_share=float(row["bonus_per10"]) / 10,
                rights_per_share=float(row["rights_per10"]) / 10,
                rights_price=float(row["rights_price"]),
            )
            for row in csv.DictReader(lines)
        ]
