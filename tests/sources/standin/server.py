"""The HTTPS server that answers for all the hosts, with the faults that are asked for, and the door that it keeps."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.sources.standin import datacenter_pages, eastmoney_pages, exchange_pages, sina_pages, tencent_pages
from tests.sources.standin.bars import Market
from tests.sources.standin.faults import HTTP, Fault, FaultBook
from tests.sources.standin.requests_seen import Answer, Page, Seen

HOSTS = (
    "push2his.eastmoney.com",
    "82.push2.eastmoney.com",
    "datacenter-web.eastmoney.com",
    "query.sse.com.cn",
    "www.szse.cn",
    "www.bse.cn",
    "finance.sina.com.cn",
    "stock.finance.sina.com.cn",
    "vip.stock.finance.sina.com.cn",
    "web.ifzq.gtimg.cn",
    "proxy.finance.qq.com",
)
_SINA_MARKET = "vip.stock.finance.sina.com.cn/quotes_service/api/json_v2.php/Market_Center."
_PAGES: list[tuple[str, Callable[[Page], Answer | None]]] = [
    ("push2his.eastmoney.com/api/qt/stock/kline/get", eastmoney_pages.kline),
    ("82.push2.eastmoney.com/api/qt/clist/get", eastmoney_pages.market_page),
    ("datacenter-web.eastmoney.com/api/data/v1/get", datacenter_pages.lists),
    ("query.sse.com.cn/sseQuery/commonQuery.do", exchange_pages.shanghai),
    ("query.sse.com.cn/commonQuery.do", exchange_pages.shanghai),
    ("www.szse.cn/api/report/ShowReport", exchange_pages.shenzhen),
    ("www.bse.cn/nqxxController/nqxxCnzq.do", exchange_pages.beijing),
    ("finance.sina.com.cn/realstock/company/klc_td_sh.txt", sina_pages.calendar),
    ("finance.sina.com.cn/realstock/company/", sina_pages.bars),
    (f"{_SINA_MARKET}getHQNodeStockCount", sina_pages.stock_count),
    (f"{_SINA_MARKET}getHQNodeData", sina_pages.market_page),
    ("stock.finance.sina.com.cn/stock/api/jsonp.php/", sina_pages.share_capital),
    ("web.ifzq.gtimg.cn/other/klineweb/klineWeb/weekTrends", tencent_pages.weekly_trend),
    ("proxy.finance.qq.com/ifzqgtimg/appstock/app/newfqkline/get", tencent_pages.bars),
]
_BAN_PAGE = b"<!DOCTYPE html><html><head><title>403</title></head><body>Access denied</body></html>"
# How long a silent server stays silent, and how fast a slow drip drips.
_SILENCE = 120.0
_DRIP_EVERY = 0.05


@dataclass(frozen=True)
class Arrival:
    """A request as it came to the door: ``at`` in seconds since the epoch; ``connection`` numbers the connections."""

    at: float
    host: str
    path: str
    symbol: str
    connection: int
    user_agent: str


@dataclass
class Door:
    """Who came when. Safe for threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _arrivals: list[Arrival] = field(default_factory=list)

    def add(self, arrival: Arrival) -> None:
        with self._lock:
            self._arrivals.append(arrival)

    def arrivals(self) -> list[Arrival]:
        with self._lock:
            return list(self._arrivals)

    def clear(self) -> None:
        with self._lock:
            self._arrivals.clear()


class StandInServer(ThreadingHTTPServer):
    """Answers for HOSTS on one port; ``trusted`` and ``untrusted`` hold a certificate for all of them."""

    daemon_threads = True
    # Refused connections would look like a ban.
    request_queue_size = 128

    def __init__(self, port: int, market: Market, trusted: ssl.SSLContext, untrusted: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.market = market
        self.faults = FaultBook()
        self.door = Door()
        self.tls = trusted
        self.connections = 0
        trusted.sni_callback = self._choose_certificate
        self._untrusted = untrusted
        self.stopping = threading.Event()

    def _choose_certificate(self, sock: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        for fault in self.faults.of_handshake(name or ""):
            if fault.kind == "certificate":
                sock.context = self._untrusted
            elif fault.kind == "slow_handshake":
                self.stopping.wait(fault.seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    server: StandInServer
    protocol_version = "HTTP/1.1"
    # The head and the body of an answer are two writes: without this, each answer waits for an acknowledgement.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        # The handshake is made here, in the connection's own thread, and not by the one that accepts.
        self.request.settimeout(60)
        if any(fault.kind == "no_handshake" for fault in self.server.faults.of_handshake("")):
            # Not before the client has begun to speak: Python leaks the socket of one who was cut off so early.
            self.request.recv(1)
            self._hang_up(reset=True)
            raise ConnectionResetError
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.server.connections += 1
        self.number = self.server.connections
        super().setup()

    def parse_request(self) -> bool:
        # The first line has just come.
        self.arrived_at = time.time()
        return super().parse_request()

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        host = (self.headers.get("Host") or "").partition(":")[0]
        seen = Seen.read(host, self.path, body, dict(self.headers))
        arrival = Arrival(
            self.arrived_at, host, seen.path, seen.symbol, self.number, self.headers.get("User-Agent") or ""
        )
        self.server.door.add(arrival)
        faults = self.server.faults.meet(host, seen.path, seen.symbol)
        if not self._fails_on_the_wire(faults) and not self._fails_by_status(faults):
            self._answer(seen, faults)

    do_POST = do_GET  # noqa: N815

    def _answer(self, seen: Seen, faults: list[Fault]) -> None:
        kinds = {fault.kind for fault in faults}
        address = seen.host + seen.path
        page = next((page for start, page in _PAGES if address.startswith(start)), None)
        answer = page(Page(self.server.market, seen, kinds)) if page is not None else None
        if answer is None:
            self._send(404, b"<html><body>404 Not Found</body></html>", "text/html")
            return
        body = answer.body
        if "html" in kinds:
            body = _BAN_PAGE
        elif "truncated" in kinds:
            body = body[: len(body) * 2 // 3]
        elif "empty" in kinds:
            body = b""
        if "drip" in kinds or "drip_headers" in kinds:
            self._drip(body, from_the_start="drip_headers" in kinds)
        elif "broken_off" in kinds:
            self._send(200, body[: len(body) // 2], answer.content_type, length=len(body))
            self.close_connection = True
        elif kinds & {"gzip", "gzip_cut"}:
            packed = gzip.compress(body)
            packed = packed[: len(packed) * 2 // 3] if "gzip_cut" in kinds else packed
            self._send(200, packed, answer.content_type, {"Content-Encoding": "gzip"})
        else:
            self._send(200, body, answer.content_type)

    def _fails_on_the_wire(self, faults: list[Fault]) -> bool:
        for fault in faults:
            if fault.kind == "slow":
                self.server.stopping.wait(fault.seconds)
            elif fault.kind == "silence":
                self.server.stopping.wait(_SILENCE)
                return self._hang_up(reset=False)
            elif fault.kind in ("reset", "close", "certificate"):
                # A certificate is shown to a new connection only: a kept one has to go.
                return self._hang_up(reset=fault.kind == "reset")
        return False

    def _hang_up(self, reset: bool) -> bool:
        self.close_connection = True
        if reset:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Not ``unwrap``: a server that refuses does not say good-bye.
        socket.socket(fileno=self.request.detach()).close()
        return True

    def _fails_by_status(self, faults: list[Fault]) -> bool:
        fault = next((fault for fault in faults if fault.kind in HTTP), None)
        if fault is None:
            return False
        if fault.kind == "103":
            # Says that an answer is coming, which then comes.
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            return False
        if fault.kind == "redirect":
            self._send(302, b"", "text/html", {"Location": "https://passport.example.net/verify"})
            return True
        if fault.kind == "redirect_loop":
            # So sites answer that want another address, or a cookie, before they answer at all.
            self._send(302, b"", "text/html", {"Location": self.path})
            return True
        headers = {"Retry-After": f"{fault.seconds:.0f}"} if fault.seconds else {}
        self._send(int(fault.kind), _BAN_PAGE, "text/html", headers)
        return True

    def _send(
        self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None, length: int = -1
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, body: bytes, from_the_start: bool) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        rest = head + body
        if not from_the_start:
            self.wfile.write(head)
            rest = body
        self.close_connection = True
        for place in range(len(rest)):
            self.wfile.write(rest[place : place + 1])
            if self.server.stopping.wait(_DRIP_EVERY):
                return

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError):
            self.request.close()

    def log_message(self, format: str, *args: Any) -> None:
        """The door is the log."""
