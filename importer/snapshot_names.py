"""What a snapshot says of the stocks themselves: other codes and other names. It is said whatever its prices are."""

from __future__ import annotations

from collections.abc import Iterable

from importer.snapshot_rows import DayTable, Row
from importer.sources.base import ListedStock
from marketdata.listing import follow_codes, save_listing
from marketdata.models import Stock
from marketdata.recoding import has_mark, without_mark


def follow_names(tables: Iterable[DayTable], *, simulated: bool) -> bool:
    """Give stored stocks the codes and names that the tables show; say whether a stock got another code.

    Stocks that are not stored stay so.
    """
    rows = [row for table in tables for row in table.rows.values()]
    moved = _follow_codes(rows)
    known = dict(Stock.objects.values_list("symbol", "name"))
    renamed = [
        ListedStock(row.symbol, name=row.name)
        for row in rows
        if row.name and row.name != known.get(row.symbol, row.name) and not has_mark(row.name)
    ]
    if renamed:
        save_listing(renamed, simulated=simulated)
    return moved


def _follow_codes(rows: Iterable[Row]) -> bool:
    shown = [ListedStock(row.symbol, name=without_mark(row.name)) for row in rows if row.symbol.endswith(".BJ")]
    stored = set(Stock.objects.filter(exchange="BJ").values_list("symbol", flat=True))
    # A part without Beijing says nothing about its codes.
    if not shown or stored <= {each.symbol for each in shown}:
        return False
    return follow_codes(shown)
