"""Export of bars to files that other programs read: a folder that is whole, or not there."""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
from django.db.models import Max
from django.utils.translation import gettext_noop

from marketdata import bars_table, queries
from marketdata.adjusted import Adjustment, Attributes, PanelFactors, attributes, load_factors
from marketdata.adjustment import Adjust, Factors
from marketdata.bar_columns import VALUES
from marketdata.either_database import as_date, fetch_rows
from marketdata.exceptions import MarketDataError, UnknownStock
from marketdata.exports import FORMATS
from marketdata.exports.base import Export, ExportedStock
from marketdata.models import Stock
from marketdata.recoding import current_symbols
from marketdata.trading_days import trading_days

# Says that a folder is an export of ours, which the next one may replace, and how its prices are adjusted.
MANIFEST = "barvault-export.json"
# Nobody writes any more into a half-written folder in which nothing has changed for so long.
LEFTOVER_SECONDS = 3600

_NOTHING = gettext_noop("There is no bar to export in this range. Import bars first, or ask for another range.")
_FOREIGN_FOLDER = gettext_noop(
    "%(folder)s holds other files and was left alone. Name a folder that is empty, does not exist, or holds an earlier "
    "export."
)
_NOT_WRITTEN = gettext_noop("The export to %(folder)s failed: %(detail)s. What was there before is unchanged.")
_NO_SUCH_FORMAT = gettext_noop("There is no export format %(format)s. There are: %(formats)s.")


class ExportError(MarketDataError):
    """An export that cannot be made; nothing was changed."""

    code = "export_error"


class ExportFailed(ExportError):
    """The disk refused; nothing was changed."""

    code = "export_failed"


@dataclass(frozen=True)
class ExportResult:
    """What was written: number of stocks and bars, where, and what the prices say about themselves."""

    folder: Path
    stocks: int
    bars: int
    said: Attributes = field(default_factory=dict)


def export_bars(
    file_format: str,
    folder: Path,
    *,
    symbols: Sequence[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    adjustment: Adjustment | None = None,
    fields: Sequence[str] = VALUES,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ExportResult:
    """Write the bars of stocks (canonical symbols; None: all) with start <= date <= end into ``folder``.

    ``fields``: those of a bar's values that are wanted, for Parquet alone; other formats need them all.

    1. Look whether ``folder`` may be written: it does not exist, is empty, or holds an earlier export.
    2. Write into a new folder beside it, one stock in memory at a time.
    3. Rename that into place; an earlier export is removed.

    All stocks are exported as of the day that is the newest now, or of the adjustment's earlier ``as_of``. A stock
    without a bar in the range is left out. ``on_progress`` is told how many stocks of how many are done.
    Raises ExportError (a folder with other files, no bar at all, a form that the format cannot hold), ExportFailed
    (disk full, no permission) and UnknownStock; then what was in ``folder`` is still there, and nothing else.
    """
    if file_format != "parquet" and set(fields) != set(VALUES):
        raise ValueError(f"{file_format} takes all fields")
    how = adjustment or Adjustment()
    kind = _format(file_format, how)
    target = folder.expanduser().resolve()
    symbols = None if symbols is None else list(current_symbols(symbols).values())
    wanted = _wanted(symbols)
    # What an import stores meanwhile is left out: every stock is exported as of the same day.
    how = replace(how, as_of=how.last_day(_newest_day(symbols)))
    last = how.last_day(end)
    with _explained(target):
        _check_folder(target)
        with _replacing(target) as partial:
            ids = [stock_id for _symbol, stock_id in wanted]
            written: dict[str, Factors] = {}
            bars = 0
            with closing(kind(partial, lambda: _days(ids, start, last))) as export:
                for done, (symbol, stock_id) in enumerate(wanted, 1):
                    stock, factors = _read(symbol, stock_id, start, last, how, fields)
                    if len(stock.days):
                        export.add(stock)
                        written[symbol] = replace(factors, events=factors.flags)
                        bars += len(stock.days)
                    on_progress(done, len(wanted))
                if not written:
                    raise ExportError(_NOTHING)
                said = attributes(list(written), list(written.values()), how)
                export.finish(said)
            manifest = {"format": file_format, "stocks": len(written), "bars": bars, **said}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return ExportResult(target, len(written), bars, said)


def _format(name: str, adjustment: Adjustment) -> type[Export]:
    if name not in FORMATS:
        raise ExportError(_NO_SUCH_FORMAT, format=name, formats=", ".join(FORMATS))
    kind = FORMATS[name]
    if adjustment.adjust not in kind.forms:
        raise ExportError(
            gettext_noop("The format %(format)s cannot hold prices adjusted by %(adjust)s. It takes: %(forms)s."),
            format=name,
            adjust=adjustment.adjust.value,
            forms=", ".join(form for form in Adjust if form in kind.forms),
        )
    return kind


def _wanted(symbols: Sequence[str] | None) -> list[tuple[str, int]]:
    stocks = Stock.objects.order_by()
    if symbols is None:
        return sorted(stocks.filter(bar_count__gt=0).values_list("symbol", "id"))
    known = dict(stocks.filter(symbol__in=symbols).values_list("symbol", "id"))
    for symbol in symbols:
        if symbol not in known:
            raise UnknownStock(symbol=symbol)
    return sorted(known.items())


def _newest_day(symbols: Sequence[str] | None) -> date | None:
    stocks = Stock.objects.order_by()
    stocks = stocks if symbols is None else stocks.filter(symbol__in=symbols)
    newest: date | None = stocks.aggregate(newest=Max("last_bar"))["newest"]
    return newest


def _read(
    symbol: str, stock_id: int, start: date | None, end: date | None, how: Adjustment, fields: Sequence[str]
) -> tuple[ExportedStock, Factors]:
    bars = bars_table.read_bars(stock_id, start, end)
    factors = load_factors([stock_id], how, start=start)[stock_id]
    places = np.zeros(len(bars), np.int64)
    raw = dict(zip(VALUES, bars.values(), strict=True))
    columns = PanelFactors([factors]).adjusted(places, bars.days, raw, volume=how.volume)
    columns = {name: columns[name] for name in fields}
    factor = factors.scale[factors.segments(bars.days)]
    return ExportedStock(symbol, bars.days, columns, factor, bars.volume), factors


def _days(stock_ids: Sequence[int], start: date | None, end: date | None) -> Sequence[date]:
    """Return the exchange's days from the first bar to the last one, and any other day on which a stock has a bar."""
    limits = [start or date.min, end or date.max]
    rows = fetch_rows(queries.READ_DAYS_SQLITE, queries.READ_DAYS_POSTGRESQL, [stock_ids, *limits])
    found = {day for row in rows if (day := as_date(row[0]))}
    # In its first years Shenzhen did not always open when Shanghai did.
    return sorted(found | set(trading_days(min(found), max(found)).days)) if found else []


def _check_folder(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and _may_be_replaced(folder)):
        raise ExportError(_FOREIGN_FOLDER, folder=str(folder))


def _may_be_replaced(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() or next(folder.iterdir(), None) is None


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside ``folder``; put it into its place at the end, or remove it after an error."""
    mark = uuid.uuid4().hex[:8]
    partial, old = folder.with_name(f".{folder.name}.{mark}.partial"), folder.with_name(f".{folder.name}.{mark}.old")
    _remove_leftovers(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rename(old)
            try:
                partial.rename(folder)
            except OSError:
                old.rename(folder)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove what exports into ``folder`` left behind that were killed, or lost their power.

    An earlier export that was just being replaced is such a leftover too, once there is another one.
    """
    siblings = folder.parent.iterdir() if folder.parent.is_dir() else iter(())
    kinds = ("partial", "old") if folder.exists() else ("partial",)
    ours = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}\.({'|'.join(kinds)})")
    for path in [path for path in siblings if ours.fullmatch(path.name)]:
        # It may vanish meanwhile: it was somebody's after all.
        with suppress(FileNotFoundError):
            changed = max(each.stat().st_mtime for each in (path, *path.glob("*")))
            if time.time() - changed > LEFTOVER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        detail = error.strerror or str(error)
        raise ExportFailed(_NOT_WRITTEN, folder=str(folder), detail=detail) from error
