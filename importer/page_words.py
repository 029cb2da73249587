"""Words that only the pages need: how a source stands, when a task's turn comes, what went wrong how often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils import translation
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop

from importer.models import Breaker, ImportTask, Kind, Status
from importer.pacing import SourceStatus, pace_of
from importer.schedule_rules import When
from importer.sources.labels import label_of
from importer.task_words import kind_text, state_text
from marketdata.texts import Text, counted, listed_text, seconds, sentence, word

# A reader of the screen is told of a running import in such steps, not every three seconds.
SPOKEN_STEP = 10

_BREAKERS = {
    Breaker.CLOSED: gettext_noop("normal"),
    Breaker.OPEN: gettext_noop("resting"),
    Breaker.HALF_OPEN: gettext_noop("being tried again"),
}


_WAYS = {
    "page": gettext_noop("page"),
    "admin": gettext_noop("administration"),
    "api": "API",
    "schedule": gettext_noop("schedule"),
}


@dataclass(frozen=True)
class SourceLine:
    """A source as the data page shows it. ``state`` is empty for one that was never asked."""

    label: Text
    words: Sequence[Text]
    state: Text
    tone: str


def source_lines(shown: Iterable[str], states: Sequence[SourceStatus]) -> list[SourceLine]:
    """Return the sources ``shown``, in that order, then the others that were ever asked."""
    by_name = {state.source: state for state in states}
    names = list(dict.fromkeys([*shown, *by_name]))
    return [_source_line(name, by_name.get(name)) for name in names]


def turn_text(position: int, eta: float | None, *, workers: int, running: bool) -> Text | None:
    """Return when a waiting task's turn comes; None where that cannot be told. ``eta``: the running one's seconds."""
    if not workers:
        return Text(gettext_noop("as soon as a worker is alive"))
    if position > 1:
        return None
    if not running:
        return Text(gettext_noop("its turn comes at once"))
    if eta is None:
        return Text(gettext_noop("its turn is next"))
    return Text(gettext_noop("its turn comes in about %(time)s"), {"time": seconds(eta)})


def spoken_text(task: ImportTask) -> Text:
    """Return what a screen reader is told about a task: its state, and its percent in coarse steps."""
    values = {"kind": sentence(kind_text(task)), "state": sentence(state_text(task))}
    if task.status != Status.RUNNING or task.waiting_until or task.requested_action:
        return Text(gettext_noop("%(kind)s: %(state)s"), values)
    return Text(
        gettext_noop("%(kind)s: %(percent)s percent"),
        {**values, "percent": task.progress // SPOKEN_STEP * SPOKEN_STEP},
    )


def source_names_text(names: str) -> str:
    """Return the labels of sources that a failure names as ``eastmoney, sina``."""
    return listed_text([capfirst(str(Text(label_of(name)))) for name in names.split(", ") if name])


def asker_text(by: str) -> str:
    """Return who asked for something, as histories keep it (``page: 127.0.0.1``), with the way in words."""
    way, colon, who = by.partition(": ")
    if not colon or way not in _WAYS:
        return by
    named = _schedule_named(who) if way == "schedule" else who
    return str(Text(gettext_noop("%(way)s: %(who)s"), {"way": word(_WAYS[way]), "who": named}))


def way_of(typed: str) -> str:
    """Return the way that somebody names as histories show it, as histories keep it; what names none stays."""
    for way, label in _WAYS.items():
        if typed.casefold() in (way, gettext(label).casefold()):
            return way
    return typed


def ways() -> list[tuple[str, str]]:
    """Return the ways to ask for something, as (kept, msgid)."""
    return list(_WAYS.items())


def _schedule_named(name: str) -> str:
    """Return a schedule's name; one without a name is called by what it runs and when, in the words of workers."""
    with translation.override("en"):
        known = {str(each.label) for each in (*Kind, *When)}
    parts = name.split(", ")
    return listed_text([gettext(part) for part in parts]) if known.issuperset(parts) else name


def _source_line(name: str, state: SourceStatus | None) -> SourceLine:
    label = Text(label_of(name))
    if pace_of(name) is None:
        return SourceLine(label, [Text(_unpaced(name))], Text(""), "")
    if state is None:
        return SourceLine(label, [Text(gettext_noop("not asked yet"))], Text(""), "")
    tone = {Breaker.OPEN: "warn", Breaker.CLOSED: "ok"}.get(Breaker(state.breaker), "")
    # Also of a probe that nobody has sent: whoever had it ended.
    rest_is_over = state.breaker != Breaker.CLOSED and state.next_try is None
    word_ = gettext_noop("to be tried again") if rest_is_over else _BREAKERS[Breaker(state.breaker)]
    return SourceLine(label, _words(state), Text(word_), tone)


def _words(state: SourceStatus) -> list[Text]:
    if state.next_try is not None or state.breaker != Breaker.CLOSED:
        return [state.reason] if state.said is None else [state.reason, state.said]
    if not state.requests_today:
        return [Text(gettext_noop("no requests today"))]
    today = counted(state.requests_today, "%(count)s request today", "%(count)s requests today")
    words = [Text("%(today)s", {"today": today})]
    if state.interval > 0:
        pace = f"{1 / state.interval:.1f}"
        words.append(Text(gettext_noop("at most %(pace)s per second"), {"pace": pace}))
    return words


def _unpaced(name: str) -> str:
    if name == "simulated":
        return gettext_noop("made up on this machine")
    return gettext_noop("read from this machine's disk")
