"""Rows of the list of failures: a stock that was not stored, a row that was refused, a day that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from django.utils.translation import gettext_noop

from importer.models import Failure, ImportTask
from importer.sources.labels import label_of
from marketdata.texts import Text, counted, sentences, word

if TYPE_CHECKING:
    from importer.asking import Refusal
    from importer.overlap import Difference
    from importer.partial import Gap
    from importer.sources.validation import Finding


# So many days of a stock are listed one by one.
DIFFERENCES_LISTED = 20


def stock_failure(
    task: ImportTask,
    symbol: str,
    code: str,
    text: Text,
    *,
    refusals: Sequence[Refusal] = (),
    attempts: int = 1,
    source: str = "",
) -> Failure:
    """Return the (unsaved) row of a stock that failed, with each source's reason."""
    if len(refusals) == 1:
        code, text = refusals[0].code, refusals[0].text
    elif refusals:
        text = Text(gettext_noop("%(reasons)s"), {"reasons": sentences([refusal.text for refusal in refusals])})
    return Failure(
        task=task,
        symbol=symbol,
        source=(", ".join(refusal.source for refusal in refusals) or source)[:40],
        code=code,
        reason_id=text.msgid,
        reason_values=dict(text.values),
        attempts=attempts,
    )


def task_finding(task: ImportTask, text: Text) -> Failure:
    """Return the (unsaved) row of something that concerns the task as a whole, and fails no stock."""
    return Failure(task=task, code="task", reason_id=text.msgid, reason_values=dict(text.values), finding=True)


def dropped_row(task: ImportTask, symbol: str, source: str, finding: Finding) -> Failure:
    """Return the (unsaved) row of a bar that was not stored because it cannot be right."""
    return Failure(
        task=task,
        symbol=symbol,
        source=source,
        code=finding.code,
        reason_id=finding.text.msgid,
        reason_values=dict(finding.text.values),
        finding=True,
    )


def unconfirmed_gap(task: ImportTask, symbol: str, source: str, gap: Gap) -> Failure:
    """Return the (unsaved) row of a stretch of days of which one source has no bars, and nobody else was heard."""
    text = Text(
        gettext_noop(
            "%(source)s has no bars of %(symbol)s from %(first)s to %(last)s (%(days)s), and no second source confirms "
            "that it did not trade."
        ),
        {
            "source": word(label_of(source)),
            "symbol": symbol,
            "first": gap.first.isoformat(),
            "last": gap.last.isoformat(),
            "days": counted(gap.count, "%(count)s trading day", "%(count)s trading days"),
        },
    )
    return _finding(task, symbol, source, "gap", text)


def differing_days(
    task: ImportTask,
    symbol: str,
    source: str,
    found: Sequence[Difference],
    *,
    stored_from: Mapping[date, str],
    replaced: bool,
) -> list[Failure]:
    """Return the (unsaved) rows of the days on which a source says something else than what was stored.

    ``stored_from``: who sent what was stored. Of many days the first ones are listed, and how many more there are.
    """
    outcome = word(gettext_noop("replaced") if replaced else gettext_noop("the stored one was kept"))
    rows = [
        _differing_day(task, symbol, source, each, stored_from.get(each.day, ""), outcome)
        for each in found[:DIFFERENCES_LISTED]
    ]
    if more := len(found) - len(rows):
        text = Text(
            gettext_noop("%(symbol)s: %(source)s differs from what was stored on %(days)s more; %(outcome)s."),
            {
                "symbol": symbol,
                "source": word(label_of(source)),
                "days": counted(more, "%(count)s day", "%(count)s days"),
                "outcome": outcome,
            },
        )
        rows.append(_finding(task, symbol, source, "differs", text))
    return rows


def _differing_day(
    task: ImportTask, symbol: str, source: str, difference: Difference, stored_from: str, outcome: object
) -> Failure:
    text = Text(
        gettext_noop(
            "%(symbol)s on %(day)s: %(field)s is stored as %(stored)s (from %(stored_from)s), "
            "but %(source)s says %(fetched)s; %(outcome)s."
        ),
        {
            "stored_from": word(label_of(stored_from)),
            "symbol": symbol,
            "day": difference.day.isoformat(),
            "field": word(difference.field),
            "stored": f"{difference.stored:g}",
            "fetched": f"{difference.fetched:g}",
            "source": word(label_of(source)),
            "outcome": outcome,
        },
    )
    return _finding(task, symbol, source, "differs", text)


def _finding(task: ImportTask, symbol: str, source: str, code: str, text: Text) -> Failure:
    return Failure(
        task=task,
        symbol=symbol,
        source=source,
        code=code,
        reason_id=text.msgid,
        reason_values=dict(text.values),
        finding=True,
    )
