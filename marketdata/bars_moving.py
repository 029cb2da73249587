"""All bars from one database into another, empty one: streamed, a few thousand in memory at a time.

Only ``move_database`` calls it; whoever stores bars that a source gave uses ``store.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import connections

from marketdata import queries

_ROWS_AT_ONCE = 5_000


def copy_bars(source: str, target: str, *, on_rows: Callable[[int], None] = lambda rows: None) -> int:
    """Copy every bar of the database with the alias ``source``; return how many.

    Inside a transaction of each. ``on_rows`` gets the number copied so far. Numbers arrive bit by bit as they were:
    Python writes a float as the shortest text that reads back as the same one.
    """
    batches = _counted(_batches(source), on_rows)
    driver = connections[target].connection
    with connections[target].wrap_database_errors:
        if connections[target].vendor == "postgresql":
            with driver.cursor() as cursor, cursor.copy(queries.COPY_BARS_POSTGRESQL) as copy:
                copied = 0
                for batch in batches:
                    copy.write("".join("\t".join(map(str, row)) + "\n" for row in batch))
                    copied += len(batch)
            return copied
        copied = 0
        for batch in batches:
            driver.executemany(queries.INSERT_BAR_SQLITE, batch)
            copied += len(batch)
        return copied


def _batches(source: str) -> Iterator[Sequence[tuple[Any, ...]]]:
    with connections[source].chunked_cursor() as cursor:
        cursor.execute(queries.READ_ALL_BARS)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield rows


def _counted(
    batches: Iterator[Sequence[tuple[Any, ...]]], on_rows: Callable[[int], None]
) -> Iterator[Sequence[tuple[Any, ...]]]:
    seen = 0
    for batch in batches:
        yield batch
        seen += len(batch)
        on_rows(seen)
