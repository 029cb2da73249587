from __future__ import annotations

import gzip

import pytest

from importer.sources.bounds import BrokenOff
from importer.sources.gzipped import Unpacking

BODY = b"open,high,low,close\n" * 2000
PACKED = gzip.compress(BODY)


def unpacked(packed: bytes, size: int = 100, most: int = 1_000_000) -> bytes:
    unpacking = Unpacking(most)
    body = b"".join(unpacking.unpack(packed[at : at + size]) for at in range(0, len(packed), size))
    unpacking.require_end()
    return body


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_parts_of_any_size_give_the_whole(size: int) -> None:
    assert unpacked(PACKED, size) == BODY


@pytest.mark.parametrize("lost", [1, 8, 60])
def test_an_answer_that_ends_too_early_broke_off(lost: int) -> None:
    with pytest.raises(BrokenOff):
        unpacked(PACKED[:-lost])


def test_an_answer_that_was_damaged_broke_off() -> None:
    with pytest.raises(BrokenOff):
        unpacked(PACKED[:-6] + b"\0\0" + PACKED[-4:])


def test_what_is_not_packed_broke_off() -> None:
    with pytest.raises(BrokenOff):
        unpacked(BODY)


def test_two_files_are_one_answer() -> None:
    assert unpacked(PACKED + PACKED) == BODY + BODY


def test_padding_is_overlooked() -> None:
    assert unpacked(PACKED + bytes(20)) == BODY


def test_nothing_at_all_is_whole() -> None:
    assert unpacked(b"") == b""


def test_a_part_that_unpacks_to_more_than_is_wanted_is_not_unpacked_to_its_end() -> None:
    assert len(Unpacking(1000).unpack(gzip.compress(bytes(1_000_000)))) == 1001
