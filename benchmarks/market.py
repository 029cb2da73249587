"""Made-up files for the benchmarks: a random walk per stock, on real trading days."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

DAY_RECORD = np.dtype(
    [("date", "<u4"), ("open", "<u4"), ("high", "<u4"), ("low", "<u4"), ("close", "<u4"), ("amount", "<f4"),
     ("volume", "<u4"), ("reserved", "<u4")]
)  # fmt: skip


def write_vipdoc(folder: Path, stocks: int, rows: int) -> Path:
    """Write ``stocks`` .day files of ``rows`` bars each (the newest trading days of 2024 and before); return the
    vipdoc folder."""
    from marketdata.trading_days import trading_days

    days = trading_days(date(2000, 1, 4), date(2024, 12, 31)).days[-rows:]
    numbers = np.array([int(day.strftime("%Y%m%d")) for day in days], dtype="<u4")
    lday = folder / "vipdoc" / "sh" / "lday"
    lday.mkdir(parents=True)
    for number in range(stocks):
        random_walk(numbers, seed=number).tofile(lday / f"sh{600000 + number}.day")
    return folder / "vipdoc"


def random_walk(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return .day records for the dates ``numbers`` (YYYYMMDD); prices in fen, amount consistent with the prices."""
    random = np.random.default_rng(seed)
    close = np.maximum(300, 1500 + np.cumsum(random.integers(-15, 16, len(numbers)))).astype("<u4")
    records = np.zeros(len(numbers), DAY_RECORD)
    records["date"] = numbers
    records["close"] = close
    records["open"] = close + random.integers(-10, 11, len(numbers))
    records["high"] = np.maximum(close, records["open"]) + 10
    records["low"] = np.minimum(close, records["open"]) - 10
    records["volume"] = random.integers(100_000, 50_000_000, len(numbers))
    records["amount"] = records["volume"] * (close / 100.0)
    return records
