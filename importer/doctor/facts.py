"""What a check of the installation says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marketdata.texts import Text


class Verdict(StrEnum):
    FINE = "fine"  # worth knowing
    FINDING = "finding"  # something is wrong; the sentence says what to do
    BROKEN = "broken"  # so wrong that it could not be examined


@dataclass(frozen=True)
class Fact:
    verdict: Verdict
    text: Text


def fine(msgid: str, **values: Any) -> Fact:
    """Return something worth knowing; ``msgid`` is marked by ``gettext_noop``."""
    return Fact(Verdict.FINE, Text(msgid, values))


def finding(msgid: str, **values: Any) -> Fact:
    """Return something that is wrong; the sentence says what to do about it."""
    return Fact(Verdict.FINDING, Text(msgid, values))


def broken(text: Text) -> Fact:
    """Return why something could not be examined."""
    return Fact(Verdict.BROKEN, text)
