"""Addresses that a server listens on, and the origins of pages that it serves. Nothing here needs Django."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def is_loopback(host: str) -> bool:
    """Say whether ``host`` (an address or a name) can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_every_address(host: str) -> bool:
    """Say whether ``host`` stands for all addresses of this machine: it names none that a browser could ask for."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host == ""


def names_of(host: str) -> list[str]:
    """Return the name under which a server on ``host`` is asked for, beside the loopback ones, as Django's
    ALLOWED_HOSTS wants it."""
    if is_loopback(host) or is_every_address(host):
        return []
    return [f"[{host.strip('[]')}]" if ":" in host else host]


def origins_of(hosts: Iterable[str], port: int) -> list[str]:
    """Return the origins of our own pages behind a reverse proxy for ``hosts``, as CSRF_TRUSTED_ORIGINS wants them.

    A proxy often speaks HTTPS to the browser and plain HTTP to us, so that we cannot know the origin from the
    request. ``*`` names no origin.
    """
    names = [f"*{host}" if host.startswith(".") else host for host in hosts if host != "*"]
    return [origin for name in names for origin in (f"https://{name}", f"http://{name}", f"http://{name}:{port}")]
