"""What a format of export gets and what it has to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from marketdata.adjusted import Attributes
from marketdata.adjustment import Adjust
from marketdata.bar_columns import Days


@dataclass(frozen=True, eq=False)
class ExportedStock:
    """One stock as it is to be written.

    ``days`` ascending; ``columns`` by the names of a bar's values, prices and volumes as they were asked for;
    ``factor``: what each day's prices were multiplied by (1 for unadjusted ones); ``raw_volume`` in shares.
    """

    symbol: str
    days: Days
    columns: Mapping[str, NDArray[Any]]
    factor: NDArray[np.float64]
    raw_volume: NDArray[np.int64]


class Export(Protocol):
    """A format: made with an empty folder, given each stock once, by symbol, then finished.

    ``forms``: the forms of adjustment that it can hold.
    """

    forms: ClassVar[frozenset[Adjust]]

    def __init__(self, folder: Path, trading_days: Callable[[], Sequence[date]]) -> None:
        """``trading_days`` returns every day that the stocks may have a bar on, in order; it costs a query."""

    def add(self, stock: ExportedStock) -> None: ...

    def finish(self, said: Attributes) -> None:
        """Write what is left. ``said``: how the prices are adjusted, as ``DataFrame.attrs`` has it."""

    def close(self) -> None:
        """Let go of open files, finished or not."""
