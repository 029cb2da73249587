"""Corporate actions as Eastmoney's data centre lists them: dividends and new shares by report period, and rights.

The data centre is another host than the quotes, with a pace and a breaker of its own. Amounts are per ten shares and
before tax. A distribution without an ex-date is only planned.

Rights come without an ex-date. It is the second trading day after the last day of payment: the stock is suspended
from the day after the record date, the register is made up for a day, and then it trades ex-rights. (CITIC
Securities 2022: paid until 01-25, ex on 01-27.)
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import akshare
import pandas as pd

from importer.sources.akshare.calls import asking
from importer.sources.base import BadData
from importer.sources.frames import require_columns
from importer.sources.gate_adapter import Passage
from marketdata.actions import ListedAction
from marketdata.adjustment import Action
from marketdata.symbols import share_symbol, vendor_symbol
from marketdata.trading_days import next_trading_day

NAME = "datacenter"
# Up to so many stocks are asked for one by one: two requests each, instead of about five for each report period.
FEW_STOCKS = 10
# A distribution goes ex at most this long after the end of its report period: a year's by the summer after next.
_LONGEST_MONTHS = 18
_QUARTERS = ((3, 31), (6, 30), (9, 30), (12, 31))

_CODE, _CASH, _NEW, _EX_DATE = "代码", "现金分红-现金分红比例", "送转股份-送转总比例", "除权除息日"
_PERIOD = "报告期"
_RIGHTS = {"code": "股票代码", "ratio": "配股比例", "price": "配股价", "paid_until": "缴款截止日期"}
_RATIO = re.compile(r"10配([0-9.]+)")


@dataclass(frozen=True)
class Distribution:
    """What one report period brings; of several with one ex-date the holder gets all."""

    symbol: str
    period: date
    action: Action


def listed_actions(since: date, *, today: date, symbols: Sequence[str] | None = None) -> list[ListedAction]:
    """Return the actions with ex-dates from ``since`` on; see ``ActionSource.market_actions``.

    Raises what ``asking`` raises, and BadData.
    """
    wanted = None if symbols is None else set(symbols)
    found: list[Distribution] = []
    if wanted is not None and len(wanted) <= FEW_STOCKS:
        for symbol in sorted(wanted):
            found += _of_stock(symbol)
    else:
        for period in report_periods(since, today):
            found += _of_period(period)
    found += _rights()
    kept = [each for each in found if each.action.ex_date >= since and (wanted is None or each.symbol in wanted)]
    return combined(kept)


def report_periods(since: date, today: date) -> list[date]:
    """Return the ends of the quarters whose distributions can go ex from ``since`` on and be announced by ``today``."""
    months = since.year * 12 + since.month - 1 - _LONGEST_MONTHS
    first = date(months // 12, months % 12 + 1, 1)
    ends = (date(year, *quarter) for year in range(first.year, today.year + 1) for quarter in _QUARTERS)
    return [end for end in ends if first <= end <= today]


def combined(distributions: Iterable[Distribution]) -> list[ListedAction]:
    """Return one action for each stock and ex-date, by symbol and date. A row that is there twice counts once."""
    of_day: dict[tuple[str, date], set[Distribution]] = defaultdict(set)
    for each in distributions:
        of_day[each.symbol, each.action.ex_date].add(each)
    return [ListedAction(symbol, _sum(of_day[symbol, ex_date])) for symbol, ex_date in sorted(of_day)]


def _sum(distributions: Collection[Distribution]) -> Action:
    actions = [each.action for each in distributions]
    paid = sum(each.rights_price * each.rights_per_share for each in actions)
    rights = sum(each.rights_per_share for each in actions)
    return replace(
        actions[0],
        cash_per_share=round(sum(each.cash_per_share for each in actions), 8),
        new_shares_per_share=round(sum(each.new_shares_per_share for each in actions), 8),
        rights_per_share=rights,
        rights_price=round(paid / rights, 8) if rights else 0.0,
    )


def _of_period(period: date) -> list[Distribution]:
    frame = _call(lambda: akshare.stock_fhps_em(date=period.strftime("%Y%m%d")), [_CODE, _CASH, _NEW, _EX_DATE])
    return list(_distributions(frame.to_dict("records"), lambda row: (row[_CODE], period)))


def _of_stock(symbol: str) -> list[Distribution]:
    code = vendor_symbol(symbol, "600519")
    frame = _call(lambda: akshare.stock_fhps_detail_em(symbol=code), [_PERIOD, _CASH, _NEW, _EX_DATE])
    return list(_distributions(frame.to_dict("records"), lambda row: (code, row[_PERIOD])))


def _rights() -> list[Distribution]:
    frame = _call(akshare.stock_pg_em, list(_RIGHTS.values()))
    found = []
    for row in frame.to_dict("records"):
        symbol, paid_until = share_symbol(str(row[_RIGHTS["code"]])), row[_RIGHTS["paid_until"]]
        ratio, price = _RATIO.match(str(row[_RIGHTS["ratio"]])), _number(row[_RIGHTS["price"]])
        if symbol is None or not isinstance(paid_until, date) or pd.isna(paid_until) or ratio is None or price <= 0:
            continue
        ex_date = next_trading_day(next_trading_day(paid_until))
        found.append(
            Distribution(symbol, ex_date, Action(ex_date, rights_per_share=float(ratio[1]) / 10, rights_price=price))
        )
    return found


def _distributions(
    rows: Iterable[dict[Hashable, Any]], key: Callable[[dict[Hashable, Any]], tuple[object, object]]
) -> Iterator[Distribution]:
    for row in rows:
        code, period = key(row)
        symbol, ex_date = share_symbol(str(code)), row[_EX_DATE]
        cash, new = _number(row[_CASH]) / 10, _number(row[_NEW]) / 10
        if symbol is None or not isinstance(ex_date, date) or pd.isna(ex_date) or not isinstance(period, date):
            continue
        if cash > 0 or new > 0:
            action = Action(ex_date, cash_per_share=round(cash, 8), new_shares_per_share=round(new, 8))
            yield Distribution(symbol, period, action)


def _call(function: Callable[[], pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    passage: Passage | None = None
    try:
        with asking(NAME) as passage:
            frame = function()
    except BadData:
        if passage is not None and _is_nothing(passage):
            return pd.DataFrame(columns=list(columns))
        raise
    require_columns(frame, columns, NAME, "")
    return frame


def _is_nothing(passage: Passage) -> bool:
    """Say whether the first page said that there is nothing: AKShare cannot make a frame of that."""
    if len(passage.heads) != 1:
        return False
    try:
        answer = json.loads(passage.heads[0][1])
    except ValueError:
        return False
    return isinstance(answer, dict) and "result" in answer and answer["result"] is None


def _number(value: Any) -> float:
    number = float(value) if isinstance(value, int | float) else 0.0
    return number if 0 < number < 10_000 else 0.0
