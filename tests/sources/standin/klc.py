"""Sina's packed format, written from what AKShare's decoder reads: daily bars (type 3466) and trading days (139).

A stream of bits, least significant first, cut into groups of six, each a character of the base64 alphabet. Numbers
have a width in multiples of three bits that the stream itself sets; prices, volumes and amounts are differences
from the bar before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tests.sources.standin.bars import StandInBar

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BARS, _DAYS, _VERSION = 3466, 139, 63
# Day 0 of the format.
FIRST_DAY = date(1990, 12, 19)
# The widths that the decoder starts with, in steps of three bits, in the order in which it reads their changes.
_START_WIDTHS = {"o": 3, "h": 3, "l": 3, "c": 3, "v": 5, "a": 5}
_SIGNED = frozenset("ocva")


class _Bits:
    def __init__(self) -> None:
        self._characters: list[str] = []
        self._pending = 0
        self._count = 0

    def put(self, value: int, width: int) -> None:
        """Append ``value`` (two's complement when negative) in ``width`` bits."""
        self._pending |= (value & ((1 << width) - 1)) << self._count
        self._count += width
        while self._count >= 6:
            self._characters.append(_ALPHABET[self._pending & 63])
            self._pending >>= 6
            self._count -= 6

    def flags(self, *bits: int) -> None:
        for bit in bits:
            self.put(bit, 1)

    def change(self, difference: int) -> None:
        """Append a change of a width: its sign, then its size in unary."""
        self.flags(int(difference > 0), *[1] * (abs(difference) - 1), 0)

    def text(self) -> str:
        if self._count:
            self.put(0, 6 - self._count)
        return "".join(self._characters)


def encode_bars(bars: Sequence[StandInBar]) -> str:
    """Return what ``hisdata_klc2/klc_kl.js`` carries for ``bars`` (prices in cents, shares, whole yuan)."""
    bits = _Bits()
    bits.put(_BARS, 12)
    bits.put(_VERSION, 6)
    rows = _differences(bars)
    widths = {name: max(1, *(_steps(row[name], name in _SIGNED) for row in rows)) for name in "ohlcva"} if rows else {}
    position = 0
    for number, (bar, row) in enumerate(zip(bars, rows, strict=True)):
        day = (bar.day - FIRST_DAY).days
        if number == 0:
            # A full header: amounts are sent as they are, not as a difference from volume times price.
            bits.flags(1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
            bits.flags(1)
            for name in "ohlcva":
                change = widths[name] - _START_WIDTHS[name]
                bits.flags(int(change != 0))
                if change:
                    bits.change(change)
            bits.flags(1)
            _put_day(bits, day)
            bits.flags(0)
        elif day == _next_weekday(position):
            bits.flags(0)
        else:
            bits.flags(1, 0, 1, 1, 1)
            _put_day(bits, day)
        position = day
        for name in "ohlcva":
            bits.put(row[name], 3 * widths[name])
    bits.flags(1, 1, 0, 0, 0)
    return bits.text()


def encode_days(days: Sequence[date]) -> str:
    """Return what ``klc_td_sh.txt`` carries for ``days``: runs of open days between closed weekdays."""
    numbers = [(day - FIRST_DAY).days for day in days]
    bits = _Bits()
    bits.put(_DAYS, 12)
    bits.put(_VERSION, 6)
    bits.put(numbers[0], 18)
    bits.put(numbers[-1], 18)
    for number, run in enumerate(_runs(numbers)):
        bits.flags(int(number == 0))
        if number == 0:
            bits.change(3)
        bits.put(run, 9)
    return bits.text()


def _differences(bars: Sequence[StandInBar]) -> list[dict[str, int]]:
    rows = []
    price = volume = amount = 0
    for bar in bars:
        rows.append(
            {
                "o": bar.open - price,
                "h": bar.high - bar.open,
                "l": bar.open - bar.low,
                "c": bar.close - bar.open,
                "v": bar.volume - volume,
                "a": round(bar.amount) - amount,
            }
        )
        price, volume, amount = bar.close, bar.volume, round(bar.amount)
    return rows


def _steps(value: int, signed: bool) -> int:
    width = (value if value >= 0 else ~value).bit_length() + signed
    return -(-width // 3)


def _put_day(bits: _Bits, day: int) -> None:
    bits.put(1, 3)
    bits.put(day, 18)


def _next_weekday(day: int) -> int:
    day += 1
    # Day 0 was a Wednesday.
    while day % 7 in (3, 4):
        day += 1
    return day


def _runs(numbers: Sequence[int]) -> list[int]:
    opened = set(numbers)
    runs = [0]
    day = numbers[0]
    while day <= numbers[-1]:
        if day in opened:
            runs[-1] += 1
        else:
            runs.append(0)
        day = _next_weekday(day)
    return runs
