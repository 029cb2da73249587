"""A 通达信 quote server: greetings, securities, and bars from the newest one back, packed as real servers do."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Collection, Sequence

from tests.sources.standin.bars import B_SHARES, INDEXES, StandInBar
from tests.sources.standin.data_faults import NOT_A_NUMBER, faulty_bars
from tests.sources.standin.datacenter_pages import RIGHTS, RIGHTS_EX_DATE, distributions
from tests.sources.standin.dialogue import Asked, Dialogue

MOST_BARS = 800
LIST_PAGE = 1000
_PREFIX = bytes.fromhex("b1cb7400")
_EXCHANGES = {0: "SZ", 1: "SH", 2: "BJ"}
_PATHS = {0x000D: "greeting", 0x0FDB: "terminal", 0x044E: "count", 0x0450: "list", 0x052D: "bars", 0x000F: "xdxr"}
# More than a page of each exchange's list is something else than shares.
_OTHERS = 1500


class TdxDialogue(Dialogue):
    greetings = 0

    def read(self, read_exactly: Callable[[int], bytes]) -> Asked | None:
        head = read_exactly(12)
        first, number, _, length, again, method = struct.unpack("<BIBHHH", head)
        if first != 0x0C or length != again or method not in _PATHS:
            return None
        data = read_exactly(length - 2)
        symbol, values = "", ()
        if method == 0x052D:
            market, code, category, _, start, count = struct.unpack_from("<H6sHHHH", data)
            symbol, values = f"{code.decode()}.{_EXCHANGES[market]}", (category, start, count)
        elif method == 0x000F:
            market, code = struct.unpack_from("<B6s", data, 2)
            symbol = f"{code.decode()}.{_EXCHANGES[market]}"
        elif method == 0x044E:
            values = struct.unpack_from("<H", data)
        elif method == 0x0450:
            values = struct.unpack_from("<HH", data)
        path = "index" if symbol in INDEXES and method == 0x052D else _PATHS[method]
        return Asked(path, symbol, (number, method, *values))

    def answer(self, asked: Asked, faults: Collection[str]) -> bytes:
        number, method, *values = (int(value) for value in asked.values)
        body = getattr(self, f"_{asked.path}")(asked, values, faults)
        if "count_only" in faults:
            body = struct.pack("<H", MOST_BARS)
        packed = zlib.compress(body)
        if len(packed) >= len(body):
            packed = body
        if "checksum" in faults:
            packed = packed[:-1] + bytes([packed[-1] ^ 1])
        sent = number + 7 if "mixed_up" in faults else number
        return struct.pack("<4sBIBHHH", _PREFIX, 0x1C, sent, 0, method, len(packed), len(body)) + packed

    def truncated(self, answer: bytes) -> bytes:
        return answer[: len(answer) * 2 // 3]

    def _greeting(self, asked: Asked, values: Sequence[int], faults: Collection[str]) -> bytes:
        self.greetings += 1
        return bytes(68) + "行情主站".encode("gbk") + bytes(113)

    def _index(self, asked: Asked, values: Sequence[int], faults: Collection[str]) -> bytes:
        _, start, count = values
        bars = self.market.index_bars(asked.symbol)
        last = len(bars) - start
        return _bars(bars[max(0, last - min(count, MOST_BARS)) : max(0, last)], beside=bytes(4))

    def _bars(self, asked: Asked, values: Sequence[int], faults: Collection[str]) -> bytes:
        category, start, count = values
        known = asked.symbol in self.market.listed() and not asked.symbol.endswith("BJ") and category == 9
        if self.greetings < 2 or not known:
            return struct.pack("<H", 0)
        bars = list(faulty_bars(self.market, asked.symbol, None, None, faults))
        if "overflow" in faults:
            return struct.pack("<HI", 1, 20240102) + b"\xff" * 40 + bytes(20)
        last = len(bars) - (0 if "same_page" in faults else start)
        return _bars(bars[max(0, last - min(count, MOST_BARS)) : max(0, last)])

    def _xdxr(self, asked: Asked, values: Sequence[int], faults: Collection[str]) -> bytes:
        symbol = asked.symbol
        code = symbol[:6] if "wrong_symbol" not in faults else "600999"
        market = next(number for number, exchange in _EXCHANGES.items() if symbol.endswith(exchange))
        head = struct.pack("<HB6s", 1, market, code.encode())
        record = struct.Struct("<B6sBIBffff")
        # For ten shares: cash, price of the rights, new shares, rights. Then a change of the share capital.
        found = [
            (day, 1, cash, 0.0, new, 0.0)
            for each, _, day, cash, new in distributions(self.market)
            if each == symbol and day is not None
        ]
        if symbol == RIGHTS:
            found.append((RIGHTS_EX_DATE, 1, 0.0, 5.0, 0.0, 3.0))
        if found:
            found.append((found[0][0], 5, 1e6, 2e6, 1e6, 2e6))
        rows = [
            record.pack(market, code.encode(), 0, day.year * 10_000 + day.month * 100 + day.day, *numbers)
            for day, *numbers in found
        ]
        return head + struct.pack("<H", len(rows)) + b"".join(rows)

    def _count(self, asked: Asked, values: Sequence[int], faults: Collection[str]) -> bytes:
        return struct.pack("<H", len(self._securities(values[0])))

    def _list(self, asked: Asked, values: Sequence[int], faults: Collection[str]) -> bytes:
        market, start = values
        start = 0 if "same_page" in faults else start
        page = [] if "null" in faults and start else self._securities(market)[start : start + LIST_PAGE]
        rows = b"".join(
            struct.pack("<6sH8s4sBI4s", code.encode(), 100, name.encode("gbk")[:8], b"", 2, 0, b"")
            for code, name in page
        )
        return struct.pack("<H", len(page)) + rows

    def _securities(self, market: int) -> list[tuple[str, str]]:
        exchange = _EXCHANGES[market]
        codes = [(symbol[:6], f"股{symbol[:6]}") for symbol in self.market.listed() if symbol.endswith(exchange)]
        codes += [(symbol[:6], "B股") for symbol in B_SHARES if symbol.endswith(exchange)]
        # The composite index has the code of a bank in the other exchange.
        first = 1 if exchange == "SH" else 395001
        return [(f"{first + number:06d}", "指数") for number in range(_OTHERS)] + codes


def _bars(bars: Sequence[StandInBar], *, beside: bytes = b"") -> bytes:
    """Rows of an index have four bytes more than those of a stock."""
    rows, base = [], 0
    for bar in bars:
        opened = bar.open * 10
        closed = opened if bar.close == NOT_A_NUMBER else bar.close * 10
        row = struct.pack("<I", bar.day.year * 10_000 + bar.day.month * 100 + bar.day.day)
        row += b"".join(_price(each) for each in (opened - base, closed - opened, bar.high * 10 - opened))
        row += _price(bar.low * 10 - opened)
        volume = float("nan") if bar.close == NOT_A_NUMBER else bar.volume // 100
        rows.append(row + struct.pack("<ff", volume, bar.amount) + beside)
        base = closed
    return struct.pack("<H", len(bars)) + b"".join(rows)


def _price(value: int) -> bytes:
    """Six bits and a sign first, then seven bits to a byte; the top bit says that more follows."""
    rest = abs(value)
    parts = [(rest & 0x3F) | (0x40 if value < 0 else 0)]
    rest >>= 6
    while rest:
        parts[-1] |= 0x80
        parts.append(rest & 0x7F)
        rest >>= 7
    return bytes(parts)
