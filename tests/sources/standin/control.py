"""How a test in another process asks for faults and looks at the door: JSON over plain HTTP on a port of its own."""

from __future__ import annotations

import json
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.sources.standin.faults import Fault
from tests.sources.standin.server import StandInServer


class ControlServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, standin: StandInServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.standin = standin


class _Handler(BaseHTTPRequestHandler):
    server: ControlServer

    def do_GET(self) -> None:
        self._send([asdict(arrival) for arrival in self.server.standin.door.arrivals()])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.standin.faults.add(Fault.from_json(json.loads(body)))
        self._send({})

    def do_DELETE(self) -> None:
        if self.path == "/door":
            self.server.standin.door.clear()
        else:
            self.server.standin.faults.clear()
        self._send({})

    def _send(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing that anybody reads."""
