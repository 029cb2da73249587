"""``/api/data``: what is stored, and what an import would take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import get_language
from ninja import Query, Router

from importer import api_bars, api_panel, pacing
from importer.api_answers import answer
from importer.api_requests import BarRange, DayQuery, EstimateQuery, IsoDate, PanelRange, StockFilter, strict
from importer.api_rows import (
    STOCK_FIELDS,
    day_row,
    estimate_row,
    figures_row,
    host_row,
    proof_row,
    source_row,
    stock_row,
    task_row,
)
from importer.api_schemas import Bars, DayAnswer, Error, EstimateAnswer, ProofAnswer, StatusAnswer, Stocks
from importer.api_tasks import ANYWHERE
from importer.estimate import estimate
from importer.hosts import live_hosts
from importer.models import ImportTask, Status
from importer.status import active_task, data_status, space
from importer.task_requests import build_request
from marketdata.completeness import day_completeness, newest_figures, require_complete
from marketdata.exceptions import BadSymbol
from marketdata.index_days import recently_with_index, with_index
from marketdata.models import Stock
from marketdata.origin import current_origin
from marketdata.proof import prove
from marketdata.recoding import current_symbol
from marketdata.symbols import parse_symbol

router = Router(tags=["data"])

BARS = {200: Bars, **ANYWHERE, 404: Error}
FILE = {**ANYWHERE, 404: Error}


def _file(content_type: str) -> dict[str, Any]:
    content = {content_type: {"schema": {"type": "string", "format": "binary"}}}
    return {"responses": {200: {"description": "OK", "content": content}}}


AS_CSV, AS_PARQUET = _file("text/csv"), _file(api_bars.PARQUET)


@router.get("/status", response={200: StatusAnswer, **ANYWHERE}, summary="What is stored, and what goes on")
@strict
def show_status(request: HttpRequest) -> HttpResponse:
    stored, room, task, hosts = data_status(), space(), active_task(), live_hosts()
    data = {
        "stock_count": stored.stock_count,
        "stocks_with_bars": stored.stocks_with_bars,
        "bar_count": stored.bar_count,
        "first_date": stored.first_date.isoformat() if stored.first_date else None,
        "last_date": stored.last_date.isoformat() if stored.last_date else None,
        "newest_finished_day": stored.newest_finished_day.isoformat(),
        "newest_day": figures_row(recently_with_index(newest_figures(stored.newest_finished_day))),
        "stocks_up_to_date": stored.stocks_up_to_date,
        "origin": current_origin(),
        "bytes_used": room.used,
        "bytes_free": room.free,
        "active_task": task_row(task) if task is not None else None,
        "waiting_tasks": ImportTask.objects.filter(status=Status.PENDING).count(),
        "workers": sum(host.workers for host in hosts),
        "hosts": [host_row(host) for host in hosts],
        "sources": [source_row(state) for state in pacing.states()],
    }
    return answer({"data": data})


@router.get("/estimate", response={200: EstimateAnswer, **ANYWHERE, 409: Error}, summary="What an import would take")
@strict
def show_estimate(request: HttpRequest, query: Query[EstimateQuery]) -> HttpResponse:
    """Nothing is asked of a source and nothing is changed. ``symbols`` are separated by commas."""
    wanted = build_request(
        query.kind,
        start=query.start_date,
        end=query.end_date,
        symbols=query.symbols,
        source=query.source,
        path=query.path,
        refresh=query.refresh,
    )
    return answer({"data": estimate_row(estimate(wanted))})


@router.get("/stocks", response={200: Stocks, **ANYWHERE}, summary="The stocks, by symbol")
@strict
def list_stocks(request: HttpRequest, query: Query[StockFilter]) -> HttpResponse:
    """``search``: part of a symbol or a name, or a symbol in any common way."""
    stocks = Stock.objects.order_by("symbol")
    if query.search:
        stocks = stocks.filter(_found_by(query.search))
    if query.exchange is not None:
        stocks = stocks.filter(exchange=query.exchange)
    rows = stocks.values(*STOCK_FIELDS)[query.offset : query.offset + query.limit]
    return answer({"data": [stock_row(row) for row in rows], "total": stocks.count()})


@router.get("/bars/{symbol}.csv", response=FILE, openapi_extra=AS_CSV, summary="The same as CSV")
@strict
def bars_as_csv(request: HttpRequest, symbol: str, query: Query[BarRange]) -> HttpResponse:
    """``pandas.read_csv(url)`` works. The headers X-Barvault-Adjust and X-Barvault-Anchor say how to read it."""
    bars = api_bars.read(symbol, query)
    return api_bars.served(request, bars, "csv", lambda: api_bars.as_csv(bars))


@router.get("/bars/{symbol}.parquet", response=FILE, openapi_extra=AS_PARQUET, summary="The same as Parquet")
@strict
def bars_as_parquet(request: HttpRequest, symbol: str, query: Query[BarRange]) -> HttpResponse:
    """``pandas.read_parquet(url)`` works."""
    bars = api_bars.read(symbol, query)
    return api_bars.served(request, bars, "parquet", lambda: api_bars.as_parquet(bars))


@router.get("/bars/{symbol}.json", response=BARS, summary="The same with the ending of its format")
@strict
def bars_as_named_json(request: HttpRequest, symbol: str, query: Query[BarRange]) -> HttpResponseBase:
    """As without ``.json``."""
    return bars_as_json(request, symbol, query)


@router.get("/bars/{symbol}", response=BARS, summary="A stock's daily bars")
@strict
def bars_as_json(request: HttpRequest, symbol: str, query: Query[BarRange]) -> HttpResponse:
    """Prices as traded, or adjusted: ``qfq``, ``hfq``, or ``broker`` (as screens show it: not for returns).

    ``as_of``: as it was known on that day.
    """
    bars = api_bars.read(symbol, query)
    # The sentences in it are in the reader's language.
    form = f"json-{get_language()}"
    return api_bars.served(request, bars, form, lambda: api_bars.as_json(bars, query.as_of))


@router.get(
    "/bars/{symbol}/proof",
    response={200: ProofAnswer, **ANYWHERE, 404: Error},
    summary="The proof of a stock's adjusted prices",
)
@strict
def show_proof(request: HttpRequest, symbol: str) -> HttpResponse:
    """Each ex-date with its facts, the theoretical price, the exchange's previous close, our step, the difference."""
    found = prove(symbol)
    rows = [proof_row(row) for row in found.rows]
    return answer({"symbol": found.symbol, "flagged": found.flagged_count, "data": rows, "total": len(rows)})


@router.get(
    "/days/{day}", response={200: DayAnswer, **ANYWHERE, 409: Error}, summary="Which stocks have their bar of a day"
)
@strict
def show_day(request: HttpRequest, day: IsoDate, query: Query[DayQuery]) -> HttpResponse:
    """A day is complete when every stock that is listed, and not suspended, has its bar, and no index differs.

    ``incomplete=refuse`` answers 409 for a day that is not.
    """
    found = day_completeness(day)
    found = replace(found, figures=with_index(found.figures))
    if query.incomplete == "refuse":
        require_complete(found.figures)
    return answer({"data": day_row(found)})


@router.get(
    "/panel.parquet",
    response={**FILE, 409: Error},
    openapi_extra=AS_PARQUET,
    summary="Bars of many stocks as Parquet",
)
@strict
def panel_as_parquet(request: HttpRequest, query: Query[PanelRange]) -> HttpResponseBase:
    """A row per bar, by symbol and date. ``symbols`` are separated by commas, all stocks when left out; so are
    ``fields``: open, high, low, close, volume, amount.

    ``incomplete=refuse`` answers 409 when one of these stocks lacks a bar that is expected of it.
    """
    return api_panel.as_parquet(request, query)


def _found_by(words: str) -> Q:
    words = words.strip()
    found = Q(symbol__icontains=words) | Q(name__icontains=words) | Q(former_symbol__icontains=words)
    try:
        return found | Q(symbol=current_symbol(parse_symbol(words)))
    except BadSymbol:
        return found
