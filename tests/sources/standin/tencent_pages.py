"""Tencent's pages: since when a stock is known, and its bars two years at a time."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from tests.sources.standin.bars import StandInBar
from tests.sources.standin.data_faults import NOT_A_NUMBER, faulty_bars
from tests.sources.standin.requests_seen import Answer, Page


def weekly_trend(page: Page) -> Answer:
    """The first week of a stock says since when it is known; nothing for an unknown one, and for all of Beijing's."""
    bars = page.market.bars(page.seen.symbol) if _is_known(page) else ()
    data = [[bars[0].day.isoformat(), "10.00"]] if bars and "null" not in page.faults else []
    return _script("trend_qfq", {"code": 0, "msg": "", "data": data})


def bars(page: Page) -> Answer:
    """Amounts in ten thousand yuan with two decimals; volumes in lots, on the STAR Market in shares."""
    vendor, _, first, last, _, _ = (page.seen.form["param"].split(",") + [""] * 6)[:6]
    name = page.seen.form["_var"]
    rows: list[Any] = []
    if _is_known(page):
        start = date.fromisoformat(first) if first else None
        end = date.fromisoformat(last) if last else None
        found = faulty_bars(page.market, page.seen.symbol, start, end, page.faults)
        rows = [_row(page.seen.symbol, bar) for bar in found][-640:]
    if "changed_columns" in page.faults:
        rows = [row[:7] for row in rows]
    if "wrong_symbol" in page.faults:
        vendor = "sh600999"
    data = {vendor: {"day": rows, "qt": {}, "version": "16"}} if "null" not in page.faults else None
    return _script(name, {"code": 0, "msg": "", "data": data})


def _is_known(page: Page) -> bool:
    return page.seen.symbol in page.market.symbols() and not page.seen.symbol.endswith("BJ")


def _row(symbol: str, bar: StandInBar) -> list[Any]:
    volume = bar.volume if symbol.startswith("68") else bar.volume // 100
    prices = [_price(cents) for cents in (bar.open, bar.close, bar.high, bar.low)]
    return [bar.day.isoformat(), *prices, f"{volume}.000", {}, "0.60", f"{bar.amount / 10000:.2f}", ""]


def _price(cents: int) -> str:
    return "-" if cents == NOT_A_NUMBER else f"{cents / 100:.2f}"


def _script(name: str, value: dict[str, Any]) -> Answer:
    return Answer.text(f"{name}={json.dumps(value, ensure_ascii=False)}", "text/html; charset=utf-8")
