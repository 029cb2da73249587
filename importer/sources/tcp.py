"""Connections of sources that speak a protocol of their own over TCP: kept, bounded, and one per user at a time.

Each request on them goes through ``gate.one_request``. A proxy of the environment is not used: it carries HTTP only.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from typing import cast

from importer.sources.bounds import LOOK_EVERY, Bounds, BrokenOff, current_bounds
from importer.sources.connecting import CONNECT_LIMIT, connected_socket, looked_up, started
from importer.sources.gate import StaleConnection
from importer.sources.gate_signs import was_reset

# A server that hears nothing for a while hangs up: better a new connection than a request that meets a closed one.
LONGEST_IDLE = 40.0
_CHUNK = 65536


class Line:
    """One connection. ``answered``: it has carried an answer before, so a reset may only mean that it grew old."""

    def __init__(self, connected: socket.socket, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.answered = False
        # The newest day of which whoever uses the line knows that the other side has its bars.
        self.checked_for = date.min
        self._heard = False
        self.used_at = time.monotonic()
        self._socket = connected
        # Requests are small and wait for their answers.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, message: bytes, read_answer: Callable[[Line], bytes], bounds: Bounds) -> bytes:
        """Send a message and return what ``read_answer`` makes of the answer; the line is closed when that fails.

        Raises StaleConnection when a kept connection turns out to be closed, OSError, EOFError, OutOfTime or
        StopRequested.
        """
        self._heard = False
        try:
            bounds.before_sending()
            self._socket.settimeout(max(bounds.check(), LOOK_EVERY))
            self._socket.sendall(message)
            answer = read_answer(self)
        except BaseException as error:
            self.close()
            if self.answered and not self._heard and was_reset(error):
                raise StaleConnection from error
            raise
        self.answered = True
        self.used_at = time.monotonic()
        return answer

    def read_some(self) -> bytes:
        """Return what arrives next, looking at the request's bounds while it does.

        Raises EOFError when the other side closed the connection: BrokenOff in the middle of an answer.
        """
        return self._receive(_CHUNK)

    def read_exactly(self, size: int) -> bytes:
        """Return the next ``size`` bytes. Raises what ``read_some`` raises."""
        parts: list[bytes] = []
        while size > 0:
            parts.append(self._receive(min(size, _CHUNK)))
            size -= len(parts[-1])
        return b"".join(parts)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def _receive(self, most: int) -> bytes:
        while True:
            left = _seconds_left()
            self._socket.settimeout(min(LOOK_EVERY, left))
            try:
                data = self._socket.recv(most)
            except TimeoutError:
                continue
            except OSError as error:
                if self._heard:
                    raise BrokenOff from error
                raise
            if not data:
                raise BrokenOff if self._heard else EOFError
            self._heard = True
            return data


def connect(host: str, port: int) -> Line:
    """Return a new connection, within the bounds of the request that needs it. Raises OSError or OutOfTime."""
    return Line(connected_socket(host, port), host, port)


def connect_to_any(addresses: Sequence[tuple[str, int]], at_once: int = 4, patience: float = 1.5) -> Line:
    """Return a connection to one of ``addresses``: ``at_once`` are tried together, and the first that answers is taken.

    Nothing is sent. Raises the last one's OSError when none answers within ``patience`` seconds, or OutOfTime.
    """
    trouble: OSError = ConnectionRefusedError("no address to connect to")
    for first in range(0, len(addresses), at_once):
        with selectors.DefaultSelector() as waiting, ExitStack() as losers:
            for address in addresses[first : first + at_once]:
                try:
                    sock = started(looked_up(*address, time.monotonic() + CONNECT_LIMIT)[0])
                except OSError as error:
                    trouble = error
                    continue
                losers.callback(sock.close)
                waiting.register(sock, selectors.EVENT_WRITE, address)
            ends = time.monotonic() + patience
            while waiting.get_map() and (left := min(ends - time.monotonic(), _seconds_left())) > 0:
                for key, _ in waiting.select(min(LOOK_EVERY, left)):
                    sock = cast("socket.socket", key.fileobj)
                    waiting.unregister(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        # A copy of the descriptor: the loop's own is closed with the losers'.
                        return Line(sock.dup(), *key.data)
                    trouble = OSError(code, os.strerror(code))
            if waiting.get_map():
                trouble = TimeoutError(f"no answer within {patience:g} s")
    raise trouble


def _seconds_left() -> float:
    bounds = current_bounds()
    return bounds.check() if bounds is not None else CONNECT_LIMIT


class Lines:
    """The connections that this process keeps to one source. Safe for threads: who takes one has it alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, list[Line]] = {}

    @contextmanager
    def one(self, connect: Callable[[], Line]) -> Iterator[Line]:
        """Lend a kept connection, or a new one from ``connect``; it is kept unless the block fails."""
        line = self._take() or connect()
        try:
            yield line
        except BaseException:
            line.close()
            raise
        self._keep(line)

    def close(self) -> None:
        """Close the connections that this process keeps."""
        with self._lock:
            lines = self._kept.pop(os.getpid(), [])
        for line in lines:
            line.close()

    def _take(self) -> Line | None:
        # A connection must not be shared with a forked child: each process knows its own only.
        while True:
            with self._lock:
                kept = self._kept.get(os.getpid())
                line = kept.pop() if kept else None
            if line is None or time.monotonic() - line.used_at < LONGEST_IDLE:
                return line
            line.close()

    def _keep(self, line: Line) -> None:
        with self._lock:
            self._kept.setdefault(os.getpid(), []).append(line)
