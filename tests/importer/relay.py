"""A TCP relay between a process and a server, whose line can be cut and mended: the network between two machines."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field
from types import TracebackType

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_PIECE = 65536


@dataclass
class _Way:
    """One direction of a connection, and what was taken from it and not delivered yet."""

    source: socket.socket
    target: socket.socket
    held: bytearray = field(default_factory=bytearray)
    ended: bool = False


class Relay:
    """Passes bytes on from 127.0.0.1:``port`` to a server.

    ``swallow()``: nothing gets through either way and nobody is told, as with a pulled cable; what was sent meanwhile
    is delivered after ``mend()``, as TCP does. ``reset()``: each connection ends with an error, and so does each
    new one, as with a firewall that rejects.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._ways: dict[socket.socket, _Way] = {}
        self._state = "open"
        self._last_words = b""
        self._wake, self._woken = socket.socketpair()
        self._ended = False
        self._commands: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def swallow(self) -> None:
        self._tell("swallowing")

    def swallow_after(self, words: bytes) -> None:
        """Deliver the next message with these words, and swallow everything from then on: an answer to it, too."""
        self._last_words = words

    @property
    def is_open(self) -> bool:
        return self._state == "open"

    def reset(self) -> None:
        self._tell("resetting")

    def mend(self) -> None:
        self._tell("open")

    def __enter__(self) -> Relay:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._tell("ended")
        self._thread.join()
        for connection in [*self._ways, self._listener, self._wake, self._woken]:
            connection.close()
        self._selector.close()

    def _tell(self, command: str) -> None:
        self._commands.append(command)
        self._wake.send(b"!")

    def _run(self) -> None:
        while True:
            for key, _events in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(_PIECE)
                    while self._commands:
                        if (command := self._commands.pop(0)) == "ended":
                            return
                        self._change(command)
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._ways:
                    self._carry(self._ways[key.fileobj])

    def _change(self, state: str) -> None:
        self._state = state
        if state == "resetting":
            for connection in list(self._ways):
                self._drop(connection, with_error=True)
        if state == "open":
            for way in list(self._ways.values()):
                held, way.held = bytes(way.held), bytearray()
                if held:
                    self._deliver(way, held)
                if way.ended:
                    self._drop(way.source)

    def _accept(self) -> None:
        client, _address = self._listener.accept()
        if self._state == "resetting":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            client.close()
            return
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ways[source] = _Way(source, target)
            self._selector.register(source, selectors.EVENT_READ)

    def _carry(self, way: _Way) -> None:
        try:
            data = way.source.recv(_PIECE)
        except OSError:
            data = b""
        if self._state == "swallowing":
            # An end is not heard of either: it is seen again when the line is mended.
            if data:
                way.held += data
            else:
                way.ended = True
                self._selector.unregister(way.source)
        elif data:
            self._deliver(way, data)
            if self._last_words and self._last_words in data:
                self._state, self._last_words = "swallowing", b""
        else:
            self._drop(way.source)

    def _deliver(self, way: _Way, data: bytes) -> None:
        try:
            way.target.sendall(data)
        except OSError:
            self._drop(way.source)

    def _drop(self, connection: socket.socket, *, with_error: bool = False) -> None:
        way = self._ways.get(connection)
        if way is None:
            return
        for end in (way.source, way.target):
            self._ways.pop(end, None)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            if with_error:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.close()
