"""Made-up bars for tests: raw, in whole ticks, each amount within its day's range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from importer.sources.tdx import RECORD


def weekdays(count: int, first: str = "2023-01-02") -> np.ndarray:
    return np.busday_offset(first, np.arange(count), roll="forward")


def bars(count: int = 250, *, first: str = "2023-01-02", price: float = 12.0, seed: int = 1) -> pd.DataFrame:
    """Return ``count`` raw bars on weekdays from ``first`` on, in the canonical columns and types."""
    random = np.random.default_rng(seed)
    closes = np.rint(100 * price * np.exp(np.cumsum(random.normal(0, 0.01, count))))
    opens = closes + random.integers(-10, 11, count)
    highs = np.maximum(opens, closes) + random.integers(1, 15, count)
    lows = np.minimum(opens, closes) - random.integers(1, 15, count)
    volumes = random.integers(1_000, 5_000_000, count)
    average = lows + (highs - lows) * random.uniform(0.3, 0.7, count)
    return pd.DataFrame(
        {
            "date": weekdays(count, first).astype("datetime64[s]"),
            "open": opens / 100,
            "high": highs / 100,
            "low": lows / 100,
            "close": closes / 100,
            "volume": volumes,
            "amount": np.round(average * volumes / 100, 2),
        }
    )


def write_day_file(file: Path, frame: pd.DataFrame) -> None:
    """Write ``frame`` as a 通达信 ``.day`` file."""
    records = np.zeros(len(frame), dtype=RECORD)
    records["date"] = frame["date"].dt.strftime("%Y%m%d").astype(int)
    for name in ("open", "high", "low", "close"):
        records[name] = np.rint(frame[name] * 100)
    records["amount"], records["volume"] = frame["amount"], frame["volume"]
    file.parent.mkdir(parents=True, exist_ok=True)
    records.tofile(file)
