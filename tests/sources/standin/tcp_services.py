"""The services that speak a protocol of their own over TCP, each on a port, with the same faults and the same door."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import time
from collections.abc import Mapping

from tests.sources.standin.baostock_service import BaostockDialogue
from tests.sources.standin.dialogue import Asked, Dialogue
from tests.sources.standin.faults import Fault
from tests.sources.standin.server import Arrival, StandInServer
from tests.sources.standin.tdx_service import TdxDialogue

# The port that clients ask for -> who answers there.
SERVICES: Mapping[int, tuple[str, type[Dialogue]]] = {
    10030: ("public-api.baostock.com", BaostockDialogue),
    7709: ("tdxquotes", TdxDialogue),
}
_SILENCE = 120.0
_DRIP_EVERY = 0.05
_BAN_PAGE = b"HTTP/1.1 403 Forbidden\r\n\r\n<!DOCTYPE html><html><body>Access denied</body></html>\n"


class TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, standin: StandInServer, host: str, dialogue: type[Dialogue]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.standin = standin
        self.host = host
        self.dialogue = dialogue

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up is no error of the server."""


class _Handler(socketserver.BaseRequestHandler):
    server: TcpServer

    def handle(self) -> None:
        standin = self.server.standin
        standin.connections += 1
        number = standin.connections
        self.request.settimeout(60)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dialogue = self.server.dialogue(standin.market)
        with contextlib.suppress(OSError, EOFError):
            while (asked := dialogue.read(self._read_exactly)) is not None:
                standin.door.add(Arrival(time.time(), self.server.host, asked.path, asked.symbol, number, ""))
                faults = standin.faults.meet(self.server.host, asked.path, asked.symbol)
                if self._fails_on_the_wire(faults) or not self._send(dialogue, asked, faults):
                    return

    def _read_exactly(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = self.request.recv(size - len(parts))
            if not part:
                raise EOFError
            parts += part
        return parts

    def _fails_on_the_wire(self, faults: list[Fault]) -> bool:
        for fault in faults:
            if fault.kind == "slow":
                self.server.standin.stopping.wait(fault.seconds)
            elif fault.kind == "silence":
                self.server.standin.stopping.wait(_SILENCE)
                return True
            elif fault.kind in ("reset", "close"):
                if fault.kind == "reset":
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()
                return True
        return False

    def _send(self, dialogue: Dialogue, asked: Asked, faults: list[Fault]) -> bool:
        """Answer; return whether the connection stays."""
        kinds = {fault.kind for fault in faults}
        body = _BAN_PAGE if "html" in kinds else dialogue.answer(asked, kinds)
        if "garbage" in kinds:
            body = bytes(value ^ 0x5A for value in body)
        if "truncated" in kinds:
            body = dialogue.truncated(body)
        if "drip" in kinds or "drip_headers" in kinds:
            for place in range(len(body)):
                self.request.sendall(body[place : place + 1])
                if self.server.standin.stopping.wait(_DRIP_EVERY):
                    return False
            return False
        if "broken_off" in kinds:
            self.request.sendall(body[: len(body) // 2])
            return False
        if "empty" in kinds:
            return False
        self.request.sendall(body)
        # Whoever waits for the rest of an answer waits for ever.
        if kinds & {"truncated", "garbage", "html"}:
            self.server.standin.stopping.wait(_SILENCE)
        return True
