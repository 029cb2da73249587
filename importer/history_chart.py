"""The chart of past tasks: how long they took, what they wrote, what failed. Geometry alone; a template draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_noop

from importer.history import seconds_taken
from importer.models import ImportTask
from importer.task_words import request_text, state_text
from marketdata.texts import Text, duration_text

# Tasks that fit side by side, each with a bar wide enough to be pointed at.
TASKS = 60
# Units of the drawing, which is scaled to the width of its place.
WIDTH, HEIGHT = 600.0, 64.0
_GAP = 0.25
_WIDEST = 28.0
# What is there, but too little to be seen, is drawn so high.
_LOWEST = 1.5


@dataclass(frozen=True)
class ChartBar:
    """A task's bar in a panel, from the left and from the top; ``label`` is read on pointing at it."""

    x: str
    y: str
    width: str
    height: str
    label: str


@dataclass(frozen=True)
class Panel:
    """One measure over the tasks; ``highest`` is the top of the scale in words, ``summary`` what a reader hears."""

    name: str
    title: str
    highest: str
    summary: str
    bars: Sequence[ChartBar]


@dataclass(frozen=True)
class Chart:
    panels: Sequence[Panel]
    first: datetime
    last: datetime
    count: int


def chart_of(tasks: Sequence[ImportTask]) -> Chart | None:
    """Return the chart of ended tasks, the oldest first; None for fewer than two, which show no course."""
    shown = [task for task in tasks if task.started_at and task.finished_at][-TASKS:]
    if len(shown) < 2:
        return None
    took = [seconds_taken(task) or 0.0 for task in shown]
    names = [f"{request_text(task)}: {state_text(task)}" for task in shown]
    panels = (
        _panel("took", gettext_noop("Duration"), took, [duration_text(value) for value in took], names),
        _panel("rows", gettext_noop("Bars written"), *_counted([task.rows_written for task in shown]), names),
        _panel("failures", gettext_noop("Failed stocks"), *_counted([task.failed for task in shown]), names),
    )
    first, last = shown[0].finished_at, shown[-1].finished_at
    assert first is not None
    assert last is not None
    return Chart(panels, first, last, len(shown))


def _panel(name: str, title: str, values: Sequence[float], words: Sequence[str], names: Sequence[str]) -> Panel:
    top = max(values)
    highest = words[values.index(top)]
    middle = words[values.index(sorted(values)[len(values) // 2])]
    summary = Text(
        gettext_noop("%(title)s of the last %(count)s tasks: last %(last)s, typical %(middle)s, highest %(highest)s."),
        {"title": str(Text(title)), "count": len(values), "last": words[-1], "middle": middle, "highest": highest},
    )
    step = WIDTH / max(len(values), math.ceil(WIDTH / (_WIDEST * (1 + _GAP))))
    bars = [
        _bar(place * step, step, value / top if top else 0.0, f"{name}: {said}")
        for place, (value, said, name) in enumerate(zip(values, words, names, strict=True))
    ]
    return Panel(name, str(Text(title)), highest if top else "", str(summary), bars)


def _bar(x: float, step: float, share: float, label: str) -> ChartBar:
    height = max(share * HEIGHT, _LOWEST) if share > 0 else 0.0
    width = step * (1 - _GAP)
    return ChartBar(f"{x:.1f}", f"{HEIGHT - height:.1f}", f"{width:.1f}", f"{height:.1f}", label)


def _counted(values: Sequence[int]) -> tuple[Sequence[float], Sequence[str]]:
    return values, [f"{value:,}" for value in values]
