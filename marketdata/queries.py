"""The SQL of this app. Each statement says what it guarantees; only the module named with it runs it.

Placeholders are ``?`` for SQLite's own driver and ``%s`` for Django's cursor on either database.
"""

from __future__ import annotations

# --- store.py and origin.py: the stock's row and the database's origin, inside the writer's transaction

# The stock's row, locked until the transaction ends: two writers of one stock take turns. Not FOR UPDATE, which
# would also hold up foreign keys to the stock. SQLite's writers take turns anyhow, from BEGIN IMMEDIATE on.
LOCK_STOCK_POSTGRESQL = """
SELECT first_bar, last_bar, bar_count, covered_from, covered_until, (SELECT kind FROM marketdata_origin)
FROM marketdata_stock WHERE id = %s FOR NO KEY UPDATE OF marketdata_stock
"""
# CAST: without it Django's SQLite connections run a Python converter on each date.
READ_STOCK_SQLITE = """
SELECT CAST(first_bar AS TEXT), CAST(last_bar AS TEXT), bar_count, CAST(covered_from AS TEXT),
       CAST(covered_until AS TEXT), (SELECT kind FROM marketdata_origin)
FROM marketdata_stock WHERE id = ?
"""

# What a count says about a stock's bars: the truth that the summary has to equal.
COUNT_BARS_POSTGRESQL = "SELECT MIN(date), MAX(date), COUNT(*) FROM marketdata_bar WHERE stock_id = %s"
# One by one: both ends of the key are found by a seek, and counting reads no dates. A quarter of the time.
COUNT_BARS_SQLITE = """
SELECT (SELECT CAST(MIN(date) AS TEXT) FROM marketdata_bar WHERE stock_id = ?1),
       (SELECT CAST(MAX(date) AS TEXT) FROM marketdata_bar WHERE stock_id = ?1),
       (SELECT COUNT(*) FROM marketdata_bar WHERE stock_id = ?1)
"""

WRITE_SUMMARY = """
UPDATE marketdata_stock
SET first_bar = {0}, last_bar = {0}, bar_count = {0}, covered_from = {0}, covered_until = {0} WHERE id = {0}
"""
WRITE_SUMMARY_POSTGRESQL = WRITE_SUMMARY.format("%s")
WRITE_SUMMARY_SQLITE = WRITE_SUMMARY.format("?")

READ_ORIGIN = "SELECT kind FROM marketdata_origin"
# The first writer's claim stands: of two that race, the second waits for the first, then changes nothing.
CLAIM_ORIGIN = "INSERT INTO marketdata_origin (id, kind) VALUES (1, %s) ON CONFLICT (id) DO NOTHING"
# save_listing() calls take turns, so that two never add the same stock.
LOCK_ORIGIN_POSTGRESQL = "SELECT kind FROM marketdata_origin FOR UPDATE"

# --- store.py: a day of many stocks

# How far each stock is known, with what its newest bar says; a seek per stock. JSON carries any number of symbols in
# one parameter.
READ_STANDINGS = """
SELECT stock.symbol, stock.id, stock.last_bar, stock.covered_from, stock.covered_until, stock.delisted_on,
       bar.open, bar.high, bar.low, bar.close, bar.volume, bar.amount
FROM marketdata_stock stock
LEFT JOIN marketdata_bar bar ON bar.stock_id = stock.id AND bar.date = stock.last_bar
WHERE stock.symbol {}
"""
READ_STANDINGS_SQLITE = READ_STANDINGS.format("IN (SELECT value FROM json_each(%s))")
READ_STANDINGS_POSTGRESQL = READ_STANDINGS.format("= ANY(%s)")
# The same, and the stocks are this transaction's until it ends, taken in one order: two that lock the same stocks
# take turns. SQLite's writers take turns anyhow.
LOCK_STANDINGS_POSTGRESQL = READ_STANDINGS.format("= ANY(%s) ORDER BY stock.id FOR NO KEY UPDATE OF stock")

# A bar was added after the newest one, so the count is one more; only from where the decision was made.
EXTEND_STOCK = """
UPDATE marketdata_stock SET last_bar = {0}, bar_count = bar_count + 1, covered_from = {0}, covered_until = {0}
WHERE id = {0} AND last_bar = {0}
"""
EXTEND_STOCK_POSTGRESQL = EXTEND_STOCK.format("%s")
EXTEND_STOCK_SQLITE = EXTEND_STOCK.format("?")
# The day is known to have no bar.
COVER_STOCK = "UPDATE marketdata_stock SET covered_from = {0}, covered_until = {0} WHERE id = {0} AND last_bar = {0}"
COVER_STOCK_POSTGRESQL = COVER_STOCK.format("%s")
COVER_STOCK_SQLITE = COVER_STOCK.format("?")

# --- reading.py

STOCK_ID = "SELECT id FROM marketdata_stock WHERE symbol = %s"

# --- stock_spans.py

# Each stock with the days between which a bar is expected of it, and those of which it is known, as numbers of days
# since 1970-01-01; 99999 is in the year 2243: never. A stock without any bar has not begun.
_READ_SPANS = """
SELECT symbol, id, CASE WHEN bar_count > 0 THEN COALESCE({began}, 99999) ELSE 99999 END, COALESCE({ended}, 99999),
       COALESCE({covered_from}, 99999), COALESCE({covered_until}, -99999)
FROM marketdata_stock WHERE {which}
"""


def _spans(day_number: str, which: str) -> str:
    days = {"began": "COALESCE(listed_on, first_bar)", "ended": "delisted_on"}
    days |= {name: name for name in ("covered_from", "covered_until")}
    return _READ_SPANS.format(**{name: day_number.format(day) for name, day in days.items()}, which=which)


_NUMBER_SQLITE, _NUMBER_POSTGRESQL = "(julianday({}) - 2440587.5)", "({} - DATE '1970-01-01')"
READ_ALL_SPANS_SQLITE = _spans(_NUMBER_SQLITE, "1 = 1")
READ_ALL_SPANS_POSTGRESQL = _spans(_NUMBER_POSTGRESQL, "1 = 1")
READ_SPANS_SQLITE = _spans(_NUMBER_SQLITE, "bar_count > 0")
READ_SPANS_POSTGRESQL = _spans(_NUMBER_POSTGRESQL, "bar_count > 0")
READ_SPANS_OF_SQLITE = _spans(_NUMBER_SQLITE, "symbol IN (SELECT value FROM json_each(%s))")
READ_SPANS_OF_POSTGRESQL = _spans(_NUMBER_POSTGRESQL, "symbol = ANY(%s)")

# --- index_days.py

# What the stored bars of a day turned over, by exchange; a seek per stock. CROSS: SQLite takes the stocks first.
READ_TURNOVERS = """
SELECT stock.exchange, SUM(bar.amount)
FROM marketdata_stock stock CROSS JOIN marketdata_bar bar
WHERE stock.bar_count > 0 AND bar.stock_id = stock.id AND bar.date = %s
GROUP BY stock.exchange
"""

# --- bars_sqlite.py

# Numbers only, the day as a Julian day: they go straight into one numpy array, without a Python object per row.
READ_BARS_SQLITE = """
SELECT julianday(date), open, high, low, close, volume, amount
FROM marketdata_bar WHERE stock_id = ? AND date BETWEEN ? AND ? ORDER BY date
"""
# For rows that are not a multiple of ROWS_PER_INSERT.
INSERT_BAR_SQLITE = """
INSERT INTO marketdata_bar (stock_id, source, date, open, high, low, close, volume, amount)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
DELETE_BAR_SQLITE = "DELETE FROM marketdata_bar WHERE stock_id = ? AND date = ?"
# Seeks the key once per stock, in the order of the stock ids; the date has no index of its own. JSON carries any
# number of ids in one parameter.
READ_PANEL_SQLITE = """
SELECT stock_id, julianday(date){fields}
FROM marketdata_bar WHERE stock_id IN (SELECT value FROM json_each(?)) AND date BETWEEN ? AND ?
"""

ROWS_PER_INSERT = 100


_INSERT_ROWS_SQLITE = """
INSERT INTO marketdata_bar (stock_id, source, date, open, high, low, close, volume, amount) VALUES {}
"""


def insert_rows_sqlite(rows: int) -> str:
    """Return the INSERT of ``rows`` bars of one stock: ?1 stock, ?2 source, then seven values for each row."""
    values = ", ".join(
        "(?1, ?2, " + ", ".join(f"?{3 + 7 * row + column}" for column in range(7)) + ")" for row in range(rows)
    )
    return _INSERT_ROWS_SQLITE.format(values)


INSERT_ROWS_SQLITE = insert_rows_sqlite(ROWS_PER_INSERT)

# --- bars_postgresql.py: all columns of fixed width, in PostgreSQL's binary form

# One value: the fields of all bars, byte after byte, by date.
READ_BARS_POSTGRESQL = """
SELECT string_agg({packed}, '' ORDER BY date) FROM marketdata_bar
WHERE stock_id = %s AND date BETWEEN %s AND %s
"""
# Straight into the table: the writer holds the stock's lock and has looked which days are there.
INSERT_BARS_POSTGRESQL = """
COPY marketdata_bar (stock_id, source, date, open, high, low, close, volume, amount) FROM STDIN (FORMAT BINARY)
"""
DELETE_BARS_POSTGRESQL = "DELETE FROM marketdata_bar WHERE stock_id = %s AND date = ANY(%s)"
# One value for all stocks: the fields of their bars, byte after byte. For a day: a value has at most a gigabyte.
# ARRAY: of thousands of constants the planner looks at each, which takes as long as a fifth of a day's bars.
READ_DAY_POSTGRESQL = """
SELECT string_agg({packed}, '') FROM marketdata_bar
WHERE stock_id = ANY(ARRAY(SELECT unnest(%s::int[]))) AND date BETWEEN %s AND %s
"""
# The same with a value per stock.
READ_PANEL_POSTGRESQL = READ_DAY_POSTGRESQL + "GROUP BY stock_id"

# --- store.py: by hand

DELETE_RANGE = "DELETE FROM marketdata_bar WHERE stock_id = %s AND date BETWEEN %s AND %s"

# --- recoding.py: two rows of one stock become one

DELETE_BARS_OF_SAME_DAYS = """
DELETE FROM marketdata_bar
WHERE stock_id = %s AND date IN (SELECT date FROM marketdata_bar WHERE stock_id = %s)
"""
MOVE_BARS = "UPDATE marketdata_bar SET stock_id = %s WHERE stock_id = %s"

# --- adjusted.py: corporate actions with the bars around them

# Each action of the stocks after a date, with the last bar before its ex-date and the first one on or after it, by
# stock and ex-date. Two seeks in the key of bars for each action: no history is read.
# JSON carries any number of ids in one parameter; CAST: without it Django's SQLite connections run a Python converter
# on each date.
READ_OCCURRENCES_SQLITE = """
SELECT action.stock_id, CAST(action.ex_date AS TEXT), action.cash_per_share, action.new_shares_per_share,
       action.rights_per_share, action.rights_price, action.previous_close,
       CAST(earlier.date AS TEXT), earlier.close, CAST(later.date AS TEXT), later.open
FROM marketdata_corporateaction action
LEFT JOIN marketdata_bar earlier ON earlier.stock_id = action.stock_id AND earlier.date = (
    SELECT MAX(date) FROM marketdata_bar WHERE stock_id = action.stock_id AND date < action.ex_date)
LEFT JOIN marketdata_bar later ON later.stock_id = action.stock_id AND later.date = (
    SELECT MIN(date) FROM marketdata_bar WHERE stock_id = action.stock_id AND date >= action.ex_date)
WHERE action.stock_id IN (SELECT value FROM json_each(%s)) AND action.ex_date > %s
ORDER BY action.stock_id, action.ex_date
"""
READ_OCCURRENCES_POSTGRESQL = """
SELECT action.stock_id, action.ex_date, action.cash_per_share, action.new_shares_per_share,
       action.rights_per_share, action.rights_price, action.previous_close,
       earlier.date, earlier.close, later.date, later.open
FROM marketdata_corporateaction action
LEFT JOIN LATERAL (SELECT date, close FROM marketdata_bar
    WHERE stock_id = action.stock_id AND date < action.ex_date ORDER BY date DESC LIMIT 1) earlier ON TRUE
LEFT JOIN LATERAL (SELECT date, open FROM marketdata_bar
    WHERE stock_id = action.stock_id AND date >= action.ex_date ORDER BY date LIMIT 1) later ON TRUE
WHERE action.stock_id = ANY(%s) AND action.ex_date > %s
ORDER BY action.stock_id, action.ex_date
"""

# Each stock's first bar and its newest one not after a date: one seek each.
READ_ANCHORS_SQLITE = """
SELECT id, CAST(first_bar AS TEXT),
       (SELECT CAST(MAX(date) AS TEXT) FROM marketdata_bar WHERE stock_id = stock.id AND date <= %s)
FROM marketdata_stock stock WHERE id IN (SELECT value FROM json_each(%s))
"""
READ_ANCHORS_POSTGRESQL = """
SELECT id, first_bar, (SELECT MAX(date) FROM marketdata_bar WHERE stock_id = stock.id AND date <= %s)
FROM marketdata_stock stock WHERE id = ANY(%s)
"""

# --- export.py

# The days on which at least one of the stocks has a bar: reads the key of their bars in the range.
READ_DAYS_SQLITE = """
SELECT DISTINCT CAST(date AS TEXT) FROM marketdata_bar
WHERE stock_id IN (SELECT value FROM json_each(%s)) AND date BETWEEN %s AND %s ORDER BY 1
"""
READ_DAYS_POSTGRESQL = """
SELECT DISTINCT date FROM marketdata_bar WHERE stock_id = ANY(%s) AND date BETWEEN %s AND %s ORDER BY 1
"""

# --- bars_moving.py

# Every bar of a database, by its key, so that a stock's bars lie together where they are written to. CAST: without it
# Django's SQLite connections run a Python converter on each date.
READ_ALL_BARS = """
SELECT stock_id, source, CAST(date AS TEXT), open, high, low, close, volume, amount
FROM marketdata_bar ORDER BY stock_id, date
"""
# Into an empty table, in a transaction of its own.
COPY_BARS_POSTGRESQL = """
COPY marketdata_bar (stock_id, source, date, open, high, low, close, volume, amount) FROM STDIN
"""
