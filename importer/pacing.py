"""The shared pace and circuit breaker of each source, kept in SourceState for all workers on all hosts.

What is decided is in ``pace_rules.py``; here it is read and written: one short transaction per request, under the
row's lock, in the database's own time. Nothing here sleeps inside a transaction.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext, gettext_noop

from config.log_lines import log_time
from importer.dbtime import db_now
from importer.exceptions import StopRequested
from importer.models import Breaker, SourceState
from importer.pace_memory import memory
from importer.pace_rows import count_request, count_successes, exchange_date, health_of, locked_row, store_health
from importer.pace_rules import (
    Health,
    NotNow,
    Pace,
    Reserved,
    Rest,
    Trouble,
    after_trouble,
    ask_for_slot,
    interval_of,
    most_late,
    reason_now,
    rests_until,
    said_last,
    spare_after,
    start_probe,
)
from importer.sources.base import Banned, SourceError, SourceUnavailable
from importer.sources.labels import label_of
from marketdata.texts import Text, moment, word

logger = logging.getLogger(__name__)

# These read this machine's disk or make their bars up: no pace and no breaker unless a pace is set for them.
UNPACED = frozenset({"tdx", "files", "simulated"})
# How many times longer than PACE_MIN and PACE_MAX the gaps of a source are: docs/decisions/011-auto-order.md
STRETCH: Mapping[str, float] = {"baostock": 2.0}
_LOOK_EVERY = 0.1
# A look at the database, so long before a slot that it does not make the request late.
_LOOK_BEFORE = 0.03


class SourceResting(SourceUnavailable):
    """The source is not to be asked before ``until``; nothing was sent. The stock is not to blame."""

    code = "source_resting"
    default_msgid = gettext_noop("%(source)s is not asked before %(time)s.")

    def __init__(self, source: str, until: datetime) -> None:
        super().__init__(source=word(label_of(source)), time=moment(until))
        self.until = until


@dataclass(frozen=True)
class SourceStatus:
    """Where a source stands, for pages and the API. Gaps in seconds.

    ``said``: the last error's own sentence, while it rests. ``next_try``: until then nobody may ask; None with an open
    breaker: the rest is over, the next request is a probe.
    """

    source: str
    label: str
    breaker: str
    reason: Text
    said: Text | None
    next_try: datetime | None
    refusals: int
    interval: float
    shortest: float | None
    longest: float | None
    requests_today: int
    requests: int
    successes: int
    troubles: int
    last_success_at: datetime | None
    last_trouble_at: datetime | None


@dataclass(frozen=True)
class Slot:
    """A moment at which one request may be sent. ``probe``: it is the one of a half-open breaker.

    ``due`` and ``latest`` are of ``time.monotonic()``: not before, and not after.
    """

    due: float
    latest: float
    probe: bool = False

    def is_missed(self) -> bool:
        """Say whether a request that is sent only now would come too near the next one.

        A probe's is never missed: while it is out nobody else sends anything.
        """
        return not self.probe and time.monotonic() > self.latest


def pace_of(source: str) -> Pace | None:
    """Return the gaps that are set for ``source``; None for one that is not paced.

    PACE_MIN and PACE_MAX are for every source, times its STRETCH; a floor in PACE_FLOORS replaces the shortest gap of
    one source and stretches the longest in proportion.
    """
    floor = settings.PACE_FLOORS.get(source)
    if floor is None:
        stretch = STRETCH.get(source, 1.0)
        shortest, longest = settings.PACE_MIN * stretch, settings.PACE_MAX * stretch
        return None if source in UNPACED else Pace(shortest, max(shortest, longest))
    stretch = settings.PACE_MAX / settings.PACE_MIN if settings.PACE_MIN > 0 else 1.0
    return Pace(floor, floor * max(stretch, 1.0))


def can_ask(source: str) -> bool:
    """Say whether the source may be asked now: its breaker is closed, or this caller got the one probe.

    Whoever got the probe should ask at once: after PROBE_LEASE somebody else may. Asking again in the same thread
    gives the same answer until the probe is sent.
    """
    state = SourceState.objects.filter(pk=source).first()
    if state is None or state.breaker == Breaker.CLOSED or pace_of(source) is None:
        return True
    if memory.may_send_probe(source, state.probe_until, this_thread=True):
        return True
    if rests_until(health_of(state), db_now()) is not None:
        return False
    with locked_row(source) as row:
        now, health = db_now(), health_of(row)
        if health.breaker == Breaker.CLOSED:
            return True
        if rests_until(health, now) is not None:
            return False
        probing = start_probe(health, now)
        store_health(row, probing)
        row.save()
    _claim_probe(source, probing)
    return True


def take_slot(source: str) -> float:
    """Reserve the next slot and return the seconds to wait for it; 0 for a source that is not paced.

    Raises SourceResting when the breaker is open, or when so many wait that the slot would be too far ahead.
    """
    pace = pace_of(source)
    if pace is None:
        return 0.0
    outcome = _ask_for_slot(source, pace)
    if isinstance(outcome, Slot):
        return max(0.0, outcome.due - time.monotonic())
    raise SourceResting(source, outcome.until)


def wait_for_slot(
    source: str, should_stop: Callable[[], bool] = lambda: False, deadline: float | None = None, *, missed: int = 0
) -> Slot:
    """Return when a request may be sent: exactly one, at once.

    1. Reserve the next slot that is free before ``deadline`` (``time.monotonic()``); when the queue is full, come
       back later.
    2. Sleep until shortly before it, looking every tenth of a second whether to stop.
    3. Look once more whether the breaker has opened meanwhile; sleep until the slot comes.
    4. A slot that was missed, because this process was not run in time, would come too near the next: take another,
       and a wider one after some; ``missed`` is how many the caller has missed by itself.

    Raises StopRequested, or SourceResting when the breaker is open or no slot comes before the deadline.
    """
    pace = pace_of(source)
    if pace is None:
        return Slot(math.inf, math.inf)
    while True:
        slot = _queue_for_slot(source, pace, should_stop, deadline, missed)
        if slot.due - time.monotonic() > _LOOK_BEFORE:
            _sleep_until(slot.due - _LOOK_BEFORE, should_stop)
            _refuse_if_opened(source)
        _sleep_until(slot.due, should_stop)
        if not slot.is_missed():
            return slot
        missed += 1


def report_success(source: str) -> None:
    """Note that a request was answered. Written with the next slot; at once where it changes something."""
    if memory.count_success(source, paced=pace_of(source) is not None):
        _write_successes(source, closing=True)


def report_trouble(source: str, error: SourceError) -> None:
    """Note that a request failed: the gap widens, and the breaker may open.

    Only Banned and SourceUnavailable say something about the source's health. SourceResting and an error that was
    reported before are left alone, so that the gate and a lane may both report.
    """
    if not isinstance(error, Banned | SourceUnavailable) or isinstance(error, SourceResting) or _is_reported(error):
        return
    retry_after = error.retry_after if isinstance(error, Banned) else None
    trouble = Trouble(isinstance(error, Banned), retry_after, said=error.text)
    rest = Rest(settings.BREAKER_FIRST_REST, settings.BREAKER_LONGEST_REST)
    pace = pace_of(source)
    with locked_row(source) as row:
        now, before = db_now(), row.breaker
        count_successes(row, pace, memory.take_successes(source), now, closing=False)
        row.troubles += 1
        row.last_trouble_at = now
        if pace is not None:
            store_health(row, after_trouble(health_of(row), pace, rest, trouble, now, label_of(source)))
        row.save()
    memory.note(source, well=False)
    memory.probe_answered(source)
    if row.breaker == Breaker.OPEN and before != Breaker.OPEN and row.open_until is not None:
        logger.warning("%s rests until %s: %s", source, log_time(row.open_until), error)


def earliest_retry(sources: Iterable[str]) -> datetime | None:
    """Return when the first of ``sources`` may be asked again; None when one of them may be asked now."""
    now, names = db_now(), list(sources)
    rows = {row.source: row for row in SourceState.objects.filter(pk__in=names)}
    moments = [rests_until(health_of(rows[name]), now) if name in rows else None for name in names]
    waiting = [until for until in moments if until is not None]
    return min(waiting) if waiting and len(waiting) == len(moments) else None


def last_trouble() -> Text | None:
    """Return what went wrong last with a source that rests now, in the error's own words; None: nothing is known."""
    resting = SourceState.objects.exclude(breaker=Breaker.CLOSED).order_by("-last_trouble_at")
    return next((said for row in resting if (said := said_last(health_of(row).reason)) is not None), None)


def close_breaker(source: str, by: str) -> None:
    """Let the source be asked again at once, because somebody (``by``) says so; its gap stays as it is."""
    with locked_row(source) as row:
        closed = replace(
            health_of(row),
            breaker=Breaker.CLOSED,
            open_until=None,
            probe_until=None,
            opened_times=0,
            refusals=0,
            reason=Text(gettext_noop("%(by)s ended the rest."), {"by": by}),
        )
        store_health(row, closed)
        row.save()
    logger.info("%s may be asked again: %s ended the rest", source, by)


def flush() -> None:
    """Write the answers that this process has counted and not yet written: before it ends."""
    for source in memory.sources_with_successes():
        _write_successes(source, closing=False)


def states() -> list[SourceStatus]:
    """Return where each source stands that was ever asked, by name."""
    now = db_now()
    return [_status(row, now) for row in SourceState.objects.order_by("source")]


@dataclass(frozen=True)
class _Later:
    """``worth_waiting``: the queue is full, but a slot before the deadline may come; ask again at ``ask_again``."""

    until: datetime
    worth_waiting: bool
    ask_again: float  # time.monotonic()


def _ask_for_slot(source: str, pace: Pace, deadline: float | None = None, missed: int = 0) -> Slot | _Later:
    spare = spare_after(missed)
    with locked_row(source) as row:
        # The database's clock was read at some moment between these two: nothing is sent early, and none too late.
        asked_at, now, read_at = time.monotonic(), db_now(), time.monotonic()
        count_successes(row, pace, memory.take_successes(source), now, closing=False)
        outcome = ask_for_slot(
            health_of(row),
            pace,
            now,
            chance=random.random(),
            latest=now + timedelta(seconds=deadline - read_at) if deadline is not None else None,
            holds_probe=memory.may_send_probe(source, row.probe_until),
            spare=spare,
        )
        if isinstance(outcome, Reserved):
            store_health(row, outcome.health)
            # In place of a slot in which nothing was sent: that request is counted already.
            if not missed:
                count_request(row, now)
        row.save()
    ahead = ((outcome.slot if isinstance(outcome, Reserved) else outcome.until) - now).total_seconds()
    if isinstance(outcome, NotNow):
        worth_waiting = not outcome.resting and (deadline is None or read_at + ahead < deadline)
        # Those who wait come back at different moments, all of them before their turn could come.
        return _Later(outcome.until, worth_waiting, read_at + random.uniform(0.2, 0.6) * ahead)
    logger.debug("%s: a slot at %s", source, outcome.slot.isoformat(timespec="microseconds"))
    memory.note(source, well=outcome.health.well)
    if outcome.health.breaker == Breaker.HALF_OPEN:
        _claim_probe(source, outcome.health)
        memory.probe_sent(source)
    latest = asked_at + ahead + most_late(interval_of(outcome.health, pace), pace) + spare
    return Slot(read_at + ahead, latest, outcome.health.breaker == Breaker.HALF_OPEN)


def _queue_for_slot(
    source: str, pace: Pace, should_stop: Callable[[], bool], deadline: float | None, missed: int
) -> Slot:
    while True:
        outcome = _ask_for_slot(source, pace, deadline, missed)
        if isinstance(outcome, Slot):
            return outcome
        if not outcome.worth_waiting:
            raise SourceResting(source, outcome.until)
        _sleep_until(outcome.ask_again, should_stop)


def _sleep_until(due: float, should_stop: Callable[[], bool]) -> None:
    while True:
        if should_stop():
            raise StopRequested
        left = due - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _LOOK_EVERY))


def _refuse_if_opened(source: str) -> None:
    state = SourceState.objects.filter(pk=source).first()
    if state is None or state.breaker == Breaker.CLOSED or memory.probe_is_ours(source, state.probe_until):
        return
    raise SourceResting(source, rests_until(health_of(state), db_now()) or db_now())


def _claim_probe(source: str, health: Health) -> None:
    assert health.probe_until is not None
    if not memory.probe_is_ours(source, health.probe_until):
        memory.claim_probe(source, health.probe_until)
        logger.info("%s is asked once, to see whether it answers again", source)


def _write_successes(source: str, *, closing: bool) -> None:
    """``closing``: the answer has just come, so it may be the probe's and close a half-open breaker."""
    pace = pace_of(source)
    with locked_row(source) as row:
        before = row.breaker
        count_successes(row, pace, memory.take_successes(source), db_now(), closing=closing)
        row.save()
    memory.note(source, well=health_of(row).well)
    memory.probe_answered(source)
    if row.breaker == Breaker.CLOSED and before != Breaker.CLOSED:
        logger.info("%s answers again", source)


def _is_reported(error: SourceError) -> bool:
    if getattr(error, "reported", False):
        return True
    vars(error)["reported"] = True
    return False


def sentence_of(row: SourceState) -> str:
    """Return why a source rests and what comes next, in the reader's language; "" for one that does not."""
    return str(reason_now(health_of(row), db_now()))


def _status(row: SourceState, now: datetime) -> SourceStatus:
    pace, health = pace_of(row.source), health_of(row)
    return SourceStatus(
        source=row.source,
        label=gettext(label_of(row.source)),
        breaker=row.breaker,
        reason=reason_now(health, now),
        said=said_last(health.reason),
        next_try=rests_until(health, now),
        refusals=row.refusals,
        interval=interval_of(health, pace) if pace else 0.0,
        shortest=pace.shortest if pace else None,
        longest=pace.longest if pace else None,
        requests_today=row.requests_today if row.counted_on == exchange_date(now) else 0,
        requests=row.requests,
        successes=row.successes,
        troubles=row.troubles,
        last_success_at=row.last_success_at,
        last_trouble_at=row.last_trouble_at,
    )
