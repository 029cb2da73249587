"""What a benchmark reports, how it measures, and how it is found.

A benchmark is a function in a module of this package::

    @benchmark("tdx", "import from TDX files against raw executemany")
    def tdx_import(run: Run) -> Figure | Iterable[Figure]: ...

Its figures are ratios against a baseline measured in the same run: absolute speeds move with the machine's load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

Comparison = Literal[">=", "<="]


@dataclass(frozen=True)
class Figure:
    """One measured value and the bar it has to meet. ``detail`` says what was compared, with the absolute values."""

    name: str
    value: float
    unit: str
    bar: float
    comparison: Comparison
    detail: str = ""

    @property
    def met(self) -> bool:
        return self.value >= self.bar if self.comparison == ">=" else self.value <= self.bar


@dataclass(frozen=True)
class Run:
    """How to measure. ``folder`` is empty and belongs to this benchmark; ``quick`` asks for small data."""

    folder: Path
    rounds: int = 5
    quick: bool = False


class CannotMeasure(Exception):
    """What a benchmark needs is not there; the message says what. Not a missed bar."""


BenchmarkFunction = Callable[[Run], "Figure | Iterable[Figure]"]


@dataclass(frozen=True)
class Benchmark:
    name: str
    subject: str
    function: BenchmarkFunction

    def figures(self, run: Run) -> list[Figure]:
        """Measure. Raises CannotMeasure."""
        result = self.function(run)
        return [result] if isinstance(result, Figure) else list(result)


_registered: dict[str, Benchmark] = {}


def benchmark(name: str, subject: str) -> Callable[[BenchmarkFunction], BenchmarkFunction]:
    """Register the function as benchmark ``name`` (what ``--only`` takes); ``subject`` is one line for the list."""

    def register(function: BenchmarkFunction) -> BenchmarkFunction:
        if name in _registered:
            raise ValueError(f"There are two benchmarks called {name}.")
        _registered[name] = Benchmark(name, subject, function)
        return function

    return register


def registered() -> list[Benchmark]:
    """Return the benchmarks of all modules imported so far, by name."""
    return [_registered[name] for name in sorted(_registered)]


def interleaved(ways: Mapping[str, Callable[[], None]], rounds: int, *, warm: bool = False) -> dict[str, list[float]]:
    """Return the seconds that each way took in each round.

    Each round runs every way once; every other round in the opposite order, so that neither a machine that slows
    down nor a cache warmed by the one before favours the same way each time. ``warm``: each way runs once more, before
    it is timed, and finds the caches as it left them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        order = list(ways) if number % 2 == 0 else list(reversed(ways))
        for name in order:
            if warm:
                ways[name]()
            begin = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: each compares two neighbours in time."""
    return median(above / below for above, below in zip(numerators, denominators, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0..1] of the values do not exceed."""
    ordered = sorted(values)
    place = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[place]
