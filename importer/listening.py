"""The socket that the web server listens on, opened before anything is started."""

from __future__ import annotations

import errno
import socket

from django.utils.translation import gettext_noop

from importer.exceptions import ImporterError

_BACKLOG = 1024
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


class CannotListen(ImporterError):
    """The address or the port cannot be had."""

    code = "cannot_listen"


def open_listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port`` (0: any free one).

    Raises CannotListen, with what to do.
    """
    if not 0 <= port <= 65535:
        raise CannotListen(gettext_noop("There is no port %(port)s: choose one from 1 to 65535."), port=str(port))
    family, address = _resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL that reaches a listening socket from this machine."""
    host, port = listener.getsockname()[:2]
    if listener.family == socket.AF_INET6 and host not in _WILDCARDS:
        host = f"[{host}]"
    return f"http://{_WILDCARDS.get(host, host)}:{port}/"


def _resolve(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise _no_such_address(host) from error
    # "localhost" is both: what users type by hand is the older one.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _explained(error: OSError, host: str, port: int) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        if port == 5000:
            return CannotListen(
                gettext_noop(
                    "Port 5000 is taken: Barvault runs already, or another program has it (macOS keeps it for the "
                    "AirPlay receiver). Stop that one, or choose another port with --port 5001 or BARVAULT_PORT=5001."
                )
            )
        return CannotListen(
            gettext_noop(
                "Port %(port)s is taken: Barvault runs already, or another program has it. "
                "Stop that one, or choose another port with --port or BARVAULT_PORT."
            ),
            port=str(port),
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return _no_such_address(host)
    if error.errno == errno.EACCES:
        return CannotListen(
            gettext_noop("This user may not listen on port %(port)s: choose one above 1023."), port=port
        )
    return CannotListen(
        gettext_noop("Cannot listen on %(host)s, port %(port)s: %(error)s."),
        host=host,
        port=str(port),
        error=error.strerror,
    )


def _no_such_address(host: str) -> CannotListen:
    return CannotListen(
        gettext_noop("This machine has no address %(host)s: use 127.0.0.1, or one of its own addresses."), host=host
    )
