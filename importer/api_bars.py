"""A stock's bars as JSON, CSV or Parquet: from columns, never row by row through a schema."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import pandas as pd
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext_noop

from importer.api_answers import JSON
from importer.api_requests import BarRange
from importer.exceptions import BadRequest
from marketdata.adjusted import flag_texts
from marketdata.reading import load_bars

_Response = TypeVar("_Response", bound=HttpResponseBase)
_BACKWARDS = gettext_noop("The end %(end)s is before the start %(start)s. Swap them, or name an earlier start.")
_VOLUMES_ALONE = gettext_noop("Volumes are adjusted together with prices only: add adjust=qfq, hfq or broker.")
CSV = "text/csv; charset=utf-8"
PARQUET = "application/vnd.apache.parquet"
# A header must not grow without bound: servers and proxies refuse long ones.
FLAGS_IN_HEADER = 20
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
    """Return a stock's bars. Raises BadSymbol, UnknownStock, or BadRequest for a query that contradicts itself."""
    check(query)
    frame = load_bars(
        symbol,
        query.start,
        query.end,
        adjust=query.adjust,
        as_of=query.as_of,
        adjust_volume=query.adjust_volume,
    )
    return StockBars(frame)


def check(query: BarRange) -> None:
    """Raise BadRequest for an end before the start, and for adjusted volumes beside unadjusted prices."""
    start, end = query.start, query.end
    if start is not None and end is not None and end < start:
        raise BadRequest("end", _BACKWARDS, end=end.isoformat(), start=start.isoformat())
    if query.adjust_volume and query.adjust == "none":
        raise BadRequest("adjust_volume", _VOLUMES_ALONE)


class _Compressing(GZipMiddleware):
    """Django's, without the padding of random length: bars hold no secret that their length could give away."""

    max_random_bytes = 0


def served(request: HttpRequest, bars: StockBars, form: str, make: Callable[[], HttpResponse]) -> HttpResponse:
    """Return what ``make`` makes of the bars, compressed for who takes it; 304 for who has it already.

    The tag is made of the values, so that a correction of an old bar or action changes it, too.
    """
    etag = quote_etag(f"{form}-{bars.digest()}")
    if (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    response = tagged(make(), etag)
    if form != "parquet":
        # Parquet is compressed already.
        _Compressing(lambda _request: response).process_response(request, response)
    return response


def not_modified(request: HttpRequest, etag: str) -> HttpResponse | None:
    """Return a 304 for who has what the tag stands for; None when it has to be sent."""
    unchanged = get_conditional_response(request, etag=etag)
    # HTTP wants the headers in it that the whole answer would have: caches keep them.
    return None if unchanged is None else tagged(unchanged, etag)


def tagged(response: _Response, etag: str) -> _Response:
    """Let whoever keeps the answer ask each time whether it is still the same."""
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def describe(response: HttpResponseBase, attrs: Mapping[Any, Any]) -> None:
    """Say in headers how the prices of a file are adjusted, and what to know about them.

    The anchor of several stocks that have different ones is in the file itself.
    """
    response.headers["X-Barvault-Adjust"] = attrs["adjust"]
    if isinstance(anchor := attrs.get("anchor"), str):
        response.headers["X-Barvault-Anchor"] = anchor
    if attrs.get("adjust_volume"):
        response.headers["X-Barvault-Adjust-Volume"] = "true"
    if flags := attrs.get("flags"):
        said = [f"{each['symbol']} {each['ex_date']} {each['flag']}" for each in flags[:FLAGS_IN_HEADER]]
        response.headers["X-Barvault-Flags"] = ", ".join([*said, "..."] if len(flags) > FLAGS_IN_HEADER else said)


def as_json(bars: StockBars, as_of: date | None) -> HttpResponse:
    head = {
        "success": True,
        "symbol": bars.attrs["symbol"],
        "adjust": bars.attrs["adjust"],
        "anchor": bars.attrs.get("anchor"),
        "as_of": as_of.isoformat() if as_of else None,
        "adjust_volume": bool(bars.attrs.get("adjust_volume")),
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
    describe(response, bars.attrs)
    return response
