"""Random numbers that are a pure function of what they are for: the same on every machine, in any order, any range.

SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014) on a counter.
"""

from __future__ import annotations

import hashlib

import numpy as np

from importer.sources.arrays import Floats, Ints

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_CHANNEL = np.uint64(0xD1342543DE82EF95)


def key_of(*parts: object) -> int:
    """Return a 64-bit key that stands for ``parts``."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def draws(key: int, counters: Ints, channels: int) -> Floats:
    """Return uniform numbers, 0 <= u < 1: one row for each of an even number of ``channels``, a column per counter."""
    pairs = np.arange(channels // 2, dtype=np.uint64)[:, None] * _CHANNEL
    bits = (counters.astype(np.uint64)[None, :] + np.uint64(key) + pairs) * _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits ^= bits >> np.uint64(31)
    halves = np.concatenate([bits >> np.uint64(32), bits & np.uint64(0xFFFFFFFF)])
    uniform: Floats = halves * 2.0**-32
    return uniform


def draw(*parts: object) -> float:
    """Return one uniform number, 0 <= u < 1, that stands for ``parts``."""
    return key_of(*parts) / 2**64
