"""The messages of the 通达信 quote servers: ``tdxpy`` puts requests together, and reads what it reads correctly.

Its own client is not used: it takes the head of an answer for whole however few bytes came, has no time limit for
an answer as a whole, and looks at nothing in it. A request begins with 0x0c, a number of ours and a command; an
answer with b1 cb 74 00, and repeats both (seen in answers of real servers). Its body is packed with zlib when it is
shorter that way.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext_noop
from tdxpy.helper import get_price
from tdxpy.parser.base import BaseParser
from tdxpy.parser.setup_commands import SetupCmd1, SetupCmd2
from tdxpy.parser.std.get_security_bars import GetSecurityBarsCmd
from tdxpy.parser.std.get_security_count import GetSecurityCountCmd
from tdxpy.parser.std.get_security_list import GetSecurityList
from tdxpy.parser.std.get_xdxr_info import GetXdXrInfo

from importer.sources.bounds import Bounds
from importer.sources.gate_signs import unavailable
from importer.sources.tcp import Line
from importer.sources.tdx_rights import actions_of
from marketdata.adjustment import Action

NAME = "tdxquotes"
MARKETS = {"SZ": 0, "SH": 1}
DAILY = 9
# More rows a server does not send.
BARS_AT_ONCE = 800
LIST_AT_ONCE = 1000
# Rows of an index end with two more numbers: how many of its stocks rose, and fell.
INDEX_BESIDE = 4
COMPOSITE = (1, "000001")

PREFIX = bytes.fromhex("b1cb7400")
HEAD = struct.Struct("<4sBIBHHH")
_RIGHTS_HEAD = 11
_numbers = itertools.count(1)

_GARBAGE = gettext_noop("what it sent is no answer in its protocol")
_DAMAGED = gettext_noop("its answer is damaged")
_MIXED_UP = gettext_noop("it answered another question")
_NO_ROWS = gettext_noop("%(host)s counts bars and sends none")


@dataclass(frozen=True)
class Bars:
    """Rows as a server sends them: days as YYYYMMDD, prices in thousandths of a yuan, volumes in its unit."""

    days: np.ndarray[Any, np.dtype[np.int64]]
    prices: np.ndarray[Any, np.dtype[np.int64]]  # a row for each day: open, high, low, close
    volumes: np.ndarray[Any, np.dtype[np.float64]]
    amounts: np.ndarray[Any, np.dtype[np.float64]]

    def __len__(self) -> int:
        return len(self.days)


def greet(line: Line, which: int, bounds: Bounds) -> None:
    """Send the first or second of the greetings that a server wants before anything else.

    The third one of ``tdxpy`` is left out: it names a broker's terminal, and most servers send no bars after it.
    """
    command = (SetupCmd1, SetupCmd2)[which](None)
    command.setup()
    _exchange(line, command, bounds)


def newest_day(line: Line, bounds: Bounds) -> int:
    """Return the day, as YYYYMMDD, of the newest bar of Shanghai's index: how fresh a server's data are."""
    command = _bars_command(*COMPOSITE, start=0, count=1)
    body = _rows_of(_exchange(line, command, bounds), line)
    try:
        count, day = struct.unpack_from("<HI", body) if len(body) > 2 else (0, 0)
    except struct.error as error:
        raise unavailable(NAME, _DAMAGED) from error
    return int(day) if count else 0


def daily_bars(
    line: Line, market: int, code: str, start: int, count: int, bounds: Bounds, *, before: int | None = None
) -> Bars:
    """Return ``count`` days, in their order, that end ``start`` days before the newest one.

    ``before`` (YYYYMMDD) is the first day of the page before this one: a server that goes on with later days has
    not understood ``start``, and the older days would be missing without a word.
    """
    body = _rows_of(_exchange(line, _bars_command(market, code, start, count), bounds), line)
    try:
        bars = read_bars(body)
    except (struct.error, LookupError, OverflowError) as error:
        raise unavailable(NAME, _DAMAGED) from error
    # A day that has begun since moves the pages by one, so the same day may come twice.
    if before is not None and len(bars) and bars.days.max() > before:
        raise unavailable(NAME, _MIXED_UP)
    return bars


def index_bars(line: Line, market: int, code: str, count: int, bounds: Bounds) -> Bars:
    """Return the newest ``count`` days of an index, in their order."""
    body = _rows_of(_exchange(line, _bars_command(market, code, 0, count), bounds), line)
    try:
        return read_bars(body, beside=INDEX_BESIDE)
    except (struct.error, LookupError, OverflowError) as error:
        raise unavailable(NAME, _DAMAGED) from error


def security_count(line: Line, market: int, bounds: Bounds) -> int:
    command = GetSecurityCountCmd(None)
    command.setParams(market)
    return int(_parsed(command, _exchange(line, command, bounds)))


def securities(line: Line, market: int, start: int, bounds: Bounds) -> list[tuple[str, str]]:
    """Return the codes and names of up to LIST_AT_ONCE securities, from the ``start``-th on."""
    command = GetSecurityList(None)
    command.setParams(market, start)
    return [(row["code"], row["name"].rstrip("\0 ")) for row in _parsed(command, _exchange(line, command, bounds))]


def ex_rights(line: Line, market: int, code: str, bounds: Bounds) -> tuple[str, list[Action]]:
    """Return the code that an answer is about, and the corporate actions in it."""
    command = GetXdXrInfo(None)
    command.setParams(market, code)
    body = _exchange(line, command, bounds)
    try:
        # A stock without any record may be an answer without a code.
        sent = body[3:9].decode("ascii") if len(body) >= _RIGHTS_HEAD else code
        return sent, actions_of(command.parseResponse(body))
    except (struct.error, LookupError, ValueError) as error:
        raise unavailable(NAME, _DAMAGED) from error


def read_bars(body: bytes, *, beside: int = 0) -> Bars:
    """Read the rows of an answer; raises struct.error or LookupError when it ends too early, and OverflowError.

    ``beside``: so many bytes follow the numbers of each row that are not read.

    ``tdxpy`` reads volumes and amounts as a float that it takes apart by itself, and is wrong for numbers between 2
    and 128 (10 becomes 520). They are plain IEEE floats.
    """
    (count,) = struct.unpack_from("<H", body)
    days, volumes, amounts = [], [], []
    prices: list[Sequence[int]] = []
    at, base = 2, 0
    for _ in range(count):
        days.append(struct.unpack_from("<I", body, at)[0])
        opened, at = get_price(body, at + 4)
        closed, at = get_price(body, at)
        high, at = get_price(body, at)
        low, at = get_price(body, at)
        volume, amount = struct.unpack_from("<ff", body, at)
        at += 8 + beside
        opened += base
        base = opened + closed
        prices.append((opened, opened + high, opened + low, base))
        volumes.append(volume)
        amounts.append(amount)
    return Bars(
        np.array(days, dtype=np.int64),
        np.array(prices, dtype=np.int64).reshape(-1, 4),
        np.array(volumes, dtype=np.float64),
        np.array(amounts, dtype=np.float64),
    )


def _bars_command(market: int, code: str, start: int, count: int) -> BaseParser:
    command = GetSecurityBarsCmd(None)
    command.setParams(DAILY, market, code, start, count)
    return command


def _rows_of(body: bytes, line: Line) -> bytes:
    # So a server answers that does not want to give bars to strangers.
    if len(body) == 2 and body != b"\0\0":
        raise unavailable(NAME, _NO_ROWS, host=line.host)
    return body


def _parsed(command: BaseParser, body: bytes) -> Any:
    try:
        return command.parseResponse(body)
    except (struct.error, LookupError, ValueError) as error:
        raise unavailable(NAME, _DAMAGED) from error


def _exchange(line: Line, command: BaseParser, bounds: Bounds) -> bytes:
    number = next(_numbers) & 0x7FFFFFFF
    message = bytearray(command.send_pkg)
    message[1:5] = struct.pack("<I", number)
    (method,) = struct.unpack_from("<H", message, 10)
    return line.ask(bytes(message), lambda line: _read_answer(line, number, method), bounds)


def _read_answer(line: Line, number: int, method: int) -> bytes:
    head = line.read_exactly(HEAD.size)
    prefix, _, answered, _, answered_method, packed_size, size = HEAD.unpack(head)
    if prefix != PREFIX:
        raise unavailable(NAME, _GARBAGE)
    body = line.read_exactly(packed_size)
    if (answered, answered_method) != (number, method):
        raise unavailable(NAME, _MIXED_UP)
    return body if packed_size == size else _unpacked(body, size)


def _unpacked(packed: bytes, size: int) -> bytes:
    try:
        body = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as error:
        raise unavailable(NAME, _DAMAGED) from error
    if len(body) != size:
        raise unavailable(NAME, _DAMAGED)
    return body
