"""Baostock's service: messages of text with a checksum, bars packed with zlib, 2,000 rows to a page."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Sequence
from datetime import date, timedelta
from typing import Any

from tests.sources.standin.bars import B_SHARES, DELISTED, StandInBar, sessions
from tests.sources.standin.data_faults import NOT_A_NUMBER, faulty_bars
from tests.sources.standin.dialogue import Asked, Dialogue

PAGE = 2000
VERSION = "00.9.40"
_SPLIT = "\x01"
_END = b"<![CDATA[]]>\n"
_PACKED = {"96"}
_HEADER = 21


class BaostockDialogue(Dialogue):
    logged_in = False

    def read(self, read_exactly: Callable[[int], bytes]) -> Asked | None:
        line = b""
        while not line.endswith(b"\n"):
            line += read_exactly(1)
        text = line.decode().rstrip("\n")
        message, _, crc = text.rpartition(_SPLIT)
        if zlib.crc32(message.encode()) != int(crc):
            return None
        _, kind, length = message[:_HEADER].split(_SPLIT)
        body = message[_HEADER:]
        if len(body) != int(length):
            return None
        method, *values = body.split(_SPLIT)
        symbol = next((_symbol(value) for value in values if value[:3] in ("sh.", "sz.")), "")
        return Asked(method, symbol, (kind, *values), line)

    def answer(self, asked: Asked, faults: Collection[str]) -> bytes:
        kind, user, *values = [str(value) for value in asked.values]
        answer_kind = f"{int(kind) + 1:02d}"
        if "blacklisted" in faults:
            return _message("04", ["10001011", "黑名单用户，请与管理员联系"])
        if "refused" in faults:
            return _message("04", ["10005001", "系统级别错误"])
        if asked.path == "login":
            self.logged_in = user == "anonymous"
            return _message(answer_kind, ["0", "success", "login", user, "20231120162133118"], faults)
        if not self.logged_in or "logged_out" in faults:
            self.logged_in = False
            return _message("04", ["10001001", "用户未登录"])
        pages: Callable[[list[str], Collection[str]], tuple[list[list[str]], list[str]]] = {
            "query_history_k_data_plus": self._bars,
            "query_stock_basic": self._stocks,
        }[asked.path]
        number, size = int(values[0]), int(values[1])
        rows, rest = pages(values[2:], faults)
        page = rows[(number - 1) * size : number * size]
        method = "query_all_stock" if "mixed_up" in faults else asked.path
        body = ["0", "success", method, user, str(number), str(size), _records(page) if page else "", *rest]
        return _message(answer_kind, body, faults)

    def truncated(self, answer: bytes) -> bytes:
        return answer[: len(answer) * 2 // 3]

    def _bars(self, values: list[str], faults: Collection[str]) -> tuple[list[list[str]], list[str]]:
        code, fields, start, end, frequency, adjustflag = values
        symbol = _symbol(code)
        first, last = date.fromisoformat(start), date.fromisoformat(end)
        known = symbol in self.market.symbols() and not symbol.endswith("BJ")
        bars = faulty_bars(self.market, symbol, first, last, faults) if known else []
        sent = code if "wrong_symbol" not in faults else "sh.600999"
        names = fields.split(",")
        rows = [_row(bar, sent, names) for bar in bars]
        if known and not faults:
            rows = sorted([*rows, *self._suspended(symbol, code, first, last, names)])
        if "changed_columns" in faults:
            names = ["turn" if name == "amount" else name for name in names]
        return rows, [sent, ", ".join(names), start, end, frequency, adjustflag]

    def _suspended(self, symbol: str, code: str, first: date, last: date, names: Sequence[str]) -> list[list[str]]:
        """A day without a trade is a row of its own, with the price before it."""
        bars = self.market.bars(symbol)
        days = {bar.day for bar in bars}
        rows = []
        for day in sessions():
            if first <= day <= min(last, self.market.until) and bars[0].day < day < bars[-1].day and day not in days:
                before = max((bar for bar in bars if bar.day < day), key=lambda bar: bar.day)
                price = _price(before.close)
                values = {"date": day.isoformat(), "code": code, "volume": "0", "amount": "0.0000", "tradestatus": "0"}
                values |= dict.fromkeys(("open", "high", "low", "close", "preclose"), price)
                rows.append([values[name] for name in names])
        return rows

    def _stocks(self, values: list[str], faults: Collection[str]) -> tuple[list[list[str]], list[str]]:
        rows = []
        for symbol in sorted(self.market.symbols()):
            if symbol.endswith("BJ"):
                continue
            gone = DELISTED.get(symbol)
            out = (gone + timedelta(days=1)).isoformat() if gone else ""
            listed = self.market.listed_on(symbol).isoformat()
            rows.append([_code(symbol), f"股票{symbol[:6]}", listed, out, "1", "0" if gone else "1"])
        for symbol in B_SHARES:
            rows.append([_code(symbol), "B股", "1992-02-21", "", "1", "1"])
        # Indexes and funds are on the list as well, more of them than fit on a page.
        rows += [[f"sh.{number:06d}", "指数", "1991-07-15", "", "2", "1"] for number in range(1, PAGE)]
        return rows, ["", "", "code, code_name, ipoDate, outDate, type, status"]


def _row(bar: StandInBar, code: str, names: Sequence[str]) -> list[str]:
    values: dict[str, Any] = {name: _price(getattr(bar, name)) for name in ("open", "high", "low", "close")}
    values |= {"date": bar.day.isoformat(), "code": code, "preclose": _price(bar.open), "tradestatus": "1"}
    values |= {"volume": str(bar.volume), "amount": f"{bar.amount:.4f}"}
    return [values[name] for name in names]


def _price(cents: int) -> str:
    return "" if cents == NOT_A_NUMBER else f"{cents / 100:.10f}"


def _records(rows: list[list[str]]) -> str:
    return json.dumps({"record": rows}, ensure_ascii=False)


def _message(kind: str, body: Sequence[str], faults: Collection[str] = ()) -> bytes:
    text = _SPLIT.join(body)
    if kind in _PACKED:
        packed = zlib.compress(text.encode())
        head = f"{VERSION}{_SPLIT}{kind}{_SPLIT}{len(packed):010d}".encode()
        if "checksum" in faults:
            packed = packed[:-1] + bytes([packed[-1] ^ 1])
        signed = head + packed
    else:
        head = f"{VERSION}{_SPLIT}{kind}{_SPLIT}{len(text):010d}".encode()
        signed = head + text.encode()
    crc = zlib.crc32(signed) ^ ("checksum" in faults)
    return signed + f"{_SPLIT}{crc}".encode() + _END


def _symbol(code: str) -> str:
    exchange, _, number = code.partition(".")
    return f"{number}.{exchange.upper()}"


def _code(symbol: str) -> str:
    number, _, exchange = symbol.partition(".")
    return f"{exchange.lower()}.{number}"
