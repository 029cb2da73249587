"""Parts of snapshots in the database: each is kept as soon as it was fetched, so that no crash or ban loses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from django.db import transaction

from importer.models import SnapshotPart
from importer.snapshot_rows import DayTable, read_table
from importer.sources.base import SNAPSHOT_COLUMNS
from importer.sources.rows import Precision

# A task that waits until another day still stores the day that it was planned for.
KEPT_FOR = timedelta(days=10)


def keep_part(source: str, day: date, part: str, frame: pd.DataFrame, *, taken_at: datetime) -> list[list[Any]]:
    """Keep what a source showed, and forget parts that are too old; return the rows as they are kept."""
    columns = [frame[name].astype(object).replace({np.nan: None}).tolist() for name in SNAPSHOT_COLUMNS]
    rows = [list(row) for row in zip(*columns, strict=True)]
    with transaction.atomic():
        SnapshotPart.objects.filter(day__lt=day - KEPT_FOR).delete()
        SnapshotPart.objects.update_or_create(
            source=source, day=day, part=part, defaults={"rows": rows, "taken_at": taken_at}
        )
    return rows


def kept_part(source: str, day: date, part: str) -> list[list[Any]] | None:
    """Return the rows that are kept; None when there are none."""
    return SnapshotPart.objects.filter(source=source, day=day, part=part).values_list("rows", flat=True).first()


def forget_part(source: str, day: date, part: str) -> None:
    """Forget a part that turned out not to be the day: the next one who plans asks anew."""
    SnapshotPart.objects.filter(source=source, day=day, part=part).delete()


@dataclass(frozen=True)
class Piece:
    """One exchange ("": all of them) of a part that a source showed."""

    source: str
    part: str
    exchange: str


def kept_table(pieces: Sequence[Piece], day: date, precision_of: Mapping[str, Precision]) -> DayTable:
    """Return the kept pieces as one table; ``precision_of`` is by source."""
    tables = [
        of_exchange(read_table(rows, day=day, precision=precision_of[piece.source]), piece.exchange)
        for piece in pieces
        if (rows := kept_part(piece.source, day, piece.part)) is not None
    ]
    return joined(tables)


def of_exchange(table: DayTable, exchange: str) -> DayTable:
    """Return the rows of one exchange ("": all of them)."""
    rows = {symbol: row for symbol, row in table.rows.items() if symbol.endswith(exchange)}
    return DayTable(rows, frozenset(symbol for symbol in table.doubtful if symbol.endswith(exchange)))


def joined(tables: Sequence[DayTable]) -> DayTable:
    """Return several parts as one table."""
    rows = {symbol: row for table in tables for symbol, row in table.rows.items()}
    return DayTable(rows, frozenset().union(*(table.doubtful for table in tables)))
