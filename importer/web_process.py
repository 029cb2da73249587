"""The web server's process: ``python -m importer.web_process FD``, started by ``serve`` with a listening socket."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from typing import Any

import waitress.server

from importer.leaving import end_process
from importer.parents import name_process
from importer.supervised import join_supervisor, say_alive, say_ready

logger = logging.getLogger(__name__)

THREADS = 8
# Requests that have begun are answered within this time after the stop; ``serve`` waits a little longer.
DRAIN = 1.5
_STEP = 0.05


class WebServer:
    """waitress on a socket that somebody else opened, with a stop that lets running requests finish."""

    def __init__(self, application: Any, listener: socket.socket) -> None:
        self._server = waitress.server.create_server(
            application,
            sockets=[listener],
            threads=THREADS,
            ident="barvault",
            asyncore_use_poll=True,
            # Nothing trusts these headers; that they are there tells config/guard.py of a proxy.
            clear_untrusted_proxy_headers=False,
        )
        self._stopping = False

    def stop(self, _signum: int = 0, _frame: object = None) -> None:
        """End ``run`` soon. Safe in a signal handler: it sets a flag and writes one byte."""
        self._stopping = True
        self._server.pull_trigger()

    def run(self) -> None:
        """Serve until ``stop``; then take no new connection and finish the answers that have begun."""
        while not self._stopping:
            self._turn(1.0)
            say_alive()
        self._server.accepting = False
        deadline = time.monotonic() + DRAIN
        while self._is_answering() and time.monotonic() < deadline:
            self._turn(_STEP)

    def _turn(self, timeout: float) -> None:
        self._server.asyncore.loop(timeout=timeout, use_poll=True, map=self._server._map, count=1)

    def _is_answering(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self._server.active_channels.values())


def main(listener_fd: int) -> None:
    join_supervisor()
    name_process("bv-web")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config.wsgi import application

    server = WebServer(application, socket.socket(fileno=listener_fd))
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    say_ready()
    server.run()
    # A request that hangs holds its thread, and the end of the process must not wait for it.
    end_process()


if __name__ == "__main__":
    main(int(sys.argv[1]))
