"""Tables of text whose columns stay in line, also with Chinese in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

GAP = "  "


def table_lines(rows: Iterable[Sequence[object]]) -> list[str]:
    """Return one line per row, its cells padded to their column's width as a terminal shows it."""
    cells = [[str(cell) for cell in row] for row in rows]
    columns = max((len(row) for row in cells), default=0)
    widths = [max(cell_len(row[at]) for row in cells if len(row) > at) for at in range(columns)]
    return [
        GAP.join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in cells
    ]
