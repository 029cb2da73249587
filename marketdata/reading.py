"""Read bars into pandas: the public Python API.

    import config.notebook
    from marketdata.reading import load_bars, load_day, load_panel, resample
    load_bars("600519", "2024-01-01", adjust="qfq")

The first line is for notebooks and scripts: Django's own commands do without it.

Prices are in yuan, as traded that day unless ``adjust`` says otherwise; ``volume`` is in shares, ``amount`` in yuan.
Dates are exchange dates: datetime64 at midnight, without a time zone.

``adjust`` is ``none``, ``hfq`` (后复权: the first stored bar stays as traded), ``qfq`` (前复权: the newest one does) or
``broker`` (the affine 前复权 of brokers' screens: its returns are wrong, see docs/prices.md). With ``as_of`` bars and
ex-dates after that day do not exist, so ``qfq`` and ``broker`` are those of that day. ``adjust_volume`` turns volumes
(float64 then) into shares of the anchor day; amounts are never adjusted. Adjusted frames name their ``anchor`` in
``attrs``, and list in ``flags`` what to know about single ex-dates (``adjusted.flag_texts`` puts it into words).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd
from django.db import connection
from numpy.typing import NDArray

from marketdata import bars_table, queries
from marketdata.adjusted import Adjustment, Attributes, PanelFactors, attributes, load_factors, parse_adjustment
from marketdata.adjustment import Adjust
from marketdata.bar_columns import VALUES, BarColumns, Days, Integers
from marketdata.completeness import completeness_among, require_complete
from marketdata.exceptions import UnknownStock
from marketdata.given_days import GivenDay, parse_bound, parse_day
from marketdata.index_days import with_index
from marketdata.market_index import INDEX_OF
from marketdata.panel_completeness import incomplete_days, require_complete_days
from marketdata.recoding import current_symbol
from marketdata.resampling import resample
from marketdata.stock_spans import StockSpans, wanted_spans
from marketdata.symbols import parse_symbol, parse_symbols

__all__ = ["load_bars", "load_day", "load_panel", "read_bars", "resample"]

DateLike = GivenDay | None
Incomplete = Literal["mark", "refuse"]
# The unit in which pandas 3 reads dates itself, so that frames can be compared and joined as they are.
_DATE_DTYPE = "datetime64[us]"
# More than there are days: a stock's place and a day in one number, in the order of both.
_DAYS = 1 << 24


def read_bars(stock_id: int, start: date | None = None, end: date | None = None) -> pd.DataFrame:
    """Return one stock's raw bars, as sources deliver them: start <= date <= end (None: no bound).

    Columns: date (datetime64), open, high, low, close, volume (int64), amount; ascending by date. Empty when there
    is none, or no such stock.
    """
    bars = bars_table.read_bars(stock_id, start, end)
    return pd.DataFrame({"date": bars.days.astype(_DATE_DTYPE), **_value_columns(bars)}, copy=False)


def load_bars(
    symbol: str,
    start: DateLike = None,
    end: DateLike = None,
    adjust: str = "none",
    *,
    as_of: DateLike = None,
    adjust_volume: bool = False,
) -> pd.DataFrame:
    """Return a stock's bars with start <= date <= end (dates, times or ISO texts; None: no bound), adjusted if asked.

    ``symbol`` may be written in any common way; a code that Beijing gave out before 920xxx means the stock that has
    another one now. The index is ``date`` (datetime64, ascending, each day once); the
    columns are open, high, low, close (float64, yuan), volume (int64, shares), amount (float64, yuan).
    ``attrs`` name the canonical ``symbol`` and ``adjust``; for adjusted prices ``anchor`` and ``flags``, see above.
    Raises BadSymbol, and UnknownStock when the stock is not in the database; ValueError for a form of adjustment or a
    day that does not exist. No bar in the range is an empty frame.
    """
    adjustment = parse_adjustment(adjust, parse_bound(as_of), adjust_volume)
    first = parse_bound(start)
    canonical, stock_id = _stock_of(parse_symbol(symbol))
    bars = bars_table.read_bars(stock_id, first, adjustment.last_day(parse_bound(end)))
    places = np.zeros(len(bars), np.int64)
    columns, said = _adjusted([canonical], [stock_id], places, bars.days, _value_columns(bars), adjustment, first)
    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(bars.days.astype(_DATE_DTYPE), name="date"), copy=False)
    frame.attrs = {"symbol": canonical, **said}
    return frame


def load_panel(
    symbols: str | Iterable[str] | None = None,
    start: DateLike = None,
    end: DateLike = None,
    fields: str | Sequence[str] = "close",
    adjust: str = "none",
    *,
    layout: Literal["wide", "long"] = "wide",
    as_of: DateLike = None,
    adjust_volume: bool = False,
    incomplete: Incomplete = "mark",
) -> pd.DataFrame:
    """Return values of many stocks with start <= date <= end (None: no bound), adjusted if asked.

    ``symbols``: in any common way, None for all stocks. ``fields``: among open, high, low, close, volume, amount.
    ``layout``:
    - ``wide``: a row per date on which any of the stocks traded, a column per stock (float64, NaN where it has no
      bar); the columns are symbols when ``fields`` is one name, else (field, symbol).
    - ``long``: a row per bar with the columns date, symbol (categorical) and the fields, by symbol, then date.
    Stocks come in the order asked for, all stocks by symbol. Seeks each stock's key, so that one day of the whole
    market does not read the whole table. ``attrs`` name ``adjust``; for adjusted prices ``anchor`` (a day, or a day
    for each symbol where they differ) and ``flags``, see above. They also say whether all days are ``complete`` among
    the stocks that were asked for, and list those that are ``incomplete``: by ISO date, how many stocks are missing.
    A day on which the exchange was open counts also where no stock has a bar, and then the table has no row of it.
    ``incomplete``: ``mark`` leaves it at that, ``refuse`` raises IncompleteDay, which names the first such day.
    Raises BadSymbol, UnknownStock, or ValueError for a field, layout, form of adjustment or word that does not exist.
    """
    names = [fields] if isinstance(fields, str) else list(dict.fromkeys(fields))
    if not names or set(names) - set(VALUES):
        raise ValueError(f"fields are among {', '.join(VALUES)}, not {', '.join(map(str, names)) or 'empty'}")
    if layout not in ("wide", "long"):
        raise ValueError(f"layout is wide or long, not {layout}")
    _check_incomplete(incomplete)
    adjustment = parse_adjustment(adjust, parse_bound(as_of), adjust_volume)
    spans = _wanted_stocks(symbols)
    listed = spans.symbols
    first, last = parse_bound(start), adjustment.last_day(parse_bound(end))
    places, days, raw = _read_panel(spans, first, last, names)
    lacking = incomplete_days(spans, first, last, places, days)
    if incomplete == "refuse":
        require_complete_days(lacking)
    columns, said = _adjusted(listed, spans.ids, places, days, dict(zip(names, raw, strict=True)), adjustment, first)
    if layout == "long":
        frame = _long(listed, places, days, columns)
    else:
        tables = [_wide(listed, places, days, columns[name]) for name in names]
        one = isinstance(fields, str)
        frame = tables[0] if one else pd.concat(tables, axis=1, keys=names, names=["field", "symbol"])
    missing = {figures.day.isoformat(): figures.missing for figures in lacking}
    frame.attrs = {**said, "complete": not missing, "incomplete": missing}
    return frame


def load_day(
    day: GivenDay,
    symbols: str | Iterable[str] | None = None,
    *,
    incomplete: Incomplete = "mark",
) -> pd.DataFrame:
    """Return a day across the market: a row for each stock that traded, raw.

    ``symbols``: in any common way, None for all stocks. The index is ``symbol``; the columns are open, high, low,
    close (float64, yuan), volume (int64, shares), amount (float64, yuan). Seeks each stock's key. ``attrs`` name
    ``date`` and ``adjust``, and how complete the day is among the stocks that were asked for: ``complete``, and the
    numbers of stocks ``expected``, ``present``, ``missing`` and ``suspended``, see ``marketdata.completeness``; and
    whether the exchanges' ``index`` ``agrees`` with the turnover of all stocks, ``differs``, or is ``unknown``.
    ``incomplete``: ``mark`` leaves it at that, ``refuse`` raises IncompleteDay. Raises BadSymbol or UnknownStock, and
    ValueError for another word. A day without any bar is an empty frame.
    """
    _check_incomplete(incomplete)
    wanted = parse_day(day)
    spans = _wanted_stocks(symbols)
    places, _days, columns = _read_panel(spans, wanted, wanted, list(VALUES))
    figures = completeness_among(wanted, spans, places)
    if symbols is None:
        figures = with_index(figures, lambda: _turnovers(spans, places, columns[VALUES.index("amount")]))
    if incomplete == "refuse":
        require_complete(figures)
    index = pd.Index([spans.symbols[place] for place in places.tolist()], dtype="str", name="symbol")
    values = {
        name: column.astype(np.int64) if name == "volume" else column
        for name, column in zip(VALUES, columns, strict=True)
    }
    frame = pd.DataFrame(values, index=index, copy=False)
    frame.attrs = {
        "date": str(wanted),
        "adjust": Adjust.NONE.value,
        "complete": figures.is_complete,
        "expected": figures.expected,
        "present": figures.present,
        "missing": figures.missing,
        "suspended": figures.suspended,
        "index": figures.index.answer.value,
    }
    return frame


def _adjusted(
    symbols: list[str],
    ids: list[int],
    places: NDArray[np.int64],
    days: Days,
    columns: dict[str, NDArray[Any]],
    adjustment: Adjustment,
    start: date | None,
) -> tuple[dict[str, NDArray[Any]], Attributes]:
    """Return the columns as they were asked for, and what the frame says about them."""
    if adjustment.adjust == Adjust.NONE:
        return columns, attributes([], [], adjustment)
    factors = load_factors(ids, adjustment, start=start)
    of_stocks = [factors[stock_id] for stock_id in ids]
    columns = PanelFactors(of_stocks).adjusted(places, days, columns, volume=adjustment.volume)
    return columns, attributes(symbols, of_stocks, adjustment)


def _value_columns(bars: BarColumns) -> dict[str, NDArray[Any]]:
    return dict(zip(VALUES, bars.values(), strict=True))


def _turnovers(spans: StockSpans, places: Integers, amounts: NDArray[np.float64]) -> dict[str, float]:
    """Return what the stocks turned over, by exchange."""
    exchanges = np.array([symbol[-2:] for symbol in spans.symbols])[places]
    return {exchange: float(amounts[exchanges == exchange].sum()) for exchange in INDEX_OF}


def _check_incomplete(incomplete: str) -> None:
    if incomplete not in ("mark", "refuse"):
        raise ValueError(f"incomplete is mark or refuse, not {incomplete}")


def _wanted_stocks(symbols: str | Iterable[str] | None) -> StockSpans:
    return wanted_spans(None if symbols is None else parse_symbols(symbols))


def _stock_of(symbol: str) -> tuple[str, int]:
    """Return the symbol under which a stock is stored, and its id."""
    stock_id = _id_of(symbol)
    if stock_id is None:
        symbol = current_symbol(symbol)
        stock_id = _id_of(symbol)
    if stock_id is None:
        raise UnknownStock(symbol=symbol)
    return symbol, stock_id


def _id_of(symbol: str) -> int | None:
    # Without the ORM: this would be a tenth of the time that reading a thousand bars takes.
    with connection.cursor() as cursor:
        cursor.execute(queries.STOCK_ID, (symbol,))
        row = cursor.fetchone()
    return row[0] if row is not None else None


def _read_panel(
    spans: StockSpans, start: date | None, end: date | None, names: list[str]
) -> tuple[Integers, Days, list[NDArray[Any]]]:
    """Return (place of the stock in ``spans``, day, fields) of all rows, sorted by place and day."""
    stock_ids, days, *columns = bars_table.read_panel(spans.ids, start, end, names)
    places = spans.places_of_ids()[stock_ids]
    keys = places * _DAYS + days.astype(np.int64)
    if not (keys[1:] < keys[:-1]).any():
        return places, days, columns
    # Rows come stock by stock: runs that this way of sorting merges.
    order = np.argsort(keys, kind="stable")
    return places[order], days[order], [column[order] for column in columns]


def _long(listed: list[str], places: NDArray[np.int64], days: Days, columns: dict[str, NDArray[Any]]) -> pd.DataFrame:
    symbol = pd.Categorical.from_codes(places, categories=pd.Index(listed, dtype="str"))
    return pd.DataFrame({"date": days.astype(_DATE_DTYPE), "symbol": symbol, **columns}, copy=False)


def _wide(listed: list[str], places: NDArray[np.int64], days: Days, column: NDArray[Any]) -> pd.DataFrame:
    first = days.min() if len(days) else np.datetime64(0, "D")
    offsets = (days - first).astype(np.int64)
    # A calendar day's row in the table: those without any bar have none. Much faster than sorting a million days.
    has_bar = np.bincount(offsets, minlength=1) > 0 if len(days) else np.zeros(1, np.bool_)
    row_of = np.cumsum(has_bar) - 1
    table = np.full((int(has_bar.sum()), len(listed)), np.nan)
    table[row_of[offsets], places] = column
    index = pd.DatetimeIndex((first + np.flatnonzero(has_bar)).astype(_DATE_DTYPE), name="date")
    return pd.DataFrame(table, index=index, columns=pd.Index(listed, dtype="str", name="symbol"), copy=False)
