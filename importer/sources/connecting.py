"""New connections within the bounds of their request: a look-up that cannot hang, and a race of a host's addresses.

A look-up of a name knows no time limit, and a host with several addresses is tried by others one after the other,
each for seconds: where IPv6 leads nowhere, or the name service is silent, no request would ever come to its answer.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from queue import Empty, SimpleQueue
from typing import Any, cast

from urllib3.connection import HTTPSConnection

from importer.sources.bounds import LOOK_EVERY, current_bounds

CONNECT_LIMIT = 5.0
# An address that has not answered by then is not waited for alone any longer: the next one is tried beside it.
HEAD_START = 0.3

# What getaddrinfo returns: family, kind, protocol, canonical name, address.
Place = tuple[int, int, int, str, Any]


class RacingConnection(HTTPSConnection):
    """A connection of urllib3 that is made here; to the proxy where there is one."""

    def _new_conn(self) -> socket.socket:
        host = str(getattr(self, "_dns_host", self.host))
        limit = self.timeout if isinstance(self.timeout, int | float) else CONNECT_LIMIT
        connected = connected_socket(host, self.port or 443, limit)
        connected.settimeout(limit)
        for option in self.socket_options or ():
            connected.setsockopt(*option)
        return connected


def connected_socket(host: str, port: int, limit: float = CONNECT_LIMIT) -> socket.socket:
    """Return a socket that is connected to ``host``, within ``limit`` seconds and the bounds of the request.

    Raises OSError (a name that is not found among them), OutOfTime or StopRequested.
    """
    ends = time.monotonic() + limit
    return race(_by_turns(looked_up(host, port, ends)), ends)


def race(places: Sequence[Place], ends: float, *, at_once: int = 1, head_start: float = HEAD_START) -> socket.socket:
    """Return a blocking socket that is connected to the first of ``places`` that answers; nothing is sent.

    ``at_once`` are tried together; each ``head_start`` seconds, or when one of them fails, the next ones are tried
    beside those that are silent. Raises the last OSError, a TimeoutError at ``ends`` (``time.monotonic()``), OutOfTime
    or StopRequested.
    """
    trouble: OSError = ConnectionRefusedError("no address to connect to")
    waiting_places = list(places)
    with selectors.DefaultSelector() as waiting, ExitStack() as losers:
        next_start = 0.0
        while waiting_places or waiting.get_map():
            now = time.monotonic()
            if now >= ends:
                raise TimeoutError("no connection in time")
            if waiting_places and (now >= next_start or not waiting.get_map()):
                next_start = now + head_start
                for place in waiting_places[:at_once]:
                    try:
                        begun = started(place)
                    except OSError as error:
                        trouble = error
                        continue
                    losers.callback(begun.close)
                    waiting.register(begun, selectors.EVENT_WRITE)
                del waiting_places[:at_once]
            left = min(ends - now, _seconds_left(), LOOK_EVERY)
            if waiting_places:
                left = min(left, max(0.0, next_start - now))
            for key, _ in waiting.select(left):
                sock = cast("socket.socket", key.fileobj)
                waiting.unregister(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    # A copy of the descriptor: the loop's own is closed with the losers'.
                    winner = sock.dup()
                    winner.setblocking(True)
                    return winner
                trouble = OSError(code, os.strerror(code))
    raise trouble


def looked_up(host: str, port: int, ends: float) -> list[Place]:
    """Return where ``host`` is, before ``ends`` (``time.monotonic()``) and within the bounds of the request.

    Raises socket.gaierror, also when the name service is silent, OutOfTime or StopRequested.
    """
    answer: SimpleQueue[list[Place] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(cast("list[Place]", socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    # Nobody can cut a look-up short: it is left to itself when its time is over.
    threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    while (left := min(ends - time.monotonic(), _seconds_left())) > 0:
        try:
            found = answer.get(timeout=min(LOOK_EVERY, left))
        except Empty:
            continue
        if isinstance(found, UnicodeError):
            raise socket.gaierror(socket.EAI_NONAME, str(found)) from found
        if isinstance(found, Exception):
            raise found
        return found
    raise socket.gaierror(socket.EAI_AGAIN, "The name service does not answer")


def _by_turns(places: Iterable[Place]) -> list[Place]:
    """Return the addresses in their order, but IPv6 and IPv4 by turns, the family of the first one first."""
    found = list(places)
    first = [place for place in found if place[0] == found[0][0]]
    others = [place for place in found if place[0] != found[0][0]]
    return [place for pair in zip_longest(first, others) for place in pair if place is not None]


def started(place: Place) -> socket.socket:
    """Return a socket that does not block and has begun to connect. Raises OSError."""
    family, kind, protocol, _, address = place
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(address)
    except OSError:
        sock.close()
        raise
    if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock


def _seconds_left() -> float:
    bounds = current_bounds()
    return bounds.check() if bounds is not None else CONNECT_LIMIT
