"""Which of the many 通达信 quote servers is asked: one that answers, sends bars and has the newest day.

Brokers run them; of a list that is some years old about half are gone, some turn strangers away without saying so,
and some have stopped at an old day. So a new connection goes to the first of a few that answer, and has to prove
itself; one that fails is left alone for a while by this process. What it fails at before it has proved itself is no
sign about the source, as long as there are others.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from datetime import date

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop
from tdxpy.constants import hq_hosts

from importer.pacing import SourceResting
from importer.sources import tdx_wire
from importer.sources.base import SourceError, SourceUnavailable
from importer.sources.bounds import OutOfTime
from importer.sources.gate import StaleConnection, one_request
from importer.sources.gate_signs import TRANSPORT_ERRORS, unavailable
from importer.sources.tcp import Line, connect_to_any
from importer.sources.tdx_wire import NAME
from marketdata.trading_days import is_assumed, newest_finished_day

logger = logging.getLogger(__name__)

Address = tuple[str, int]
# So many servers in turn may fail to prove themselves for one connection.
TURNS = 4
_SHOWN = 3
LEFT_ALONE = 600.0

_OLD_DATA = gettext_noop("%(host)s has no bars of %(day)s yet")

_lock = threading.Lock()
_left_alone: dict[Address, float] = {}
_proven: Address | None = None


def server_list() -> list[Address]:
    """Return the servers of BARVAULT_TDX_SERVERS, or those that ``tdxpy`` knows, each once."""
    known = settings.TDX_SERVERS or [(str(host), int(port)) for _, host, port in hq_hosts]
    return list(dict.fromkeys(known))


def proven_line() -> Line:
    """Return a new connection to a server that has greeted and is up to date: three requests.

    Raises SourceUnavailable, Banned, SourceResting or StopRequested.
    """
    for turn in range(TURNS):
        last = turn == TURNS - 1
        try:
            return _one_turn(last)
        except StaleConnection as failure:
            logger.info("a quote server failed to prove itself: %s", failure.__cause__)
    raise AssertionError("the last turn returns or raises")


def leave_alone(line: Line) -> None:
    """Let this process take another server for a while."""
    global _proven
    with _lock:
        _left_alone[line.host, line.port] = time.monotonic() + LEFT_ALONE
        if _proven == (line.host, line.port):
            _proven = None


def forget() -> None:
    """Forget which servers failed and which is preferred."""
    global _proven
    with _lock:
        _left_alone.clear()
        _proven = None


def expected_day(now_end: date | None = None) -> date:
    """Return the day that a server's data have to reach: the newest finished one that is certain to be a session."""
    newest = newest_finished_day(timezone.now())
    while is_assumed(newest):
        newest = date.fromordinal(newest.toordinal() - 1)
    return min(newest, now_end) if now_end is not None else newest


def check_age(line: Line, end: date | None = None) -> None:
    """Ask how new the server's data are: one request. Raises SourceUnavailable when they end too early."""
    expected = expected_day(end)
    with one_request(NAME, line.host, greeting=True) as bounds:
        _check_newest(line, tdx_wire.newest_day(line, bounds), expected)


def _one_turn(last: bool) -> Line:
    """Connect and prove a server. A failure is a StaleConnection, which nobody is blamed for, unless it is the last."""
    global _proven
    line = _greeted(None, 0, last)
    line = _greeted(line, 1, last)
    line = _greeted(line, 2, last)
    with _lock:
        _proven = (line.host, line.port)
    line.checked_for = expected_day()
    return line


def _greeted(line: Line | None, step: int, last: bool) -> Line:
    """Take one of the three steps, each a request: first greeting, on a new connection; second; look at the age."""
    candidates = _candidates() if line is None else []
    host = line.host if line is not None else ", ".join(host for host, _ in candidates[:_SHOWN])
    try:
        with one_request(NAME, host, greeting=True) as bounds:
            try:
                line = line or connect_to_any(candidates)
                # A server that greets and then hangs up refuses.
                line.answered = False
                if step < 2:
                    tdx_wire.greet(line, step, bounds)
                else:
                    _check_newest(line, tdx_wire.newest_day(line, bounds), expected_day())
            except (SourceUnavailable, OutOfTime, EOFError, *TRANSPORT_ERRORS) as error:
                if line is None or last:
                    raise
                raise StaleConnection from error
    except BaseException as error:
        if line is not None:
            line.close()
            if isinstance(error, StaleConnection | SourceError) and not isinstance(error, SourceResting):
                leave_alone(line)
        raise
    line.answered = False
    return line


def _check_newest(line: Line, newest: int, expected: date) -> None:
    if newest < expected.year * 10_000 + expected.month * 100 + expected.day:
        raise unavailable(NAME, _OLD_DATA, host=line.host, day=expected.isoformat())


def _candidates() -> list[Address]:
    """Return the servers in the order in which they are tried: the one that served last, then the others by chance."""
    now = time.monotonic()
    servers = server_list()
    with _lock:
        good = [address for address in servers if _left_alone.get(address, 0.0) <= now]
        proven = _proven
    # When all have failed each may try again.
    good = good or servers
    random.shuffle(good)
    good.sort(key=lambda address: address != proven)
    return good
