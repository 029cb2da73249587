"""What a service over TCP has to know: how a request is read, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass

from tests.sources.standin.bars import Market


@dataclass(frozen=True)
class Asked:
    """A request: ``path`` names what is asked for, ``symbol`` is canonical ("" for none)."""

    path: str
    symbol: str
    values: tuple[str | int, ...] = ()
    raw: bytes = b""


class Dialogue(ABC):
    """One connection's talk."""

    def __init__(self, market: Market) -> None:
        self.market = market

    @abstractmethod
    def read(self, read_exactly: Callable[[int], bytes]) -> Asked | None:
        """Return the next request; None at the end of the talk."""

    @abstractmethod
    def answer(self, asked: Asked, faults: Collection[str]) -> bytes:
        """Return the bytes of the answer, with the faults that are asked for."""

    @abstractmethod
    def truncated(self, answer: bytes) -> bytes:
        """Return an answer that lacks its last third."""
