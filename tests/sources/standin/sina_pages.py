"""Sina's pages: the packed daily bars, the share capital, and the packed calendar."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache

from tests.sources.standin.bars import StandInBar, sessions
from tests.sources.standin.data_faults import NOT_A_NUMBER, faulty_bars
from tests.sources.standin.klc import encode_bars, encode_days
from tests.sources.standin.requests_seen import Answer, Page

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


def calendar(page: Page) -> Answer:
    return Answer.text(f'var datelist="{encode_days(sessions())}";var KLC_TD_SH=datelist;', _SCRIPT)


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
