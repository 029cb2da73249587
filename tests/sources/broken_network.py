"""A network that is broken for all hosts, or for some: names that are not found, doors that stay closed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.sources.standin.site.standin_names import LOCAL_NAMES

# Nobody listens there.
CLOSED = ("127.0.0.1", 9)


class Cable:
    """Pulled until somebody plugs it in again: names are looked up in vain."""

    def __init__(self, resolve: Callable[..., Any]) -> None:
        self.resolve = resolve
        self.pulled = True
        self.asked: list[str] = []

    def getaddrinfo(self, host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in LOCAL_NAMES and self.pulled:
            self.asked.append(host)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self.resolve(host, *args, **kwargs)


@contextmanager
def pulled_cable() -> Iterator[Cable]:
    """Let no name be found inside the block, until the cable is plugged in."""
    with pytest.MonkeyPatch.context() as patch:
        cable = Cable(socket.getaddrinfo)
        patch.setattr(socket, "getaddrinfo", cable.getaddrinfo)
        yield cable


def find_no_name(monkeypatch: pytest.MonkeyPatch, domain: str) -> None:
    """Let no host of ``domain`` be found; all others are."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).endswith(domain):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def close_doors(monkeypatch: pytest.MonkeyPatch, domain: str = "") -> None:
    """Let the hosts of ``domain`` refuse connections; "": all of them."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host) not in LOCAL_NAMES and str(host).endswith(domain):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", CLOSED)]
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
