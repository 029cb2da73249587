"""What can be asked to go wrong: on the wire, in the HTTP answer, in the page, or in the data."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields
from typing import Any

# Of the connection, before or instead of an answer.
WIRE = (
    "reset",
    "close",
    "silence",
    "slow",
    "drip",
    "drip_headers",
    "broken_off",
    "certificate",
    "slow_handshake",
    # Of every connection to a website, whatever its host: as a proxy of the whole system does without a way out.
    "no_handshake",
)
# Of the HTTP answer.
HTTP = ("103", "403", "404", "418", "429", "456", "500", "502", "503", "redirect", "redirect_loop")
# Of the page, whatever it says.
PAGE = ("html", "truncated", "empty", "gzip", "gzip_cut")
# Of the data in it.
DATA = (
    "null",
    "wrong_symbol",
    "future_day",
    "high_below_low",
    "nan",
    "duplicate_days",
    "changed_columns",
    "weekend_day",
    "lots",
    "adjusted",
)
# Of an answer in a protocol of its own over TCP.
PROTOCOL = (
    "garbage",
    "checksum",
    "mixed_up",
    "blacklisted",
    "logged_out",
    "count_only",
    "refused",
    "same_page",
    "overflow",
)
KINDS = (*WIRE, *HTTP, *PAGE, *DATA, *PROTOCOL)

HOSTS_OF_SOURCE = {
    "eastmoney": "eastmoney.com",
    "sina": "sina.com.cn",
    "tencent": "gtimg.cn qq.com",
    "exchanges": "sse.com.cn szse.cn bse.cn",
    "baostock": "baostock.com",
    "tdxquotes": "tdxquotes",
}


@dataclass(frozen=True)
class Fault:
    """``kind`` (one of KINDS) for the requests that match.

    ``host``: a host, a domain, or the name of a source (``eastmoney``); "" is any. ``path``: a part of the path.
    ``symbol``: canonical; "" is any. The first ``after`` matching requests are spared, then every ``every``-th one
    has the fault, ``times`` times (None: for ever). ``seconds``: how long ``slow`` and ``slow_handshake`` wait, or what
    Retry-After says.
    """

    kind: str
    host: str = ""
    symbol: str = ""
    path: str = ""
    times: int | None = None
    after: int = 0
    every: int = 1
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(KINDS)}")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Fault:
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})

    def matches(self, host: str, path: str, symbol: str) -> bool:
        domains = HOSTS_OF_SOURCE.get(self.host, self.host).split()
        at_host = not domains or any(host == domain or host.endswith(f".{domain}") for domain in domains)
        return at_host and self.path in path and self.symbol in ("", symbol)


class FaultBook:
    """The faults that are asked for now, and how often each was met. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._met: dict[int, int] = {}
        self._given: dict[int, int] = {}

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults, self._met, self._given = [], {}, {}

    def of_handshake(self, host: str) -> list[Fault]:
        """Return the faults of a new connection to ``host``: they last until they are cleared."""
        with self._lock:
            kinds = ("certificate", "slow_handshake", "no_handshake")
            return [fault for fault in self._faults if fault.kind in kinds and fault.matches(host, fault.path, "")]

    def meet(self, host: str, path: str, symbol: str) -> list[Fault]:
        """Return the faults of a request, and count it."""
        found = []
        with self._lock:
            for number, fault in enumerate(self._faults):
                if not fault.matches(host, path, symbol):
                    continue
                met = self._met[number] = self._met.get(number, 0) + 1
                given = self._given.get(number, 0)
                due = met > fault.after and (met - fault.after) % fault.every == 0
                if due and (fault.times is None or given < fault.times):
                    self._given[number] = given + 1
                    found.append(fault)
        return found
