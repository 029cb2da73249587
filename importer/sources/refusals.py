"""Why an answer as a whole cannot be right: the explanation that fits, in a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from django.utils.translation import gettext_noop

from importer.sources.arrays import Floats
from importer.sources.base import BadData
from importer.sources.findings import row_values
from importer.sources.labels import label_of
from importer.sources.reasons import REASONS
from importer.sources.rows import Precision, Rows, amount_fits
from marketdata.texts import word

LOTS = gettext_noop(
    "%(source)s: the volumes of %(symbol)s look like lots instead of shares: amount / volume is about 100 times the "
    "price on %(bad)s of %(total)s days, first on %(date)s. Multiply them by 100; nothing was stored."
)
HUNDREDFOLD = gettext_noop(
    "%(source)s: the prices of %(symbol)s look 100 times too high, or the volumes: amount / volume is about a "
    "hundredth of the price on %(bad)s of %(total)s days, first on %(date)s. Give yuan and shares; nothing was stored."
)
LOTS_AND_THOUSANDS = gettext_noop(
    "%(source)s: the volumes of %(symbol)s look like lots instead of shares, and the amounts like thousands of yuan "
    "(%(bad)s of %(total)s days, first on %(date)s). Give shares and yuan; nothing was stored."
)
AMOUNT_UNIT = gettext_noop(
    "%(source)s: the amounts of %(symbol)s look like they are in units of %(unit)s yuan "
    "(%(bad)s of %(total)s days, first on %(date)s). Give them in yuan; nothing was stored."
)
NO_AMOUNT = gettext_noop(
    "%(source)s: %(symbol)s has no amounts on %(bad)s of %(total)s days, first on %(date)s. "
    "Without them raw prices cannot be told from adjusted ones; nothing was stored."
)
ADJUSTED = gettext_noop(
    "%(source)s: the prices of %(symbol)s look adjusted for dividends (qfq, hfq): amount / shares is outside low..high "
    "on %(bad)s of %(total)s days, first on %(date)s (%(average)s yuan a share, low %(low)s, high %(high)s). "
    "Only raw prices are stored: export or fetch them without adjustment."
)
NEGATIVE = gettext_noop(
    "%(source)s: the prices of %(symbol)s look adjusted for dividends (qfq): %(bad)s of %(total)s days have a price "
    "below zero, first %(date)s (low %(low)s). Only raw prices are stored: export or fetch them without adjustment."
)
MANY_DECIMALS = gettext_noop(
    "%(source)s: the prices of %(symbol)s look adjusted for dividends (qfq, hfq): they have more than two decimals on "
    "%(bad)s of %(total)s days, first on %(date)s (close %(close)s). "
    "Only raw prices are stored: export or fetch them without adjustment."
)
STRETCH = gettext_noop(
    "%(source)s: the prices of %(symbol)s look adjusted for dividends (qfq, hfq) from %(start)s to %(end)s: "
    "amount / shares is %(percent)s %% off the prices there. "
    "Only raw prices are stored: export or fetch them without adjustment."
)
UNRELATED = gettext_noop(
    "%(source)s: prices, volumes and amounts of %(symbol)s do not belong together: amount / shares is outside "
    "low..high on %(bad)s of %(total)s days, first on %(date)s (%(average)s yuan a share, low %(low)s, high %(high)s). "
    "Nothing was stored."
)
MOSTLY_WRONG = gettext_noop(
    "%(source)s: the data of %(symbol)s cannot be right: on %(bad)s of %(total)s days something is wrong. "
    "First on %(date)s: %(reason)s (open %(open)s, high %(high)s, low %(low)s, close %(close)s, "
    "%(volume)s shares, %(amount)s yuan). Nothing was stored."
)
COLUMNS = gettext_noop("%(source)s: the data of %(symbol)s lack %(columns)s. Nothing was stored.")

# What the units may be instead: volumes times the first, amounts times the second number give shares and yuan.
_UNITS: Sequence[tuple[int, float, str]] = (
    (100, 1, LOTS),
    (100, 1_000, LOTS_AND_THOUSANDS),
    (1, 100, HUNDREDFOLD),
    (1, 1_000, AMOUNT_UNIT),
    (1, 10_000, AMOUNT_UNIT),
)
_NEARLY_ALL = 0.9

# Raw bars: the median of 60 days is at most 0.32 % and 0.13 of the daily range off, in 32 years of three stocks.
STRETCH_DAYS = 60
STRETCH_BIAS = 0.01
STRETCH_BIAS_OF_RANGE = 0.3


def columns_missing(columns: Sequence[str], *, symbol: str, source: str) -> BadData:
    """Return the error for an answer without some of the columns."""
    return BadData(COLUMNS, source=word(label_of(source)), symbol=symbol, columns=", ".join(columns))


def refusal(
    rows: Rows, faults: np.ndarray[Any, np.dtype[np.int8]], precision: Precision, *, symbol: str, source: str
) -> BadData:
    """Return the error for an answer of which more than a few rows fail; ``faults``: the reason's number per row.

    The commonest reason is named, with its first row; where units or adjustment explain it, that is said.
    """
    codes = ("", *REASONS)
    commonest = int(np.bincount(faults[faults > 0]).argmax())
    code = codes[commonest]
    bad = np.flatnonzero(faults == commonest)
    msgid, extra = MOSTLY_WRONG, {"reason": word(REASONS[code])}
    if code == "amount":
        msgid, extra = _about_amounts(rows.take(bad), precision)
    elif code == "not_positive" and (rows.low[bad] < 0).any():
        bad = bad[rows.low[bad] < 0]
        msgid = NEGATIVE
    elif code == "off_tick":
        msgid = MANY_DECIMALS
    counted = int((faults > 0).sum()) if msgid is MOSTLY_WRONG else len(bad)
    values = {"source": word(label_of(source)), "symbol": symbol, "bad": counted, "total": len(rows)}
    return BadData(msgid, **values, **row_values(rows, int(bad[0])), **extra)


def adjusted_stretch(rows: Rows, precision: Precision, *, symbol: str, source: str) -> BadData | None:
    """Return an error if prices and average prices differ for a stretch of days, though never beyond a day's range.

    Prices adjusted by a small dividend pass the check of each single day: the average price stays within low..high.
    Over 60 days the median of (amount / shares) / (mean of open, high, low, close) gives them away.
    """
    count = len(rows) // STRETCH_DAYS
    if count == 0:
        return None
    offset = len(rows) - count * STRETCH_DAYS
    typical = (rows.open + rows.high + rows.low + rows.close) / 4
    money = rows.volume * typical
    bias = rows.amount / money - 1
    # Where rounding alone can move the average as far, a row says nothing.
    coarse = precision.volume_tolerance * typical + precision.amount_step > money * STRETCH_BIAS / 2
    medians = _medians(np.where(coarse, 0.0, bias)[offset:])
    if np.abs(medians).max() <= STRETCH_BIAS:
        return None
    ranges = _medians(((rows.high - rows.low) / typical)[offset:])
    off = np.flatnonzero(np.abs(medians) > np.maximum(STRETCH_BIAS, STRETCH_BIAS_OF_RANGE * ranges))
    if len(off) == 0:
        return None
    first, last = offset + int(off[0]) * STRETCH_DAYS, offset + (int(off[-1]) + 1) * STRETCH_DAYS - 1
    return BadData(
        STRETCH,
        source=word(label_of(source)),
        symbol=symbol,
        start=rows.date[first].item().isoformat(),
        end=rows.date[last].item().isoformat(),
        percent=round(float(np.abs(medians[off]).max()) * 100, 1),
    )


def _about_amounts(rows: Rows, precision: Precision) -> tuple[str, dict[str, Any]]:
    average = round(float(rows.amount[0] / rows.volume[0]), 3)
    if (rows.amount == 0).mean() >= _NEARLY_ALL:
        return NO_AMOUNT, {}
    for shares, yuan, msgid in _UNITS:
        scaled = replace(rows, volume=rows.volume * shares, amount=rows.amount * yuan)
        step = Precision(max(shares, precision.volume_step), max(yuan if yuan > 1 else 0.0, precision.amount_step))
        if amount_fits(scaled, step).mean() >= _NEARLY_ALL:
            return msgid, {"unit": int(yuan)}
    return (ADJUSTED if _one_sided(rows) else UNRELATED), {"average": average}


def _one_sided(rows: Rows) -> bool:
    """Adjusted prices are all below the true ones (qfq), or all above (hfq)."""
    above = rows.amount > rows.high * rows.volume
    share = float(above.mean())
    return share >= _NEARLY_ALL or share <= 1 - _NEARLY_ALL


def _medians(values: Floats) -> Floats:
    half = STRETCH_DAYS // 2
    medians: Floats = np.partition(values.reshape(-1, STRETCH_DAYS), half, axis=1)[:, half]
    return medians
