"""Eastmoney's data centre: dividends and new shares by report period or stock, and rights issues.

AKShare names the columns by their place: what it does not read is filled with anything.
"""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

from tests.sources.standin.bars import Market, sessions
from tests.sources.standin.requests_seen import Answer, Page

PAGE_SIZE = 500
# On the last day that the market shows, this stock pays 3 yuan for ten shares and gives 2; its previous close says so.
PAYS_TODAY, CASH_FOR_TEN, NEW_FOR_TEN = "300750.SZ", 3.0, 2.0
# It pays on that day, too, but nobody lists it.
SURPRISE, SURPRISE_SHARE = "002594.SZ", 0.97
# It gave 3 for 10 at 5 yuan; paid until two sessions before the ex-date.
RIGHTS, RIGHTS_EX_DATE = "600519.SH", date(2024, 5, 15)
_FIELDS = 30
_RIGHTS_FIELDS = 23


def reference(market: Market, symbol: str, close: int) -> float:
    """Return the exchange's previous close, in yuan, of the last day after a close in cents."""
    if symbol == PAYS_TODAY:
        price = (close / 100 - CASH_FOR_TEN / 10) / (1 + NEW_FOR_TEN / 10)
        return int(price * 100 + 0.5) / 100
    return round(close * (SURPRISE_SHARE if symbol == SURPRISE else 1)) / 100


def lists(page: Page) -> Answer:
    """A list that has nothing is ``result: null``, as the site sends it."""
    form = page.seen.form
    if form["reportName"] == "RPT_IPO_ALLOTMENT":
        rows = [_rights_row()]
    elif match := re.search(r"SECURITY_CODE=\"(\d{6})\"", form["filter"]):
        rows = [_row(page.market, *each) for each in distributions(page.market) if each[0].startswith(match[1])]
    else:
        period = re.search(r"REPORT_DATE='([\d-]+)'", form["filter"])
        assert period is not None
        rows = [_row(page.market, *each) for each in distributions(page.market) if each[1].isoformat() == period[1]]
    if not rows or "null" in page.faults:
        return _json({"version": None, "result": None, "success": False, "message": "返回数据为空", "code": 9201})
    size = min(int(form["pageSize"]), PAGE_SIZE)
    first = (int(form["pageNumber"]) - 1) * size
    result = {"pages": -(-len(rows) // size), "data": rows[first : first + size], "count": len(rows)}
    return _json({"version": "1", "result": result, "success": True, "message": "ok", "code": 0})


def distributions(market: Market) -> list[tuple[str, date, date | None, float, float]]:
    """Return symbol, report period, ex-date (None: planned), cash and new shares for ten."""
    year = market.until.year
    found: list[tuple[str, date, date | None, float, float]] = [
        (PAYS_TODAY, _last_period(market.until), market.until, CASH_FOR_TEN, NEW_FOR_TEN),
        ("000001.SZ", _last_period(market.until), None, 1.0, 0.0),
        # A B-share, which is on the same list.
        ("900901.SH", _last_period(market.until), market.until, 1.0, 0.0),
    ]
    for number, symbol in enumerate(market.listed()):
        if symbol != PAYS_TODAY:
            ex_date = next(day for day in sessions() if day >= date(year - 1, 6, 1) + timedelta(days=number % 40))
            found.append((symbol, date(year - 2, 12, 31), ex_date, 1.0 + number % 7, 0.0))
    return found


def _last_period(day: date) -> date:
    ends = [date(year, *end) for year in (day.year - 1, day.year) for end in ((3, 31), (6, 30), (9, 30), (12, 31))]
    return max(end for end in ends if end < day)


def _row(market: Market, symbol: str, period: date, ex_date: date | None, cash: float, new: float) -> dict[str, Any]:
    row: dict[str, Any] = {f"F{number:02}": None for number in range(_FIELDS)}
    noticed = f"{period + timedelta(days=60)} 00:00:00"
    row |= {
        "F01": f"股票{symbol[:6]}",
        "F04": symbol[:6],
        "F05": new or None,
        "F06": new or None,
        "F08": cash or None,
        "F09": noticed,
        "F10": f"{ex_date - timedelta(days=1)} 00:00:00" if ex_date else None,
        "F11": f"{ex_date} 00:00:00" if ex_date else None,
        # The list of a period reads another field here, which it does not look at.
        "F12": f"{period} 00:00:00",
        "F13": "实施分配" if ex_date else "董事会预案",
        "F15": noticed,
    }
    return row


def _rights_row() -> dict[str, Any]:
    row: dict[str, Any] = {f"F{number:02}": None for number in range(_RIGHTS_FIELDS)}
    paid_until = [day for day in sessions() if day < RIGHTS_EX_DATE][-2]
    row |= {
        "F02": RIGHTS[:6],
        "F04": f"股票{RIGHTS[:6]}",
        "F07": 3,
        "F08": 5.0,
        "F12": f"{paid_until - timedelta(days=7)} 00:00:00",
        "F13": f"{paid_until - timedelta(days=6)} 00:00:00",
        "F14": f"{paid_until} 00:00:00",
    }
    return row


def _json(value: Any) -> Answer:
    return Answer.text(json.dumps(value, ensure_ascii=False))
