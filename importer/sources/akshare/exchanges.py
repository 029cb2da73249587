"""Which A-shares there are, and were: the three exchanges' own lists, shared by all sources of AKShare.

Delisted stocks are among them, so that research is free of survivorship bias. Beijing publishes no list of its
delisted ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import akshare
import pandas as pd
from django.utils.translation import gettext_noop

from importer.sources.akshare.calls import asking
from importer.sources.base import BadData, Banned, ListedStock, SourceError, SourceUnavailable
from importer.sources.frames import require_columns
from importer.sources.labels import label_of
from marketdata.symbols import board_of, share_symbol
from marketdata.texts import word

logger = logging.getLogger(__name__)

NAME = "exchanges"
# Shanghai's list of delisted companies comes as one page of at most this many.
_SHANGHAI_PAGE = 500

_EMPTY = gettext_noop("%(source)s: the list of %(exchange)s is empty, which cannot be.")


@dataclass(frozen=True)
class _List:
    """One published list: how AKShare fetches it, and what its columns are called."""

    exchange: str
    fetch: Callable[[], pd.DataFrame]
    code: str
    stock_name: str
    listed: str | None
    delisted: str | None = None
    # AKShare keeps these for ever: a worker that lives long would never see a new listing.
    forget: Callable[[], None] = lambda: None


_LISTS = (
    _List(
        "SH",
        lambda: akshare.stock_info_sh_name_code(symbol="主板A股"),
        "证券代码",
        "证券简称",
        "上市日期",
        forget=akshare.stock_info_sh_name_code.cache_clear,
    ),
    _List(
        "SH",
        lambda: akshare.stock_info_sh_name_code(symbol="科创板"),
        "证券代码",
        "证券简称",
        "上市日期",
        forget=akshare.stock_info_sh_name_code.cache_clear,
    ),
    _List(
        "SZ",
        lambda: akshare.stock_info_sz_name_code(symbol="A股列表"),
        "A股代码",
        "A股简称",
        "A股上市日期",
        forget=akshare.stock_info_sz_name_code.cache_clear,
    ),
    _List(
        "BJ",
        akshare.stock_info_bj_name_code,
        "证券代码",
        "证券简称",
        "上市日期",
        forget=akshare.stock_info_bj_name_code.cache_clear,
    ),
    _List("SH", akshare.stock_info_sh_delist, "公司代码", "公司简称", "上市日期", "暂停上市日期"),
    _List("SZ", akshare.stock_info_sz_delist, "证券代码", "证券简称", "上市日期", "终止上市日期"),
)
# Beijing's list is the one that is refused most; Eastmoney's market pages, three of them, know codes and names.
_BEIJING_INSTEAD = _List("BJ", akshare.stock_bj_a_spot_em, "代码", "名称", None)


def listed_stocks() -> list[ListedStock]:
    """Return every A-share that is or was listed, with its dates, by symbol: about twenty requests.

    A list that cannot be had is tried once more. Raises SourceUnavailable, Banned or BadData when one is missing:
    half a market would pass for the whole.
    """
    found: dict[str, ListedStock] = {}
    for published in _LISTS:
        for stock in _read(published):
            # The lists of listed stocks come first: a code that is listed again is not delisted.
            found.setdefault(stock.symbol, stock)
    return [found[symbol] for symbol in sorted(found)]


def _read(published: _List) -> list[ListedStock]:
    try:
        return _fetch(published)
    except (SourceUnavailable, Banned, BadData) as error:
        logger.warning("the list of %s: %s; trying again", published.exchange, error)
    try:
        return _fetch(published)
    except SourceError:
        if published.exchange != "BJ":
            raise
        logger.warning("the list of BJ is taken from Eastmoney's market pages, without listing dates")
        return _fetch(_BEIJING_INSTEAD)


def _fetch(published: _List) -> list[ListedStock]:
    published.forget()
    with asking(NAME):
        frame = published.fetch()
    published.forget()
    columns = [published.code, published.stock_name, published.listed, published.delisted]
    require_columns(frame, [column for column in columns if column], NAME, published.exchange)
    stocks = [stock for row in frame.to_dict("records") if (stock := _stock(published, row)) is not None]
    if not stocks:
        raise BadData(_EMPTY, source=word(label_of(NAME)), exchange=published.exchange, symbol="")
    if published.exchange == "SH" and published.delisted and len(frame) >= _SHANGHAI_PAGE:
        logger.warning("Shanghai's list of delisted companies fills its page of %s: some may be missing", len(frame))
    return stocks


def _stock(published: _List, row: dict[Hashable, Any]) -> ListedStock | None:
    """Return a row's stock; None for what is no A-share (B-shares are on the lists of delisted companies)."""
    # AKShare leaves the codes of a sheet with ten rows or fewer as pandas has read them: 000001 is the number 1.
    code = str(row[published.code]).removesuffix(".0")
    symbol = share_symbol(f"{code.zfill(6) if code.isdigit() else code}.{published.exchange}")
    if symbol is None:
        return None
    name = row[published.stock_name]
    return ListedStock(
        symbol,
        name=name.strip() if isinstance(name, str) else "",
        board=board_of(symbol).value,
        listed_on=_day(row[published.listed]) if published.listed else None,
        delisted_on=_day(row[published.delisted]) if published.delisted else None,
    )


def _day(value: object) -> date | None:
    if isinstance(value, str):
        value = pd.to_datetime(value, errors="coerce")
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else None
