"""Write down what is to be told, in the transaction of what happened: cheap, and nothing is sent here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext_noop

from importer.dbtime import db_now
from importer.models import ImportTask, Kind, Status
from importer.notify.models import Event, Notice
from marketdata.texts import Text, counted, sentence

# As on the data page: a stock or two that failed do not make an update a bad one.
SHARE_THAT_MAKES_IT_BAD = 0.01
# Of new findings a message names so many kinds, and so many stocks of each.
_KINDS_SHOWN = 5
_STOCKS_SHOWN = 5


def record(key: str, event: Event, lines: Sequence[Text], *, task: ImportTask | None = None) -> bool:
    """Write a notice down, once per ``key``; say whether it is new."""
    if Notice.objects.filter(key=key).exists():
        return False
    made = Notice.objects.bulk_create([_notice(key, event, lines, task)], ignore_conflicts=True)
    return bool(made)


def new_finding_lines(fresh: Iterable[tuple[Text, Sequence[str]]]) -> list[Text]:
    """Return the lines of a message about new findings: their number, then each kind (what it is, and the stocks that
    have it), the most frequent first.
    """
    kinds = sorted(fresh, key=lambda each: -len(each[1]))
    count = sum(len(stocks) for _kind, stocks in kinds)
    lines = [Text("%(found)s.", {"found": counted(count, "%(count)s new finding", "%(count)s new findings")})]
    for kind, stocks in kinds[:_KINDS_SHOWN]:
        named = ", ".join(dict.fromkeys(filter(None, stocks[:_STOCKS_SHOWN])))
        values = {"reason": sentence(kind), "count": len(stocks), "symbols": named or "-"}
        lines.append(Text(gettext_noop("%(reason)s: %(count)s (%(symbols)s)."), values))
    return lines


def task_ended(task: ImportTask) -> None:
    """Write down that a task has ended with the message that its row has now. A cancelled one is no news."""
    event = event_of(task)
    if event is None:
        return
    # A failed task that was resumed may end again.
    key = f"task:{task.pk}:{int(task.finished_at.timestamp()) if task.finished_at else 0}"
    notices = [_notice(key, event, [Text(task.message_id, task.message_values)], task)]
    if task.kind == Kind.UPDATE:
        ping = Event.PING_FAILED if is_bad(task) else Event.PING_GOOD
        notices.append(_notice(f"ping:{key}", ping, [Text(task.message_id, task.message_values)], task))
    Notice.objects.bulk_create(notices, ignore_conflicts=True)


def event_of(task: ImportTask) -> Event | None:
    """Return what the end of a task is; None for one that was cancelled or goes on."""
    if task.status == Status.FAILED:
        return Event.FAILED
    if task.status == Status.COMPLETED:
        return Event.FAILURES if task.failed else Event.COMPLETED
    return None


def is_bad(task: ImportTask) -> bool:
    """Say whether an update did not do what it is for: it failed, or more than one stock in a hundred did."""
    return task.status == Status.FAILED or task.failed > SHARE_THAT_MAKES_IT_BAD * task.total


def _notice(key: str, event: Event, lines: Sequence[Text], task: ImportTask | None) -> Notice:
    kept: list[dict[str, Any]] = [sentence(line) for line in lines]
    return Notice(key=key, event=event, lines=kept, task=task, created_at=db_now())
