"""On PYTHONPATH, it leads the name look-ups of a process and its children to the stand-in."""

from __future__ import annotations

import os
import socket

from standin_names import redirecting, tcp_ports  # type: ignore[import-not-found]

if _port := os.environ.get("BARVAULT_TEST_STANDIN_PORT"):
    socket.getaddrinfo = redirecting(int(_port), tcp_ports(os.environ.get("BARVAULT_TEST_STANDIN_TCP", "")))
