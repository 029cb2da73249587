"""A stock's bars as JSON, CSV or Parquet: from columns, never row by row through a schema."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext_noop

from importer.api_answers import JSON
from importer.api_requests import BarRange
from importer.exceptions import BadRequest
from marketdata.adjusted import flag_texts
from marketdata.reading import load_bars

_BACKWARDS = gettext_noop("The end %(end)s is before the start %(start)s. Swap them, or name an earlier start.")
CSV = "text/csv; charset=utf-8"
PARQUET = "application/vnd.apache.parquet"
COLUMNS = ("date", "open", "high", "low", "close", "volume", "amount")


@dataclass(frozen=True)
class StockBars:
    """``frame`` as ``load_bars`` returns it; ``attrs`` say how it is to be read."""

    frame: pd.DataFrame

    @property
    def attrs(self) -> Mapping[Any, Any]:
        return self.frame.attrs

    @property
    def file_name(self) -> str:
        """Name the stock, and for adjusted prices the form and its anchor: two such files do not fit each other."""
        parts = [self.attrs["symbol"]]
        if self.attrs["adjust"] != "none":
            parts += [self.attrs["adjust"], self.attrs.get("anchor") or "no-bars"]
        return "-".join(parts)

    def digest(self) -> str:
        """Return what changes when a value, or what is said about the values, does."""
        found = hashlib.blake2b(json.dumps(self.attrs, sort_keys=True, default=str).encode(), digest_size=16)
        found.update(self.frame.index.to_numpy().tobytes())
        for name in COLUMNS[1:]:
            found.update(self.frame[name].to_numpy().tobytes())
        return found.hexdigest()

    def days(self) -> list[str]:
        return [str(day) for day in self.frame.index.to_numpy().astype("datetime64[D]")]


def read(symbol: str, query: BarRange) -> StockBars:
    """Return a stock's bars. Raises BadSymbol, UnknownStock, or BadRequest for an end before the start."""
    check_order(query.start, query.end)
    return StockBars(load_bars(symbol, query.start, query.end, adjust=query.adjust, as_of=query.as_of))


def check_order(start: date | None, end: date | None) -> None:
    """Raise BadRequest for an end before the start."""
    if start is not None and end is not None and end < start:
        raise BadRequest("end", _BACKWARDS, end=end.isoformat(), start=start.isoformat())


class _Compressing(GZipMiddleware):
    """Django's, without the padding of random length: bars hold no secret that their length could give away."""

    max_random_bytes = 0


def served(request: HttpRequest, bars: StockBars, form: str, make: Callable[[], HttpResponse]) -> HttpResponse:
    """Return what ``make`` makes of the bars, compressed for who takes it; 304 for who has it already.

    The tag is made of the values, so that a correction of an old bar or action changes it, too.
    """
    etag = quote_etag(f"{form}-{bars.digest()}")
    if (unchanged := get_conditional_response(request, etag=etag)) is not None:
        return unchanged
    response = make()
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    if form != "parquet":
        # Parquet is compressed already.
        _Compressing(lambda _request: response).process_response(request, response)
    return response


def as_json(bars: StockBars, as_of: date | None) -> HttpResponse:
    head = {
        "success": True,
        "symbol": bars.attrs["symbol"],
        "adjust": bars.attrs["adjust"],
        "anchor": bars.attrs.get("anchor"),
        "as_of": as_of.isoformat() if as_of else None,
        "notes": [str(text) for text in flag_texts(bars.attrs.get("flags", []))],
        "total": len(bars.frame),
    }
    columns = [bars.days(), *(bars.frame[name].tolist() for name in COLUMNS[1:])]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
    text = json.dumps({**head, "data": rows}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return HttpResponse(text.encode(), content_type=JSON)


def as_csv(bars: StockBars) -> HttpResponse:
    text = bars.frame.to_csv(lineterminator="\n")
    return _file(bars, text.encode(), CSV, "csv")


def as_parquet(bars: StockBars) -> HttpResponse:
    buffer = io.BytesIO()
    bars.frame.reset_index().to_parquet(buffer, index=False)
    return _file(bars, buffer.getvalue(), PARQUET, "parquet")


def _file(bars: StockBars, content: bytes, content_type: str, suffix: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{bars.file_name}.{suffix}"'
    response.headers["X-Barvault-Adjust"] = bars.attrs["adjust"]
    if anchor := bars.attrs.get("anchor"):
        response.headers["X-Barvault-Anchor"] = anchor
    return response
