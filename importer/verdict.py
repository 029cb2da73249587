"""The first line of the data page: one sentence from which somebody knows whether all is well. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils.translation import gettext_noop

from marketdata.completeness import DayFigures
from marketdata.market_index import IndexAnswer
from marketdata.texts import Text, counted
from marketdata.texts import sentence as sentence_of

# A stock or two that failed do not make the whole market look old: they are counted beside it.
SHARE_THAT_COUNTS = 0.99

# The exchange publishes the next year's days about six weeks before it begins.
CALENDAR_AHEAD = timedelta(days=60)

_CALENDAR_ENDS = gettext_noop(
    "The exchange's calendar is known until %(day)s only; later weekdays are assumed to be open. "
    "An update from the network asks for the next ones by itself. Without a network: .venv/bin/pip install -U "
    "exchange-calendars"
)
_COMPLETE = gettext_noop("Complete until %(day)s")
_NEWEST = gettext_noop("Newest finished trading day %(day)s (bars of today are stored from 16:00 on)")
_NEWEST_ASSUMED = gettext_noop(
    "Newest finished trading day %(day)s, assumed: the exchange's calendar is not published that far "
    "(bars of today are stored from 16:00 on)"
)
_INDEX_DIFFERS = gettext_noop("Complete until %(day)s, but the bars of that day do not add up to the index")


@dataclass(frozen=True)
class Known:
    """How many stocks that trade are known until ``until`` and no further (None: not at all)."""

    until: date | None
    stocks: int


@dataclass(frozen=True)
class Verdict:
    """``level``: "empty", "filling", "behind" or "complete". ``detail`` supports the sentence; ``figures`` say what
    the newest finished day lacks (None: nothing, or too early to say)."""

    level: str
    sentence: Text
    detail: Text
    figures: Text | None = None


def complete_until(known: Sequence[Known]) -> tuple[date | None, int]:
    """Return the newest day until which (nearly) every stock is known, and how many stocks are older than that."""
    total = sum(each.stocks for each in known)
    behind = 0
    for each in sorted(known, key=lambda one: (one.until is not None, one.until or date.min)):
        if each.until is not None and behind + each.stocks > (1 - SHARE_THAT_COUNTS) * total:
            return each.until, behind
        behind += each.stocks
    return None, behind


def verdict(
    known: Sequence[Known],
    *,
    newest: DayFigures,
    missing_days: int,
    assumed: bool,
    importing: tuple[int, int] | None,
    absent: int = 0,
) -> Verdict:
    """Return the sentence for what is stored.

    ``missing_days`` are the trading days after ``complete_until`` up to that of ``newest``, the newest finished one;
    ``assumed``: that day rests on a calendar that is not published yet. ``importing``: (finished, total) stocks of
    a full import that goes on; one that fetches again, or other days, fills nothing and leaves the sentence as it is.
    ``absent`` stocks were asked for and never fetched.
    """
    detail = Text(_NEWEST_ASSUMED if assumed else _NEWEST, {"day": newest.day.isoformat()})
    until, behind = complete_until(known)
    if importing is not None and (until is None or _is_partial(known, absent, importing[1])):
        finished, total = importing
        values = {"finished": finished, "total": total}
        filling = Text(gettext_noop("The database is being filled: %(finished)s of %(total)s stocks"), values)
        return Verdict("filling", filling if total else Text(gettext_noop("The database is being filled")), detail)
    if until is None:
        return Verdict("empty", Text(gettext_noop("There are no bars yet")), detail)
    standing: dict[str, Any] = {
        "day": until.isoformat(),
        "missing": counted(missing_days, "%(count)s trading day is missing", "%(count)s trading days are missing"),
        "behind": counted(behind, "%(count)s stock is older", "%(count)s stocks are older"),
    }
    if missing_days and behind:
        sentence = gettext_noop("Complete until %(day)s, %(missing)s; %(behind)s")
    elif missing_days:
        sentence = gettext_noop("Complete until %(day)s, %(missing)s")
    elif behind:
        sentence = gettext_noop("Complete until %(day)s, but %(behind)s")
    else:
        sentence = gettext_noop("Complete until %(day)s, nothing is missing")
    level = "behind" if missing_days or behind or absent else "complete"
    said = Text(sentence, standing)
    if absent:
        said = _with_absent(said if missing_days or behind else Text(_COMPLETE, standing), absent, known)
    if newest.index.answer != IndexAnswer.DIFFERS:
        return Verdict(level, said, detail, newest.text if newest.missing else None)
    if level == "complete":
        level, said = "behind", Text(_INDEX_DIFFERS, standing)
    return Verdict(level, said, detail, newest.index.text)


def _with_absent(said: Text, absent: int, known: Sequence[Known]) -> Text:
    """Say what was never fetched: first where it is a part of the market that counts, else behind the rest."""
    lacking = counted(absent, "%(count)s stock is not imported yet", "%(count)s stocks are not imported yet")
    if _counts(absent, known):
        values = {"absent": lacking, "day": said.values["day"]}
        return Text(gettext_noop("%(absent)s; the others are complete until %(day)s"), values)
    return Text(gettext_noop("%(verdict)s; %(absent)s"), {"verdict": sentence_of(said), "absent": lacking})


def _counts(absent: int, known: Sequence[Known]) -> bool:
    fetched = sum(each.stocks for each in known)
    return absent > (1 - SHARE_THAT_COUNTS) * (fetched + absent)


def _is_partial(known: Sequence[Known], absent: int, total: int) -> bool:
    """Say whether a part of the market that counts was never fetched. Folders have no list that tells it: there it is
    less than half of what the import (of delisted stocks, too) is to read."""
    return _counts(absent, known) or 2 * sum(each.stocks for each in known) < total


def calendar_ends_soon(known_until: date, today: date) -> bool:
    """Say whether a calendar ends soon, or has ended."""
    return known_until < today + CALENDAR_AHEAD


def calendar_note(known_until: date, today: date) -> Text | None:
    """Return what to say of a calendar that ends soon, or has ended; None while it reaches far enough."""
    return Text(_CALENDAR_ENDS, {"day": known_until.isoformat()}) if calendar_ends_soon(known_until, today) else None
