"""Name look-ups that lead every name to the stand-in on this machine, and refuse the rest."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

# Domains whose hosts the stand-in imitates.
DOMAINS = ("eastmoney.com", "sina.com.cn", "gtimg.cn", "qq.com", "sse.com.cn", "szse.cn", "bse.cn")
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "")


def redirecting(
    port: int, tcp: Mapping[int, int] | None = None, resolve: Callable[..., Any] = socket.getaddrinfo
) -> Callable[..., Any]:
    """Return a ``getaddrinfo`` for which the imitated hosts are at 127.0.0.1:``port`` and no other name exists.

    ``tcp``: where the services are that are known by their port, whatever the host: port there -> port here.
    """
    services = tcp or {}

    def getaddrinfo(host: Any, service: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host or ""
        if any(name == domain or name.endswith(f".{domain}") for domain in DOMAINS):
            return resolve("127.0.0.1", port, *args, **kwargs)
        if service in services and name not in LOCAL_NAMES:
            return resolve("127.0.0.1", services[service], *args, **kwargs)
        if name in LOCAL_NAMES or name == socket.gethostname():
            return resolve(host, service, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, f"the stand-in leads nowhere else: {name}")

    return getaddrinfo


def tcp_ports(text: str) -> dict[int, int]:
    """Read ``tcp`` of ``redirecting`` as the environment carries it: ``10030=50001,7709=50002``."""
    return {int(there): int(here) for there, _, here in (part.partition("=") for part in text.split(",") if part)}
