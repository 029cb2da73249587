"""The importer's SQL that is run for each stock: the ORM would take longer than the database.

``ADVANCE_CHUNK`` guarantees that only the lane that holds the chunk (its generation), and only from where the
cursor is, moves it and counts: a row count of 0 says that the lease was lost.
"""

from __future__ import annotations

ADVANCE_CHUNK = """
    UPDATE importer_importchunk
    SET cursor = cursor + %s, done = done + %s, failed = failed + %s, skipped = skipped + %s,
        set_aside = set_aside + %s, rows = rows + %s,
        by_source = COALESCE(%s, by_source), deaths = 0, leased_until = %s
    WHERE id = %s AND generation = %s AND cursor = %s
"""
