"""Bars of many stocks as one Parquet file: written to the disk stock by stock, and sent from there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.http import FileResponse

from importer.api_bars import PARQUET, check_order
from importer.api_requests import PanelRange
from marketdata.adjusted import parse_adjustment
from marketdata.export import export_bars
from marketdata.panel_completeness import require_complete_range
from marketdata.symbols import parse_symbols


def as_parquet(query: PanelRange) -> FileResponse:
    """Return the bars by symbol and date; memory holds few stocks at a time, whatever is asked for.

    Raises BadSymbol, UnknownStock, BadRequest, IncompleteDay when such a day was to be refused, ExportError when there
    is no bar, ExportFailed when the disk refuses.
    """
    check_order(query.start, query.end)
    symbols = parse_symbols(query.symbols) if query.symbols is not None else None
    adjustment = parse_adjustment(query.adjust, query.as_of)
    if query.incomplete == "refuse":
        require_complete_range(symbols, query.start, adjustment.last_day(query.end))
    folder = Path(tempfile.mkdtemp(prefix="barvault-panel-"))
    try:
        result = export_bars(
            "parquet",
            folder / "panel",
            symbols=symbols,
            start=query.start,
            end=query.end,
            adjustment=adjustment,
        )
        file = _RemovedAfterwards((folder / "panel" / "bars.parquet").open("rb"), folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    response = FileResponse(file, content_type=PARQUET, as_attachment=True, filename="panel.parquet")
    response.headers["X-Barvault-Adjust"] = query.adjust
    response.headers["X-Barvault-Stocks"] = str(result.stocks)
    return response


class _RemovedAfterwards:
    """An open file whose folder is removed when it is closed."""

    def __init__(self, file: Any, folder: Path) -> None:
        self._file = file
        self._folder = folder

    def read(self, size: int = -1) -> bytes:
        content: bytes = self._file.read(size)
        return content

    def close(self) -> None:
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)
