"""Eastmoney's pages: the daily bars of a stock, and the market page by page."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from tests.sources.standin.bars import INDEXES, StandInBar
from tests.sources.standin.data_faults import NOT_A_NUMBER, faulty_bars
from tests.sources.standin.datacenter_pages import reference
from tests.sources.standin.requests_seen import Answer, Page

# What the server gives at most, whatever is asked for.
PAGE_SIZE = 100
# Which stocks a filter of the market page names.
_FILTERS = {"m:0 t:6": "main.SZ", "m:0 t:80": "chinext.SZ", "m:1 t:2": "main.SH", "m:1 t:23": "star.SH"}
_FIELDS = [f"f{number}" for number in (*range(1, 19), *range(20, 26), 62, 115, 128, 140, 141, 136, 152)]


def kline(page: Page) -> Answer:
    """A stock, or an index. Volumes in lots, amounts in yuan.

    An unknown code is ``data: null``, a range without bars an empty list.
    """
    symbol, form = page.seen.symbol, page.seen.form
    is_index = symbol in INDEXES
    if (symbol not in page.market.symbols() and not is_index) or "null" in page.faults:
        return _json({"rc": 100, "rt": 17, "svr": 1, "lt": 1, "full": 0, "dlmkts": "", "data": None})
    start, end = (_compact_date(form[name]) for name in ("beg", "end"))
    if is_index:
        bars = page.market.index_bars(symbol, start, end)
    else:
        bars = faulty_bars(page.market, symbol, start, end, page.faults)
    lines = [_line(bar) for bar in bars]
    if is_index:
        # The columns that were asked for.
        lines = [",".join(line.split(",")[: len(form["fields2"].split(","))]) for line in lines]
    if "changed_columns" in page.faults:
        lines = [f"{line},1.00" for line in lines]
    data = {
        "code": symbol[:6] if "wrong_symbol" not in page.faults else "600999",
        "market": int(symbol.endswith("SH")),
        "name": f"股票{symbol[:6]}",
        "decimal": 2,
        "dktotal": len(page.market.bars(symbol)),
        "preKPrice": 10.0,
        "klines": lines,
    }
    return _json({"rc": 0, "rt": 17, "svr": 1, "lt": 1, "full": 0, "dlmkts": "", "data": data})


def market_page(page: Page) -> Answer:
    """The stocks of a filter, by code from the last to the first; ``-`` where a stock did not trade."""
    form = page.seen.form
    symbols = sorted(_filtered(page, form["fs"]), reverse=True)
    size = min(int(form["pz"]), PAGE_SIZE)
    first = (int(form["pn"]) - 1) * size
    rows = [_market_row(page, symbol) for symbol in symbols[first : first + size]]
    data = {"total": len(symbols), "diff": rows} if rows and "null" not in page.faults else None
    return _json({"rc": 0, "rt": 6, "svr": 1, "lt": 1, "full": 1, "dlmkts": "", "data": data})


def _filtered(page: Page, filters: str) -> list[str]:
    found = []
    for symbol in page.market.listed():
        board = "star" if symbol[:2] == "68" else "chinext" if symbol[:2] == "30" else "main"
        kind = f"{board}.{symbol[-2:]}"
        wanted = [_FILTERS.get(each.strip(), "main.BJ") for each in filters.split(",")]
        if kind in wanted:
            found.append(symbol)
    return found


def _market_row(page: Page, symbol: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_FIELDS, "-")
    row |= {"f1": 2, "f12": symbol[:6], "f13": int(symbol.endswith("SH")), "f14": f"股票{symbol[:6]}"}
    bars = page.market.bars(symbol)
    if not bars:
        return row
    today, before = bars[-1], bars[-2] if len(bars) > 1 else bars[-1]
    row["f18"] = reference(page.market, symbol, before.close)
    if today.day != page.market.until:
        row["f18"] = today.close / 100
        return row
    row |= {
        "f2": today.close / 100,
        "f3": round((today.close / before.close - 1) * 100, 2),
        "f4": (today.close - before.close) / 100,
        "f5": today.volume // 100,
        "f6": today.amount,
        "f15": today.high / 100,
        "f16": today.low / 100,
        "f17": today.open / 100,
    }
    return row


def _line(bar: StandInBar) -> str:
    prices = [_price(cents) for cents in (bar.open, bar.close, bar.high, bar.low)]
    return ",".join([bar.day.isoformat(), *prices, str(bar.volume // 100), f"{bar.amount:.2f}", "1.00,0.50,0.05,0.60"])


def _price(cents: int) -> str:
    return "-" if cents == NOT_A_NUMBER else f"{cents / 100:.2f}"


def _compact_date(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def _json(value: Any) -> Answer:
    return Answer.text(json.dumps(value, ensure_ascii=False))
