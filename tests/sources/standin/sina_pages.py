"""Sina's pages: the packed daily bars, the share capital, and the packed calendar."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

from tests.sources.standin.bars import StandInBar, sessions
from tests.sources.standin.data_faults import NOT_A_NUMBER, faulty_bars
from tests.sources.standin.datacenter_pages import reference
from tests.sources.standin.exchange_days import published_days
from tests.sources.standin.klc import encode_bars, encode_days
from tests.sources.standin.requests_seen import Answer, Page

MARKET_PAGE_SIZE = 80
_SCRIPT = "application/javascript; charset=gb2312"


def bars(page: Page) -> Answer | None:
    """Volumes in shares, whole history; there is no page (404) for an unknown stock."""
    symbol = page.seen.symbol
    rows = list(faulty_bars(page.market, symbol, None, None, page.faults))
    if not rows:
        return None
    named = _vendor(symbol) if "wrong_symbol" not in page.faults else "sh600999"
    rows = [_expressible(row) for row in rows]
    packed = _packed(tuple(rows))
    if "changed_columns" in page.faults:
        packed = encode_days(sessions())
    return Answer.text(f'var KLC_K2_{named}="{packed}";', _SCRIPT)


def share_capital(page: Page) -> Answer:
    """In units of ten thousand shares. One record is dated on a weekend, as real ones are."""
    first = page.market.bars(page.seen.symbol)[0].day
    saturday = first + timedelta(days=5 - first.weekday() + 70)
    records = [
        {"date": first.isoformat(), "amount": "80000.00"},
        {"date": saturday.isoformat(), "amount": "90000.00"},
    ]
    return Answer.text(f"var KKE_ShareAmount_{_vendor(page.seen.symbol)}=({json.dumps(records)})", _SCRIPT)


def stock_count(page: Page) -> Answer:
    return Answer.text(f'"{len(page.market.listed())}"')


def market_page(page: Page) -> Answer:
    """The stocks by symbol, zeros where one did not trade."""
    form = page.seen.form
    symbols = sorted(page.market.listed(), key=_vendor)
    size = min(int(form["num"]), MARKET_PAGE_SIZE)
    first = (int(form["page"]) - 1) * size
    rows = [_market_row(page, symbol) for symbol in symbols[first : first + size]]
    return Answer.text(json.dumps(rows, ensure_ascii=False))


def _market_row(page: Page, symbol: str) -> dict[str, object]:
    bars = page.market.bars(symbol)
    today, before = bars[-1], bars[-2] if len(bars) > 1 else bars[-1]
    trades = today.day == page.market.until
    previous = reference(page.market, symbol, before.close) if trades else today.close / 100
    price = {name: getattr(today, name) / 100 if trades else 0 for name in ("open", "high", "low", "close")}
    return {
        "symbol": _vendor(symbol),
        "code": symbol[:6],
        "name": f"股票{symbol[:6]}",
        "trade": f"{price['close']:.3f}",
        "pricechange": 0.0,
        "changepercent": 0.0,
        "buy": "0.000",
        "sell": "0.000",
        "settlement": f"{previous:.3f}",
        "open": f"{price['open']:.3f}",
        "high": f"{price['high']:.3f}",
        "low": f"{price['low']:.3f}",
        "volume": today.volume if trades else 0,
        "amount": round(today.amount) if trades else 0,
        "ticktime": "15:00:00",
        "per": 10.0,
        "pb": 1.0,
        "mktcap": 100000.0,
        "nmc": 100000.0,
        "turnoverratio": 0.6,
    }


def calendar(page: Page) -> Answer:
    """Every day since the exchange opened, and the next year's; one is missing, which AKShare adds."""
    days = [day for day in published_days() if day != date(1992, 5, 4)]
    return Answer.text(f'var datelist="{encode_days(days)}";var KLC_TD_SH=datelist;', _SCRIPT)


@lru_cache(maxsize=64)
def _packed(rows: tuple[StandInBar, ...]) -> str:
    return encode_bars(rows)


def _expressible(row: StandInBar) -> StandInBar:
    """Return what comes nearest to a faulty bar in a format that has no missing numbers and counts the high and low
    from the open, upwards and downwards.
    """
    if row.close == NOT_A_NUMBER:
        return replace(row, close=0)
    if row.high < row.low:
        return replace(row, high=row.open, close=row.open + 100)
    return row


def _vendor(symbol: str) -> str:
    return symbol[-2:].lower() + symbol[:6]
