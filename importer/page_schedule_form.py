"""The form that makes or changes a schedule: what was typed, and the wish made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest
from importer.models import Kind, TaskSchedule
from importer.page_forms import source_choices
from importer.page_symbols import typed_symbols
from importer.schedule_orders import FIELDS_OF_KIND, checked_kind, order_of
from importer.schedule_rules import PARTS, USUAL_TIME, When, checked_when
from importer.schedule_words import WEEKDAYS
from importer.sources.labels import label_of
from importer.sources.registry import source_names
from importer.task_requests import as_date

# The usual one first.
KINDS = tuple((kind.value, kind.label) for kind in (Kind.UPDATE, Kind.REPAIR, Kind.IMPORT))
_USUAL_TIME = f"{USUAL_TIME:%H:%M}"
DAYS = tuple((str(number), name) for number, name in enumerate(WEEKDAYS, 1))
_USUAL_SOURCE = gettext_noop("As usual")
# The API's sentence names its own words; who sees a form is told what to fill in.
_LEFT_EMPTY = {
    "date": gettext_noop("Fill in the date on which it is to run."),
    "time": gettext_noop("Fill in the time at which it is to run."),
    "cron": gettext_noop("Fill in the cron expression, such as 30 16 * * 1-5."),
}


@dataclass(frozen=True)
class ScheduleForm:
    """What was typed, as text. Of the parts only those count that the chosen kinds have."""

    when: str = When.TRADING_DAY.value
    kind: str = Kind.UPDATE.value
    time: str = _USUAL_TIME
    weekday: str = "6"
    date: str = ""
    cron: str = ""
    name: str = ""
    symbols: str = ""
    source: str = ""
    start_date: str = ""
    end_date: str = ""
    path: str = ""
    refresh: bool = False
    priority: str = "0"

    @classmethod
    def of(cls, data: Mapping[str, str]) -> ScheduleForm:
        """Return the form as it was sent."""
        texts = {name: data[name].strip() for name in cls.__dataclass_fields__ if name in data and name != "refresh"}
        return cls(**texts, refresh=data.get("refresh", "") == "1")

    @classmethod
    def of_schedule(cls, schedule: TaskSchedule) -> ScheduleForm:
        """Return the form that says what the schedule says."""
        order = order_of(schedule)
        return cls(
            when=schedule.when,
            kind=schedule.kind,
            time=f"{schedule.at:%H:%M}" if schedule.at else _USUAL_TIME,
            weekday=str(schedule.weekday or 6),
            date=str(schedule.day or ""),
            cron=schedule.cron,
            name=schedule.name,
            symbols=", ".join(order.symbols or ()),
            source=order.source or "",
            start_date=str(order.start or ""),
            end_date=str(order.end or ""),
            path=order.path or "",
            refresh=order.refresh,
            priority=str(order.priority),
        )

    def wish(self) -> dict[str, Any]:
        """Return every part that the chosen kinds have, None where nothing was typed. Raises BadRequest."""
        typed: dict[str, Callable[[], Any]] = {
            "time": lambda: _as_time(self.time),
            "weekday": lambda: _as_number("weekday", self.weekday),
            "date": lambda: as_date("date", self.date),
            "cron": lambda: self.cron or None,
            "symbols": lambda: typed_symbols(self.symbols),
            "source": lambda: self.source or None,
            "start_date": lambda: as_date("start_date", self.start_date),
            "end_date": lambda: as_date("end_date", self.end_date),
            "path": lambda: self.path or None,
            "refresh": lambda: self.refresh,
            "priority": lambda: _as_number("priority", self.priority or "0"),
        }
        names = (*PARTS[checked_when(self.when)], *FIELDS_OF_KIND[checked_kind(self.kind)])
        parts = {name: typed[name]() for name in names}
        for name in PARTS[checked_when(self.when)]:
            if parts[name] is None and name in _LEFT_EMPTY:
                raise BadRequest(name, _LEFT_EMPTY[name])
        return {"when": self.when, "kind": self.kind, "name": self.name, **parts}


def _as_time(text: str) -> time | None:
    try:
        # Browsers send seconds where somebody types them.
        return datetime.strptime(text[:5], "%H:%M").time() if text else None  # noqa: DTZ007
    except ValueError as error:
        raise BadRequest("time", gettext_noop("“%(value)s” is not a time of day. Write it as 16:30."), value=text) from error  # fmt: skip  # noqa: E501


def _as_number(field: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 4):
        raise BadRequest(field, gettext_noop("“%(field)s” must be a whole number."), field=field)
    return int(text)


def schedule_sources(form: ScheduleForm) -> list[tuple[str, str]]:
    """Return the sources that the form offers, as (name, msgid): the usual, those that can work here, the chosen."""
    choices = [("", _USUAL_SOURCE), *source_choices()]
    if form.source and form.source not in dict(choices) and form.source in source_names():
        choices.append((form.source, label_of(form.source)))
    return choices
