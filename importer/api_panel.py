"""Bars of many stocks as one Parquet file: written to the disk stock by stock, and sent from there."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import quote_etag
from django.utils.translation import gettext_noop

from importer.api_bars import PARQUET, check, describe, not_modified, tagged
from importer.api_requests import PanelRange
from importer.exceptions import BadRequest
from marketdata.adjusted import parse_adjustment
from marketdata.bar_columns import VALUES
from marketdata.export import export_bars
from marketdata.panel_completeness import require_complete_range
from marketdata.symbols import parse_symbols

_FIELDS = gettext_noop("“%(field)s” must be among %(names)s, separated by commas.")


def as_parquet(request: HttpRequest, query: PanelRange) -> HttpResponseBase:
    """Return the bars by symbol and date; memory holds few stocks at a time, whatever is asked for.

    A 304 for who has the same file already: it is made anyhow, but not sent.

    Raises BadSymbol, UnknownStock, BadRequest, IncompleteDay when such a day was to be refused, ExportError when there
    is no bar, ExportFailed when the disk refuses.
    """
    check(query)
    symbols = parse_symbols(query.symbols) if query.symbols is not None else None
    fields = _fields(query.fields)
    adjustment = parse_adjustment(query.adjust, query.as_of, query.adjust_volume)
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
            fields=fields,
        )
        path = folder / "panel" / "bars.parquet"
        etag = quote_etag(f"panel-{_digest(path)}")
        if (unchanged := not_modified(request, etag)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            return unchanged
        size = path.stat().st_size
        file = _RemovedAfterwards(path.open("rb"), folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    response = tagged(FileResponse(file, content_type=PARQUET, as_attachment=True, filename="panel.parquet"), etag)
    response.headers["Content-Length"] = str(size)
    response.headers["X-Barvault-Stocks"] = str(result.stocks)
    describe(response, result.said)
    return response


def _fields(asked: str | None) -> list[str]:
    names = list(VALUES) if asked is None else [name.strip() for name in asked.split(",")]
    if set(names) - set(VALUES):
        raise BadRequest("fields", _FIELDS, field="fields", names=", ".join(VALUES))
    return list(dict.fromkeys(names))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


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
