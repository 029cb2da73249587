"""Adjusted prices from corporate actions: pure arithmetic on values, no database, no clock.

1. ``theoretical_ex_price`` says what a share is worth on the ex-date if the market stands still.
2. ``compose`` walks through a stock's actions and decides for each whether, and from which bar on, it counts.
3. ``factors`` turns the events that count into one of three forms: ``hfq`` and ``qfq`` multiply, ``broker`` is
   affine. Every form is ``raw price × scale + shift``, with one pair of numbers between two events.

Formula, evidence and traps are described in docs/prices.md, the decisions in docs/decisions/007-adjustment.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import NDArray

from marketdata.exceptions import MarketDataError

Dates = NDArray[np.datetime64]
Floats = NDArray[np.float64]

CENT = 0.01
# The reform of non-tradable shares began on 2005-04-29 and was over, but for stragglers, by the end of 2007.
REFORM_FIRST, REFORM_LAST = date(2005, 4, 29), date(2007, 12, 31)
# Every company was suspended for weeks before its reform took effect. The longest holidays close for ten days.
REFORM_SUSPENSION_DAYS = 11
PRICE_LIMIT = 0.10


class ImpossibleAction(MarketDataError):
    """The facts of a corporate action cannot be right for the price before it."""

    code = "impossible_action"
    default_msgid = gettext_noop(
        "The corporate action of %(ex_date)s cannot be right: after a close of %(prev_close)s yuan it would leave a "
        "share worth %(theoretical)s yuan. Correct its cash, shares or rights."
    )


_RIGHTS_WITHOUT_PRICE = gettext_noop("The corporate action of %(ex_date)s has rights, but no price for them.")


class Adjust(StrEnum):
    NONE = "none"  # prices as traded
    QFQ = "qfq"  # prices of the newest bar (or of as_of) stay as traded, older ones are scaled
    HFQ = "hfq"  # prices of the first stored bar stay as traded, newer ones are scaled
    BROKER = "broker"  # affine, as brokers' screens show it: to compare with a screen, not to compute returns


class Status(StrEnum):
    """What became of an action."""

    APPLIED = "applied"  # counts, from the bar of ``applies_on`` on
    WAITS = "waits"  # its ex-date is announced, and no bar has followed yet
    BEFORE_FIRST_BAR = "before_first_bar"  # older than every bar: nothing to adjust
    NO_EFFECT = "no_effect"  # only repeats a previous close that is explained already
    NOT_EX = "not_ex_in_the_market"  # listed, but the market did not go ex (the reform of 2005-2007)
    UNKNOWN_ACTION = "ex_right_without_known_action"  # the exchange went ex, no source says why
    IMPOSSIBLE = "impossible_action"  # its facts cannot be right: not applied


@dataclass(frozen=True)
class Action:
    """What a holder of one share gets on ``ex_date``: yuan before tax, shares per share, yuan per new share.

    ``previous_close`` is the exchange's own previous close of that day (its reference for the price limit), if known.
    An action with nothing but that says: the exchange went ex, and nobody has said why.
    """

    ex_date: date
    cash_per_share: float = 0.0
    new_shares_per_share: float = 0.0
    rights_per_share: float = 0.0
    rights_price: float = 0.0
    previous_close: float | None = None

    @property
    def share_growth(self) -> float:
        """Shares after the ex-date for each share before it, rights taken up."""
        return 1.0 + self.new_shares_per_share + self.rights_per_share

    @property
    def paid_in(self) -> float:
        """Yuan that go into one share: what the rights cost, less the cash that is paid out."""
        return self.rights_price * self.rights_per_share - self.cash_per_share

    @property
    def is_empty(self) -> bool:
        return not (self.cash_per_share or self.new_shares_per_share or self.rights_per_share)


@dataclass(frozen=True)
class Occurrence:
    """An action between two bars: the last one before its ex-date, and the first one on or after it."""

    action: Action
    prev_date: date | None = None
    prev_close: float | None = None
    next_date: date | None = None
    next_open: float | None = None


@dataclass(frozen=True)
class Event:
    """An action with what was decided about it.

    ``reference``: the price it starts from: the close before, or, where several fall between two bars, what the one
    before left. ``theoretical``: the theoretical ex price, unrounded. ``step``: reference / theoretical, 1 unless it
    counts. ``growth`` and ``paid_in`` are those of the action if it counts, for volumes and for the affine form.
    """

    action: Action
    status: Status
    applies_on: date | None = None
    reference: float | None = None
    theoretical: float | None = None
    step: float = 1.0
    growth: float = 1.0
    paid_in: float = 0.0

    @property
    def counts(self) -> bool:
        return self.status in (Status.APPLIED, Status.UNKNOWN_ACTION)

    @property
    def differs_from_exchange(self) -> bool:
        """Whether it counts and the exchange's own previous close, where known, says otherwise by more than 0.1 %."""
        published = self.action.previous_close
        if self.status != Status.APPLIED or published is None or self.theoretical is None:
            return False
        return abs(published / round_half_up(self.theoretical) - 1.0) > 0.001

    @property
    def flag(self) -> str:
        """What a reader of adjusted prices has to know about this event; empty if nothing."""
        if self.status in (Status.NOT_EX, Status.UNKNOWN_ACTION, Status.IMPOSSIBLE):
            return self.status.value
        return "differs_from_exchange" if self.differs_from_exchange else ""


def theoretical_ex_price(prev_close: float, action: Action) -> float:
    """Return (close − cash + rights price × rights) / (1 + new shares + rights), in yuan, unrounded.

    The rule of both exchanges; they publish it rounded half up to 0.01 as the previous close of the ex-date.
    Raises ImpossibleAction if nothing would be left of the price, or rights have no price.
    """
    if action.rights_per_share and not action.rights_price:
        raise ImpossibleAction(_RIGHTS_WITHOUT_PRICE, ex_date=str(action.ex_date))
    price = (prev_close + action.paid_in) / action.share_growth if action.share_growth > 0 else 0.0
    if not (math.isfinite(price) and price > 0):
        raise ImpossibleAction(ex_date=str(action.ex_date), prev_close=prev_close, theoretical=round(price, 4))
    return price


def round_half_up(price: float) -> float:
    """Return ``price`` as the exchanges round it: to 0.01 yuan, half up (Python's ``round`` is half to even)."""
    # The small addition makes 15.795, stored as 15.79499…, a half again.
    return math.floor(price / CENT + 0.5 + 1e-7) / 100


def locate(dates: Dates, open_: Floats, close: Floats, actions: Iterable[Action]) -> tuple[Occurrence, ...]:
    """Return each action with its neighbouring bars. ``dates`` are sorted and unique, all arrays of one length."""
    days = dates.astype("datetime64[D]")
    found = []
    for action in actions:
        at = int(np.searchsorted(days, np.datetime64(action.ex_date, "D")))
        prev_date, prev_close = (days[at - 1].item(), float(close[at - 1])) if at else (None, None)
        next_date, next_open = (days[at].item(), float(open_[at])) if at < len(days) else (None, None)
        found.append(Occurrence(action, prev_date, prev_close, next_date, next_open))
    return tuple(found)


def compose(occurrences: Iterable[Occurrence], *, as_of: date | None = None) -> tuple[Event, ...]:
    """Decide what becomes of each action of one stock; in the order of the ex-dates.

    Ex-dates between the same two bars (a suspension) follow each other: each starts from what the one before left,
    and all apply from the next bar. Actions with an ex-date after ``as_of`` do not exist, and bars after it do not
    count as following.
    """
    events: list[Event] = []
    gap: date | None = None
    reference = math.nan
    for occurrence in sorted(occurrences, key=lambda each: each.action.ex_date):
        action = occurrence.action
        if as_of is not None and action.ex_date > as_of:
            continue
        if occurrence.next_date is None or (as_of is not None and occurrence.next_date > as_of):
            events.append(Event(action, Status.WAITS))
            continue
        if occurrence.prev_close is None:
            events.append(Event(action, Status.BEFORE_FIRST_BAR, applies_on=occurrence.next_date))
            continue
        if occurrence.next_date != gap:
            gap, reference = occurrence.next_date, occurrence.prev_close
        event = _decide(occurrence, reference)
        events.append(event)
        if event.counts and event.theoretical is not None:
            reference = event.theoretical
    return tuple(events)


def _decide(occurrence: Occurrence, reference: float) -> Event:
    action, day = occurrence.action, occurrence.next_date
    published = action.previous_close
    if action.is_empty:
        return _decide_from_exchange(action, day, reference)
    try:
        theoretical = theoretical_ex_price(reference, action)
    except ImpossibleAction:
        if published is not None:
            return _decide_from_exchange(action, day, reference)
        return Event(action, Status.IMPOSSIBLE, day, reference)
    if market_did_not_go_ex(occurrence, reference, theoretical):
        return Event(action, Status.NOT_EX, day, reference, theoretical)
    step = reference / theoretical
    return Event(action, Status.APPLIED, day, reference, theoretical, step, action.share_growth, action.paid_in)


def _decide_from_exchange(action: Action, day: date | None, reference: float) -> Event:
    """The facts are unknown: only the exchange's previous close says how far the price went ex."""
    published = action.previous_close
    if published is None or published <= 0 or abs(round_half_up(reference) - published) < 0.6 * CENT:
        return Event(action, Status.NO_EFFECT, day, reference)
    step = reference / published
    return Event(action, Status.UNKNOWN_ACTION, day, reference, published, step)


def market_did_not_go_ex(occurrence: Occurrence, reference: float, theoretical: float) -> bool:
    """Whether an action is listed as an ex-right, but the exchange left the price alone.

    So it was in the share-structure reform of 2005-2007: holders of non-tradable shares gave shares to the others,
    the company issued none, and the exchange published the plain close as previous close. It is told by
    the exchange's previous close where that is known; otherwise, in the years of the reform and for new shares
    without rights, by an open that the price limit would have forbidden after a real ex-right, or by the
    suspension of weeks that went before each reform.
    """
    action = occurrence.action
    if action.previous_close is not None:
        unchanged = abs(action.previous_close - round_half_up(reference)) < 0.6 * CENT
        return unchanged and abs(round_half_up(theoretical) - round_half_up(reference)) >= 1.5 * CENT
    if not REFORM_FIRST <= action.ex_date <= REFORM_LAST:
        return False
    if not action.new_shares_per_share or action.rights_per_share:
        return False
    if occurrence.prev_date is None or occurrence.next_date is None or occurrence.next_open is None:
        return False
    beyond_limit = occurrence.next_open > theoretical * (1 + PRICE_LIMIT) + CENT
    suspended = (occurrence.next_date - occurrence.prev_date).days > REFORM_SUSPENSION_DAYS
    return beyond_limit or suspended


@dataclass(frozen=True)
class Factors:
    """How to adjust one stock's bars: ``price × scale + shift``, one pair between two events.

    ``starts``: the days from which events apply, ascending; ``scale``, ``shift`` and ``volume_scale`` have one entry
    more: the first belongs to the bars before every event. ``anchor``: the bar whose prices stay as traded.
    """

    adjust: Adjust
    anchor: date | None
    starts: Dates
    scale: Floats
    shift: Floats
    volume_scale: Floats
    events: tuple[Event, ...] = ()

    def segments(self, dates: Dates) -> NDArray[np.intp]:
        """Return for each date which pair of numbers applies."""
        return np.searchsorted(self.starts, dates.astype("datetime64[D]"), side="right")

    def prices(self, dates: Dates, values: Floats) -> Floats:
        """Return adjusted prices in yuan, unrounded."""
        at = self.segments(dates)
        return np.asarray(values * self.scale[at] + self.shift[at], dtype=np.float64)

    def volumes(self, dates: Dates, values: NDArray[np.int64] | Floats) -> Floats:
        """Return volumes in shares of the anchor day (fractions occur)."""
        return np.asarray(values * self.volume_scale[self.segments(dates)], dtype=np.float64)

    @property
    def flags(self) -> tuple[Event, ...]:
        """The events that a reader of these prices has to know about."""
        return tuple(event for event in self.events if event.flag)


def factors(
    events: Sequence[Event], adjust: Adjust, *, first_bar: date | None = None, last_bar: date | None = None
) -> Factors:
    """Return the factors of one stock in the form that is asked for.

    ``hfq`` is anchored at ``first_bar``, the first stored bar; ``qfq`` and ``broker`` at ``last_bar``: the newest
    bar, or the newest one not after as_of. ``events`` are all that ``compose`` returned for this range.
    """
    counting = [event for event in events if event.counts] if adjust != Adjust.NONE else []
    starts = np.array([event.applies_on for event in counting], dtype="datetime64[D]")
    steps = _running_product([event.step for event in counting])
    growths = _running_product([event.growth for event in counting])
    scale, volume_scale, anchor = np.ones(1), np.ones(1), None
    shift = np.zeros(len(steps))
    if adjust == Adjust.HFQ:
        scale, volume_scale, anchor = steps, 1.0 / growths, first_bar
    elif adjust == Adjust.BROKER:
        scale, shift = _affine(counting)
        volume_scale, anchor = growths[-1] / growths, last_bar
    elif adjust == Adjust.QFQ:
        scale, volume_scale, anchor = steps / steps[-1], growths[-1] / growths, last_bar
    return Factors(adjust, anchor, starts, scale, shift, volume_scale, tuple(events))


def _running_product(ratios: list[float]) -> Floats:
    return np.asarray(np.cumprod([1.0, *ratios]), dtype=np.float64)


def _affine(counting: Sequence[Event]) -> tuple[Floats, Floats]:
    """Return scale and shift of the affine form: each later event maps P to (P + paid in) / growth, oldest first."""
    scale, shift = np.ones(len(counting) + 1), np.zeros(len(counting) + 1)
    for at in range(len(counting) - 1, -1, -1):
        event = counting[at]
        # Whether cash or shares made the step of an unknown action is not known: it is taken as a ratio.
        divisor = event.step if event.status == Status.UNKNOWN_ACTION else event.growth
        scale[at] = scale[at + 1] / divisor
        shift[at] = shift[at + 1] + scale[at + 1] * event.paid_in / divisor
    return scale, shift
