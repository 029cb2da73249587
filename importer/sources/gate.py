"""The gate: the one place that every request of AKShare passes, and of every source with a protocol of its own.

It waits for the source's slot, looks whether to stop, bounds the request by the wall clock, tells a ban from a
silence, and reports to the breaker. AKShare's requests come here through ``gate_adapter.py``; a source that speaks
a protocol of its own puts each of its requests into ``one_request()``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

from importer import pacing
from importer.exceptions import StopRequested
from importer.sources import network
from importer.sources.base import Banned, SourceError, SourceUnavailable
from importer.sources.bounds import Bounds, OutOfTime, bounded
from importer.sources.fetching import FetchContext, current_context
from importer.sources.gate_signs import TRANSPORT_ERRORS, NotThere, error_of_failure, out_of_time
from importer.stopping import stop_requested


class StaleConnection(Exception):
    """A kept connection was closed by the other side before it could carry a request: no sign of a ban."""


@contextmanager
def one_request(source: str, host: str, *, proxy: str | None = None, greeting: bool = False) -> Iterator[Bounds]:
    """Send one request to ``host`` inside the block, and read its answer.

    1. Wait for the source's next slot; the breaker has to be closed, or the probe ours.
    2. Give the block its bounds: REQUEST_TIMEOUT from now, or what is left of the fetch. Whoever has a socket of its
       own calls ``bounds.before_sending()`` before it writes, and ``bounds.check()`` between two reads.
    3. Whatever goes wrong on the way becomes Banned or SourceUnavailable and is reported to the breaker; an answer
       is reported as a success, also one that raises another error of a source.
    4. When there was no connection, or nobody on it who speaks the protocol, look first whether this machine reaches
       any website: if not, it is NetworkDown, and nobody is blamed.

    ``greeting``: an answer is no success, only the way to one, unless it is what a half-open breaker waits for. Who
    greets friendly and then refuses would never be found to refuse. The same holds for an answer that is half way.

    Raises StopRequested, SourceResting (nothing was sent), Banned, SourceUnavailable or NetworkDown.
    """
    bounds, slot = _admitted(source)
    try:
        with bounded(bounds):
            yield bounds
    except NotThere:
        pacing.report_success(source)
        raise
    except (Banned, SourceUnavailable) as error:
        if greeting and isinstance(error, SourceUnavailable):
            network.look(error, bounds.should_stop)
        pacing.report_trouble(source, error)
        raise
    except SourceError:
        pacing.report_success(source)
        raise
    except (StaleConnection, StopRequested):
        raise
    except (*TRANSPORT_ERRORS, OutOfTime, EOFError) as error:
        failure = error_of_failure(source, host, error, bounds.limit, proxy)
        if not _fetch_ended(bounds):
            if greeting or not bounds.sent:
                network.look(failure, bounds.should_stop)
            pacing.report_trouble(source, failure)
        raise failure from error
    else:
        if slot.probe or not (greeting or bounds.half_way):
            pacing.report_success(source)


def _admitted(source: str) -> tuple[Bounds, pacing.Slot]:
    context = current_context()
    should_stop = _stop_question(context)
    if should_stop():
        raise StopRequested
    if context is not None and context.seconds_left() <= 0:
        raise out_of_time(source, settings.REQUEST_TIMEOUT)
    latest = context.deadline if context is not None else math.inf

    def take_slot(missed: int = 0) -> pacing.Slot:
        deadline = context.deadline if context is not None else None
        return pacing.wait_for_slot(source, should_stop, deadline, missed=missed)

    slot = take_slot()

    def keep_slot() -> None:
        nonlocal slot
        missed = 0
        while slot.is_missed():
            missed += 1
            slot = take_slot(missed)

    now = time.monotonic()
    limit = max(0.0, min(settings.REQUEST_TIMEOUT, latest - now))
    return Bounds(now + limit, limit, should_stop, latest, keep_slot), slot


def _stop_question(context: FetchContext | None) -> Callable[[], bool]:
    # Outside a lane only the process itself can be asked to stop.
    return context.should_stop if context is not None else stop_requested


def _fetch_ended(bounds: Bounds) -> bool:
    """Say whether the request had less time than it needs because its stock's time was over: no fault of the source."""
    return bounds.limit < settings.REQUEST_TIMEOUT and bounds.seconds_left() <= 0
