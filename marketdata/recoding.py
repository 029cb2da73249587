"""One stock, one history, both codes: what a list shows under a new code goes on in the row of the former one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Protocol

from django.db import connection, transaction
from django.db.models import Count, Max, Min, Q

from marketdata import coverage, queries
from marketdata.beijing_codes import announced_symbol, formerly, is_former_symbol
from marketdata.models import Bar, CorporateAction, Stock
from marketdata.trading_days import next_trading_day


class Named(Protocol):
    """What tells two codes of one stock: ``symbol`` is canonical, an empty name or None says nothing."""

    @property
    def symbol(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def listed_on(self) -> date | None: ...


# What exchanges put before a name for a day: new, ex-dividend, ex-rights. The end of a long name is cut off then.
_MARK = re.compile(r"^(?:N|C|XD|XR|DR)(?=[一-鿿])")


def has_mark(name: str) -> bool:
    """Say whether a name is that of a day only."""
    return _MARK.match(name) is not None


def without_mark(name: str) -> str:
    return _MARK.sub("", name)


def plain_name(name: str) -> str:
    """Return a name without what sources write differently: width, blanks, case."""
    return "".join(unicodedata.normalize("NFKC", name).split()).upper()


def recoded(listed: Iterable[Named], stored: Iterable[Named]) -> dict[str, str]:
    """Return former and new symbol of each stored stock that ``listed`` shows under a new code only. Pure.

    What the exchange's rule says; else the same name, with no other listing date; else the same listing date and last
    three digits. What could be two stocks is neither.
    """
    shown = [each for each in listed if each.symbol.endswith(".BJ")]
    still_there = {each.symbol for each in shown}
    new = [each for each in shown if not is_former_symbol(each.symbol)]
    gone = [each for each in stored if is_former_symbol(each.symbol) and each.symbol not in still_there]
    found = {former.symbol: match for former in gone if (match := _match(former, new)) is not None}
    claims = Counter(found.values())
    return {former: symbol for former, symbol in found.items() if claims[symbol] == 1}


def follow_listing(listed: Iterable[Named]) -> dict[str, str]:
    """Let stored stocks go on under the codes that ``listed`` shows; return the current symbol of each former one.

    Inside the caller's transaction, in which listings take turns.
    """
    shown = [each for each in listed if each.symbol.endswith(".BJ")]
    if not shown:
        return {}
    stored = list(Stock.objects.filter(exchange="BJ").order_by("id"))
    if not stored:
        return {}
    held = {stock.symbol for stock in stored if stock.former_symbol}
    open_ones = [each for each in shown if each.symbol not in held]
    for former, symbol in sorted(recoded(open_ones, stored).items()):
        _go_on(former, symbol)
    return dict(Stock.objects.exclude(former_symbol="").values_list("former_symbol", "symbol"))


def current_symbols(symbols: Iterable[str]) -> dict[str, str]:
    """Return by canonical symbol the one under which the stock is stored, or would be if it were: both codes are
    understood. Asks the database about Beijing's stocks alone.
    """
    wanted = list(dict.fromkeys(symbols))
    of_beijing = {symbol for symbol in wanted if symbol.endswith(".BJ")}
    if not of_beijing:
        return dict(zip(wanted, wanted, strict=True))
    others = {other for symbol in of_beijing if (other := _other(symbol)) is not None}
    asked = [*of_beijing, *others]
    rows = Stock.objects.filter(Q(symbol__in=asked) | Q(former_symbol__in=asked))
    by_code: dict[str, str] = {}
    for symbol, former in rows.values_list("symbol", "former_symbol"):
        by_code[symbol] = symbol
        if former:
            by_code.setdefault(former, symbol)
    return {symbol: _current(symbol, by_code) if symbol in of_beijing else symbol for symbol in wanted}


def current_symbol(symbol: str) -> str:
    """Return the symbol under which a stock is stored, see ``current_symbols``."""
    return current_symbols([symbol])[symbol]


def known_stocks(symbols: Sequence[str]) -> dict[str, Stock]:
    """Return the stored stocks by the symbols that were asked for, former ones included."""
    current = current_symbols(symbols)
    stocks = Stock.objects.in_bulk(list(dict.fromkeys(current.values())), field_name="symbol")
    return {asked: stocks[symbol] for asked, symbol in current.items() if symbol in stocks}


def _match(former: Named, new: Sequence[Named]) -> str | None:
    possible = [each for each in new if not _contradict(former.listed_on, each.listed_on)]
    announced = announced_symbol(former.symbol)
    if any(each.symbol == announced for each in possible):
        return announced
    named = [each for each in possible if former.name and plain_name(each.name) == plain_name(former.name)]
    alike = [
        each
        for each in possible
        if former.listed_on is not None
        and each.listed_on == former.listed_on
        and each.symbol[3:6] == former.symbol[3:6]
    ]
    for candidates in (named, alike):
        if len(candidates) == 1:
            return candidates[0].symbol
    return None


def _contradict(one: date | None, other: date | None) -> bool:
    return one is not None and other is not None and one != other


def _other(symbol: str) -> str | None:
    return announced_symbol(symbol) if is_former_symbol(symbol) else formerly(symbol)


def _current(symbol: str, by_code: Mapping[str, str]) -> str:
    if symbol in by_code:
        return by_code[symbol]
    other = _other(symbol)
    if other is None:
        return symbol
    # Nobody stored it: a source of today knows the new code.
    return by_code.get(other, other if is_former_symbol(symbol) else symbol)


def _go_on(former: str, symbol: str) -> None:
    """Give the row of ``former`` its new symbol; what was stored under the new one meanwhile becomes its."""
    code, _exchange = symbol.split(".")
    rows = Stock.objects.select_for_update(no_key=True).filter(symbol__in=(former, symbol)).order_by("id")
    stocks = {stock.symbol: stock for stock in rows}
    kept, doubled = stocks[former], stocks.get(symbol)
    with transaction.atomic():
        if doubled is not None:
            _move_over(doubled, kept)
        Stock.objects.filter(pk=kept.pk, symbol=former).update(symbol=symbol, code=code, former_symbol=former)


def _move_over(doubled: Stock, kept: Stock) -> None:
    """Move the bars and actions of a second row of one stock to the first, and remove the second.

    Of a day that both have the bar of ``doubled`` stays: it came under the code that is valid now.
    """
    with connection.cursor() as cursor:
        cursor.execute(queries.DELETE_BARS_OF_SAME_DAYS, (kept.pk, doubled.pk))
        cursor.execute(queries.MOVE_BARS, (kept.pk, doubled.pk))
    days = CorporateAction.objects.filter(stock=doubled).values("ex_date")
    CorporateAction.objects.filter(stock=kept, ex_date__in=days).delete()
    CorporateAction.objects.filter(stock=doubled).update(stock=kept)
    counted = Bar.objects.filter(stock=kept).aggregate(first=Min("date"), last=Max("date"), count=Count("date"))
    known, covered = kept.covered, doubled.covered
    if known and covered:
        covered = coverage.merged(known, covered, next_trading_day)
    covered_from, covered_until = covered or known or (None, None)
    Stock.objects.filter(pk=kept.pk).update(
        first_bar=counted["first"],
        last_bar=counted["last"],
        bar_count=counted["count"],
        covered_from=covered_from,
        covered_until=covered_until,
        name=doubled.name or kept.name,
        board=doubled.board or kept.board,
        listed_on=doubled.listed_on or kept.listed_on,
        delisted_on=doubled.delisted_on or kept.delisted_on,
    )
    Stock.objects.filter(pk=doubled.pk).delete()
