"""The pace of a source and its circuit breaker, decided from values alone: no database, no clock.

A slot is a moment at which one request may be sent. Slots lie on a grid whose step is the mean gap; each is moved
off the grid by chance, so that lanes do not fall into step, but never so far that two come closer than the shortest
gap. So any window of time holds at most what the mean pace allows, plus one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.utils.translation import gettext_noop

from importer.models import Breaker
from marketdata.texts import Text, moment, sentence, word

# No waiter reserves a slot further ahead than this: who has to wait longer asks again.
QUEUE_LIMIT = timedelta(seconds=20)
# A slot further ahead than this was given before somebody set a clock back: it is taken as free.
SLOT_HORIZON = timedelta(seconds=60)
# The share of the room for chance that is used; the rest absorbs the lateness of threads and networks.
JITTER_SHARE = 0.75
# A slot that was missed by more than this share of the mean gap, or these seconds, is not used any more; nor by so much
# that the next request could come this much too near.
LATE_SHARE = 0.2
LATE_SECONDS = 0.04
TOLERATED = 0.02
# A machine that is too busy to keep so many slots in a row gets wider ones: no request is sent in a missed one.
MISSED_IN_A_ROW = 3
WIDEST_SLOT = 5.0

NARROWING = 0.9
WIDENING = (1.2, 1.5, 2.0)
WIDEST = 10.0

TROUBLES_TO_OPEN = 5
LONGEST_RETRY_AFTER = timedelta(hours=24)
ASKED_TO_WAIT = gettext_noop("%(source)s asked to be left alone for a while; next try at %(time)s")
REFUSED = gettext_noop("%(source)s refused %(count)s requests in a row; next try at %(time)s")
SILENT = gettext_noop("%(source)s did not answer %(count)s requests in a row; next try at %(time)s")
# The same without the time, for when it has passed.
_CAUSES = {
    ASKED_TO_WAIT: gettext_noop("%(source)s asked to be left alone for a while"),
    REFUSED: gettext_noop("%(source)s refused %(count)s requests in a row"),
    SILENT: gettext_noop("%(source)s did not answer %(count)s requests in a row"),
}
# The name under which a reason's values hold the sentence of the last error: "did not answer" alone mends nothing.
_SAID = "said"
_WITH_NEXT_REQUEST = gettext_noop("%(cause)s; the next request tries it again")
_BEING_TRIED = gettext_noop("%(cause)s; it is being tried again now")
# How long the one probe of a half-open breaker may take before somebody else may probe.
PROBE_LEASE = timedelta(seconds=40)


@dataclass(frozen=True)
class Pace:
    """The gaps between two requests, in seconds: drawn from ``shortest`` to ``longest``."""

    shortest: float
    longest: float

    def __post_init__(self) -> None:
        if not 0 <= self.shortest <= self.longest:
            raise ValueError(f"a pace needs 0 <= shortest <= longest, not {self.shortest} and {self.longest}")

    @property
    def mean(self) -> float:
        return (self.shortest + self.longest) / 2


@dataclass(frozen=True)
class Rest:
    """How long a breaker stays open, in seconds: ``first``, then twice as long each time, up to ``longest``."""

    first: float = 30.0
    longest: float = 3600.0

    def after(self, opened_times: int) -> timedelta:
        """Return the rest of the ``opened_times``-th opening in a row."""
        return timedelta(seconds=min(self.first * 2.0 ** min(opened_times - 1, 30), self.longest))


@dataclass(frozen=True)
class Health:
    """What is remembered of a source between two requests. ``interval`` is the mean gap now, 0 while unset."""

    next_slot_at: datetime | None = None
    interval: float = 0.0
    breaker: str = Breaker.CLOSED
    open_until: datetime | None = None
    opened_times: int = 0
    probe_until: datetime | None = None
    refusals: int = 0
    reason: Text = field(default_factory=lambda: Text(""))

    @property
    def well(self) -> bool:
        """Say whether nothing went wrong lately: the breaker is closed and the last request succeeded."""
        return self.breaker == Breaker.CLOSED and self.refusals == 0


@dataclass(frozen=True)
class Trouble:
    """A request that went wrong. ``refused``: the source turned us away; otherwise it did not answer.

    ``said``: the error's own sentence, kept with the reason.
    """

    refused: bool
    retry_after: float | None = None
    said: Text | None = None


def interval_of(health: Health, pace: Pace) -> float:
    """Return the mean gap that is valid now: never below the pace's, whatever was stored under other settings."""
    return min(max(health.interval, pace.mean), pace.mean * WIDEST)


@dataclass(frozen=True)
class Reserved:
    """A slot was free: ``health`` is the new state, ``slot`` the moment at which to send."""

    health: Health
    slot: datetime


@dataclass(frozen=True)
class NotNow:
    """No slot was reserved. ``resting``: the breaker is open until ``until``; otherwise a slot would come then."""

    until: datetime
    resting: bool


def ask_for_slot(
    health: Health,
    pace: Pace,
    now: datetime,
    *,
    chance: float,
    latest: datetime | None = None,
    holds_probe: bool = False,
    spare: float = 0.0,
) -> Reserved | NotNow:
    """Reserve the next free slot, unless the source rests, the queue is full, or the slot comes after ``latest``.

    ``chance`` is drawn from [0, 1). ``holds_probe``: the caller was chosen to send the probe of a half-open breaker.
    A rest that is over makes the caller the prober. ``spare``: so many seconds wider is the slot.
    """
    if health.breaker != Breaker.CLOSED and not holds_probe:
        until = rests_until(health, now)
        if until is not None:
            return NotNow(until, resting=True)
        health = start_probe(health, now)
    interval = interval_of(health, pace)
    grid = now
    if health.next_slot_at is not None and now < health.next_slot_at <= now + SLOT_HORIZON:
        grid = health.next_slot_at
    room = interval * (1 - pace.shortest / pace.mean) if pace.mean else 0.0
    slot = grid + timedelta(seconds=room * JITTER_SHARE * chance)
    if slot > now + QUEUE_LIMIT or (latest is not None and slot > latest):
        return NotNow(slot, resting=False)
    next_slot_at = grid + timedelta(seconds=interval + spare)
    return Reserved(replace(health, interval=interval, next_slot_at=next_slot_at), slot)


def most_late(interval: float, pace: Pace) -> float:
    """Return how many seconds after its time a slot may be used: later would be too near the next one."""
    usual = max(LATE_SHARE * interval, LATE_SECONDS)
    if pace.shortest <= TOLERATED:
        return usual
    nearest = interval * (1 - JITTER_SHARE * (1 - pace.shortest / pace.mean))
    return min(usual, nearest - pace.shortest + TOLERATED)


def spare_after(missed: int) -> float:
    """Return how many seconds wider a slot is for somebody who has missed so many in a row."""
    if missed < MISSED_IN_A_ROW:
        return 0.0
    return min(LATE_SECONDS * 2.0 ** min(missed - MISSED_IN_A_ROW + 1, 30), WIDEST_SLOT)


def rests_until(health: Health, now: datetime) -> datetime | None:
    """Return until when nobody may ask; None when somebody may: the breaker is closed, or a probe is due."""
    if health.breaker == Breaker.OPEN:
        return _ahead(health.open_until, now, LONGEST_RETRY_AFTER)
    if health.breaker == Breaker.HALF_OPEN:
        return _ahead(health.probe_until, now, PROBE_LEASE)
    return None


def start_probe(health: Health, now: datetime) -> Health:
    """Half-open the breaker: its caller sends the one probe. ``probe_until`` is unique and names the prober."""
    return replace(health, breaker=Breaker.HALF_OPEN, probe_until=now + PROBE_LEASE)


def after_successes(health: Health, pace: Pace, count: int) -> Health:
    """Return the state after ``count`` answers, which narrow the gap slowly and end a series of refusals.

    A half-open breaker closes. An open one stays open: the request was sent before it opened. How often it opened
    is forgotten only when the gap is back at its floor, so that a source that lets one request in ten pass rests
    longer each time.
    """
    if health.breaker == Breaker.OPEN or count <= 0:
        return health
    interval = max(interval_of(health, pace) * NARROWING ** min(count, 1000), pace.mean)
    return replace(
        health,
        interval=interval,
        refusals=0,
        breaker=Breaker.CLOSED,
        open_until=None,
        probe_until=None,
        opened_times=0 if interval <= pace.mean else health.opened_times,
        reason=Text(""),
    )


def after_probe(health: Health, pace: Pace, now: datetime) -> Health:
    """Return the state with the next slot a gap away: the probe may have been sent long after its own slot."""
    earliest = now + timedelta(seconds=pace.shortest)
    if health.next_slot_at is not None and health.next_slot_at >= earliest:
        return health
    return replace(health, next_slot_at=earliest)


def after_trouble(health: Health, pace: Pace, rest: Rest, trouble: Trouble, now: datetime, label: str) -> Health:
    """Return the state after a request that went wrong: the gap widens at once, and the breaker may open.

    1. The open breaker: nothing, the request was sent before it opened.
    2. Half-open: open again, for twice as long.
    3. Closed: open at the fifth trouble in a row, or at once when the source says how long to stay away.
    """
    if health.breaker == Breaker.OPEN:
        return health
    refusals = health.refusals + 1
    was = interval_of(health, pace)
    interval = min(was * WIDENING[min(refusals, len(WIDENING)) - 1], pace.mean * WIDEST)
    widened = replace(health, refusals=refusals, interval=interval)
    if health.next_slot_at is not None and health.next_slot_at > now:
        widened = replace(widened, next_slot_at=health.next_slot_at + timedelta(seconds=interval - was))
    if refusals < TROUBLES_TO_OPEN and trouble.retry_after is None and health.breaker == Breaker.CLOSED:
        return widened
    opened_times = health.opened_times + 1
    stay_away = rest.after(opened_times)
    if trouble.retry_after is not None:
        stay_away = max(stay_away, min(timedelta(seconds=max(trouble.retry_after, 0)), LONGEST_RETRY_AFTER))
    until = now + stay_away
    return replace(
        widened,
        breaker=Breaker.OPEN,
        open_until=until,
        opened_times=min(opened_times, 1000),
        probe_until=None,
        reason=_reason(trouble, refusals, until, label),
    )


def reason_now(health: Health, now: datetime) -> Text:
    """Return why the source rests, and what comes next: when it is tried again, once that time has passed, that the
    next request does it, and while one is out, that it is being tried."""
    cause = _CAUSES.get(health.reason.msgid)
    if health.breaker == Breaker.CLOSED or cause is None:
        return health.reason
    resting = rests_until(health, now) is not None
    if resting and health.breaker == Breaker.OPEN:
        return health.reason
    what_next = _BEING_TRIED if resting else _WITH_NEXT_REQUEST
    return Text(what_next, {"cause": sentence(Text(cause, health.reason.values))})


def said_last(reason: Text) -> Text | None:
    """Return what the request said after which the source was left alone; None where that is not known."""
    said = reason.values.get(_SAID)
    return Text(said["msgid"], said["values"]) if said else None


def _ahead(moment_: datetime | None, now: datetime, horizon: timedelta) -> datetime | None:
    """Return a stored moment that is still to come; one beyond ``horizon`` was stored before a clock was set back."""
    return moment_ if moment_ is not None and now < moment_ <= now + horizon else None


def _reason(trouble: Trouble, refusals: int, until: datetime, label: str) -> Text:
    values = {"source": word(label), "count": refusals, "time": moment(until)}
    if trouble.said is not None:
        values[_SAID] = sentence(trouble.said)
    if trouble.retry_after is not None:
        return Text(ASKED_TO_WAIT, values)
    return Text(REFUSED if trouble.refused else SILENT, values)
