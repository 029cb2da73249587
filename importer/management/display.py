"""How a followed task is shown: a bar that moves on a terminal, one line per change elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from django.core.management.base import OutputWrapper


@dataclass(frozen=True)
class Sight:
    """A task at one moment: percent, the sentence that is shown, and ``state``, whose change is worth a line."""

    percent: int
    state: str
    sentence: str


class Display(AbstractContextManager[Any], Protocol):
    def show(self, sight: Sight) -> None:
        """Show where the task stands."""

    def say(self, line: str) -> None:
        """Show a line that stays."""


class PlainLines:
    """For files, pipes and logs: one line when the percent or the state changes."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out
        self._last: tuple[int, str] | None = None
        self._last_line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._out.flush()

    def show(self, sight: Sight) -> None:
        if self._last == (sight.percent, sight.state):
            return
        self._last = (sight.percent, sight.state)
        line = f"{sight.percent:3d} %  {sight.sentence}"
        # A task that waits for its sources starts and stops waiting with every try: that is no news.
        if line != self._last_line:
            self._last_line = line
            self.say(line)

    def say(self, line: str) -> None:
        self._out.write(line)
        self._out.flush()


# Columns of a terminal that the bar, the percent and the gaps between them take.
_BESIDE_SENTENCE = 38


class MovingBar:
    """For a terminal: one bar with percent and sentence; log lines and others go above it."""

    def __init__(self, out: OutputWrapper) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self._out = out
        self._last_state = ""
        self._progress = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            console=Console(file=_Unwrapped(out), force_terminal=True, highlight=False),  # type: ignore[arg-type]
            refresh_per_second=4,
            expand=True,
            transient=True,
        )
        self._task = self._progress.add_task("", total=100)
        self._logs = _logs_above_the_bar()

    def __enter__(self) -> Self:
        self._progress.start()
        self._logs.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._logs.__exit__(kind, error, trace)
        self._progress.stop()

    def show(self, sight: Sight) -> None:
        self._progress.update(self._task, completed=sight.percent, description=sight.sentence)
        if sight.state != self._last_state:
            self._last_state = sight.state
            # What the bar has no room for stands above it: why nothing moves is at a sentence's end.
            if len(sight.sentence) > self._progress.console.width - _BESIDE_SENTENCE:
                self.say(sight.sentence)

    def say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, soft_wrap=True)


def display_for(out: OutputWrapper) -> Display:
    """Return the display that suits where the output goes."""
    from rich.console import Console

    if out.isatty() and not Console(file=_Unwrapped(out)).is_dumb_terminal:  # type: ignore[arg-type]
        return MovingBar(out)
    return PlainLines(out)


class _Unwrapped:
    """Django's OutputWrapper as a plain file: it adds no line ends of its own."""

    def __init__(self, out: OutputWrapper) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(text, ending="")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


@contextmanager
def _logs_above_the_bar() -> Iterator[None]:
    """While a bar is drawn, rich stands in for sys.stderr; let the log handlers that hold the real one use it."""
    moved = []
    real = sys.__stderr__
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is real:
            handler.setStream(sys.stderr)
            moved.append(handler)
    try:
        yield
    finally:
        for handler in moved:
            handler.setStream(real)
