"""Unpack an answer that was packed with gzip, and know whether it was whole."""

from __future__ import annotations

import zlib

from importer.sources.bounds import BrokenOff

_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS


class Unpacking:
    """Takes the parts of one packed answer in their order. A part never becomes more than ``most`` bytes and one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._unpacking = zlib.decompressobj(_GZIP)
        self._begun = False

    def unpack(self, part: bytes) -> bytes:
        """Return what the part holds. Raises BrokenOff for what is not packed, or was damaged."""
        try:
            return self._unpack(part)
        except zlib.error as error:
            raise BrokenOff from error

    def require_end(self) -> None:
        """Raise BrokenOff unless the answer was whole: it ends with its own length and checksum. None is whole, too."""
        if self._begun and not self._unpacking.eof:
            raise BrokenOff

    def _unpack(self, part: bytes) -> bytes:
        unpacked = b""
        self._begun = self._begun or bool(part)
        while part and len(unpacked) <= self._most:
            if self._unpacking.eof:
                if not part.startswith(_MAGIC):
                    # Padding, which everybody else overlooks as well.
                    break
                # One file after the other is one answer.
                self._unpacking = zlib.decompressobj(_GZIP)
            unpacked += self._unpacking.decompress(part, self._most + 1 - len(unpacked))
            part = self._unpacking.unused_data if self._unpacking.eof else self._unpacking.unconsumed_tail
        return unpacked
