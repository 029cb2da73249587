"""Do a stock's stored bars agree with the calendar, its board's price limit and its corporate actions? Pure.

Each check is one function: values in, findings out. None of them knows a source or the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import groupby

import numpy as np
from django.utils.translation import gettext_noop

from marketdata.adjustment import CENT, REFORM_FIRST, REFORM_LAST, REFORM_SUSPENSION_DAYS, Event, Status
from marketdata.bar_columns import BarColumns, Days, Mask
from marketdata.symbols import Board, board_of
from marketdata.texts import Text, counted, word

# A new stock's first days have no limit: five on the main board (from 2023), STAR and ChiNext.
FREE_DAYS = 5
# Nor has the first day of the weeks in which a stock that is to be delisted is traded for the last time.
DELISTING_DAYS = 45
# The exchanges had no limit between 1992 and this day.
LIMITS_FROM = date(1996, 12, 16)
CHINEXT_WIDENED = date(2020, 8, 24)
# Limits are rounded to a tick.
TICK = 1.1 * CENT

_MISSING = gettext_noop("%(missing)s without a bar")
_IMPOSSIBLE = "%(reason)s (%(values)s)"
_STALE = gettext_noop("the newest bar is of %(last)s; %(missing)s after it")
_JUMP = gettext_noop(
    "close %(close)s after %(reference)s on %(before)s: %(change)s, beyond the limit of %(limit)s, and no ex-date is "
    "known that explains it"
)
_JUMP_EX = gettext_noop(
    "close %(close)s after a theoretical price of %(reference)s: %(change)s, beyond the limit of %(limit)s; the "
    "corporate action of %(before)s does not explain it"
)
_FETCH_MISSING = gettext_noop("repair_bars --symbols %(symbol)s --start %(start)s --end %(end)s asks for it")
_FETCH_NEW = gettext_noop("update_bars --symbols %(symbol)s asks for it")
_FETCH_AGAIN = gettext_noop(
    "a repair leaves stored bars alone; import_bars --refresh --symbols %(symbol)s --start %(start)s --end %(end)s "
    "fetches it again"
)
_DELETE = gettext_noop(
    "no import takes it away, since no source has a bar of a day on which the exchange was closed; delete it: python "
    'manage.py shell -c "from datetime import date; from marketdata.models import Stock; from marketdata.store import '
    "delete_bars; day = date.fromisoformat('%(start)s'); delete_bars(Stock.objects.get(symbol='%(symbol)s').pk, day, "
    'day)"'
)
_ADD_ACTION = gettext_noop(
    "a repair changes nothing here; add the corporate action (import_actions), or fetch both days again: import_bars "
    "--refresh --symbols %(symbol)s --start %(start)s --end %(end)s"
)


# By flag of an event. Not among them: where the market did not go ex, prices are as they should be.
_DOUBTS = {
    Status.UNKNOWN_ACTION.value: gettext_noop(
        "ex-right without a known action; adjusted prices before it follow the exchange's previous close"
    ),
    "impossible_action": gettext_noop("the corporate action cannot be right, and adjusted prices leave it out"),
    "differs_from_exchange": gettext_noop("the corporate action does not explain the exchange's previous close"),
}
_CORRECT_ACTION = gettext_noop(
    "a repair changes nothing here; a full import asks for corporate actions again, import_actions adds or corrects "
    "one; prove_prices %(symbol)s shows the numbers"
)


class Rule(StrEnum):
    """What a stored stock, or a day of all of them, has to keep to."""

    MISSING = "missing"  # each trading day of its life has a bar, or is known to have none
    IMPOSSIBLE = "impossible"  # a bar's numbers fit each other
    JUMP = "jump"  # a close moves no further than the board's limit, ex-dates allowed for
    ACTION = "action"  # the corporate actions explain what the exchange published
    STALE = "stale"  # the newest finished day is there
    DISAGREES = "disagrees"  # another source says the same
    INDEX = "index"  # the bars of a day add up to the turnover of the exchange's index


@dataclass(frozen=True)
class Finding:
    """What is wrong with ``day`` (up to ``until``, if it is several) of a stock; ``values`` and ``repair`` in words."""

    symbol: str
    day: date
    rule: Rule
    values: Text
    repair: Text
    until: date | None = None


def days_without_bar(
    open_days: Days,
    have: Days,
    start: date,
    end: date,
    *,
    absent: Iterable[date] = (),
    covered: tuple[date, date] | None = None,
) -> Days:
    """Return the open days from ``start`` to ``end`` without a bar that nobody knows to have none, sorted.

    Known to have none are the ``absent`` days, which a repair has confirmed, and those of the range for which a source
    was asked and answered, ``covered``.
    """
    wanted = open_days[(open_days >= np.datetime64(start)) & (open_days <= np.datetime64(end))]
    missing = wanted[~np.isin(wanted, have) & ~np.isin(wanted, np.array(list(absent), "datetime64[D]"))]
    if covered is None:
        return missing
    return missing[(missing < np.datetime64(covered[0])) | (missing > np.datetime64(covered[1]))]


def gaps(symbol: str, missing: Days, open_days: Days, last_bar: date) -> list[Finding]:
    """Return a finding for each run of ``missing`` trading days before ``last_bar``, the newest."""
    inside = missing[missing < np.datetime64(last_bar)]
    places = np.searchsorted(open_days, inside)
    # Neighbours in the calendar have the same distance between their places in both lists.
    runs = groupby(range(len(inside)), key=lambda at: int(places[at]) - at)
    found = []
    for _distance, run in runs:
        ats = list(run)
        first, last = inside[ats[0]].item(), inside[ats[-1]].item()
        values = Text(_MISSING, {"missing": _trading_days(len(ats))})
        found.append(Finding(symbol, first, Rule.MISSING, values, remedy(_FETCH_MISSING, symbol, first, last), last))
    return found


def staleness(symbol: str, missing: Days, last_bar: date) -> list[Finding]:
    """Return a finding if trading days after ``last_bar``, the newest, are ``missing``."""
    after = missing[missing > np.datetime64(last_bar)]
    if not len(after):
        return []
    values = Text(_STALE, {"last": last_bar.isoformat(), "missing": _trading_days(len(after))})
    first, last = after[0].item(), after[-1].item()
    return [Finding(symbol, first, Rule.STALE, values, remedy(_FETCH_NEW, symbol, first, last), last)]


def impossible_bars(symbol: str, bars: BarColumns, reasons: Sequence[str], open_days: Days) -> list[Finding]:
    """Return a finding for each bar with a reason (a msgid; empty: the bar is sound)."""
    found = []
    on_open_day = np.isin(bars.days, open_days)
    for at in (at for at, reason in enumerate(reasons) if reason):
        shown = " ".join(f"{value[at]:.15g}" for value in bars.values())
        values = Text(_IMPOSSIBLE, {"reason": word(reasons[at]), "values": shown})
        day: date = bars.days[at].item()
        mended = remedy(_FETCH_AGAIN if on_open_day[at] else _DELETE, symbol, day, day)
        found.append(Finding(symbol, day, Rule.IMPOSSIBLE, values, mended))
    return found


def price_limit(board: Board, day: date) -> float:
    """Return how far a close may move on ``day``, as a share of the close before; the limit of stocks that are not ST.

    Which stocks were ST on which day is not known: their 5 % is within it.
    """
    if board == Board.BEIJING:
        return 0.30
    if board == Board.STAR or (board == Board.CHINEXT and day >= CHINEXT_WIDENED):
        return 0.20
    return 0.10


def jumps(
    symbol: str,
    bars: BarColumns,
    events: Iterable[Event],
    missing: Days,
    open_days: Days,
    *,
    listed_on: date | None,
    delisted_on: date | None,
) -> list[Finding]:
    """Return the bars whose close is further from the close before than the board's limit allows.

    ``events`` are what ``adjustment.compose`` made of the stock's actions: on the day from which one applies, the
    close is measured from its theoretical price. Not looked at: days before there were limits, a stock's first five
    days (its first five bars where its listing is not known), its last weeks, the day after a share-structure reform,
    and a bar before which days are ``missing``: what happened on them is not known.
    """
    if len(bars) < 2:
        return []
    references = _references(events)
    reference = bars.close[:-1].copy()
    days, closes = bars.days[1:], bars.close[1:]
    looked_at = _limited(bars, missing, open_days, listed_on, delisted_on)
    for day, theoretical in references.items():
        here = days == np.datetime64(day)
        if theoretical is None:
            looked_at &= ~here
        else:
            reference[here] = theoretical
    board = board_of(symbol)
    limits = np.full(len(days), price_limit(board, date.max))
    if board == Board.CHINEXT:
        limits[days < np.datetime64(CHINEXT_WIDENED)] = price_limit(board, date.min)
    with np.errstate(invalid="ignore"):
        beyond = np.abs(closes - reference) > reference * limits + TICK
    found = []
    for at in np.flatnonzero(beyond & looked_at):
        before, day = bars.days[at].item(), days[at].item()
        values = {
            "close": f"{closes[at]:.2f}",
            "reference": f"{reference[at]:.2f}",
            "before": (day if day in references else before).isoformat(),
            "change": f"{closes[at] / reference[at] - 1:+.1%}" if reference[at] > 0 else "?",
            "limit": f"{limits[at]:.0%}",
        }
        text = Text(_JUMP_EX if day in references else _JUMP, values)
        found.append(Finding(symbol, day, Rule.JUMP, text, remedy(_ADD_ACTION, symbol, before, day)))
    return found


def doubtful_actions(symbol: str, events: Iterable[Event]) -> list[Finding]:
    """Return a finding for each ex-date that leaves adjusted prices in doubt."""
    return [
        Finding(symbol, day, Rule.ACTION, Text(_DOUBTS[event.flag]), remedy(_CORRECT_ACTION, symbol, day, day))
        for event in events
        if event.flag in _DOUBTS
        for day in [event.action.ex_date]
    ]


def remedy(msgid: str, symbol: str, start: date, end: date) -> Text:
    """Return ``msgid`` about these days of a stock."""
    return Text(msgid, {"symbol": symbol, "start": start.isoformat(), "end": end.isoformat()})


def in_range(findings: Iterable[Finding], start: date | None, end: date | None) -> list[Finding]:
    """Return the findings about days from ``start`` to ``end`` (None: no bound), by day."""
    chosen = [
        each
        for each in findings
        if (end is None or each.day <= end) and (start is None or (each.until or each.day) >= start)
    ]
    return sorted(chosen, key=lambda each: (each.day, each.rule))


def _trading_days(count: int) -> dict[str, object]:
    return counted(count, "%(count)s trading day", "%(count)s trading days")


def _references(events: Iterable[Event]) -> Mapping[date, float | None]:
    """Return by day the price from which that day's close is measured; None where nobody can say."""
    found: dict[date, float | None] = {}
    for event in events:
        if event.applies_on is None or event.status in (Status.WAITS, Status.NO_EFFECT, Status.BEFORE_FIRST_BAR):
            continue
        known = event.counts and found.get(event.applies_on, 0.0) is not None
        found[event.applies_on] = event.theoretical if known else None
    return found


def _limited(
    bars: BarColumns, missing: Days, open_days: Days, listed_on: date | None, delisted_on: date | None
) -> Mask:
    """Return for each bar but the first whether its day had a limit and nothing is missing since the bar before."""
    before, days = bars.days[:-1], bars.days[1:]
    limited = days >= np.datetime64(LIMITS_FROM)
    if listed_on is None:
        limited[: FREE_DAYS - 1] = False
    else:
        listing = np.searchsorted(open_days, np.datetime64(listed_on))
        limited &= np.searchsorted(open_days, days) - listing >= FREE_DAYS
    if delisted_on is not None:
        limited &= days < np.datetime64(delisted_on - timedelta(days=DELISTING_DAYS))
    reform = (days >= np.datetime64(REFORM_FIRST)) & (days <= np.datetime64(REFORM_LAST))
    limited &= ~(reform & ((days - before).astype(np.int64) > REFORM_SUSPENSION_DAYS))
    if len(missing):
        limited &= np.searchsorted(missing, before) == np.searchsorted(missing, days)
    return limited
