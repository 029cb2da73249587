"""The first line of the data page: one sentence from which somebody knows whether all is well. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext_noop

from marketdata.texts import Text, counted

# A stock or two that failed do not make the whole market look old: they are counted beside it.
SHARE_THAT_COUNTS = 0.99

_NEWEST = gettext_noop("Newest finished trading day %(day)s (bars of today are stored from 16:00 on)")
_NEWEST_ASSUMED = gettext_noop(
    "Newest finished trading day %(day)s, assumed: the exchange's calendar is not published that far "
    "(bars of today are stored from 16:00 on)"
)


@dataclass(frozen=True)
class Known:
    """How many stocks that trade are known until ``until`` and no further (None: not at all)."""

    until: date | None
    stocks: int


@dataclass(frozen=True)
class Verdict:
    """``level``: "empty", "filling", "behind" or "complete". ``detail`` supports the sentence."""

    level: str
    sentence: Text
    detail: Text


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
    known: Sequence[Known], *, newest: date, missing_days: int, assumed: bool, importing: tuple[int, int] | None
) -> Verdict:
    """Return the sentence for what is stored.

    ``missing_days`` are the trading days after ``complete_until`` up to ``newest``, the newest finished one;
    ``assumed``: that day rests on a calendar that is not published yet. ``importing``: (finished, total) stocks of
    a full import that goes on.
    """
    detail = Text(_NEWEST_ASSUMED if assumed else _NEWEST, {"day": newest.isoformat()})
    if importing is not None:
        finished, total = importing
        values = {"finished": finished, "total": total}
        filling = Text(gettext_noop("The database is being filled: %(finished)s of %(total)s stocks"), values)
        return Verdict("filling", filling if total else Text(gettext_noop("The database is being filled")), detail)
    until, behind = complete_until(known)
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
    return Verdict("behind" if missing_days or behind else "complete", Text(sentence, standing), detail)
