"""Words about tasks that pages, API and command line share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.utils.translation import gettext_noop

from importer import lifecycle
from importer.models import Action, ImportTask, Kind, Status
from importer.sources.labels import label_of
from importer.waiting import waits_for_network
from marketdata.texts import Text, counted, listed, moment, word

_KINDS = {
    Kind.IMPORT: gettext_noop("full import"),
    Kind.UPDATE: gettext_noop("update"),
    Kind.REPAIR: gettext_noop("repair"),
}
_STATES = {
    Status.PENDING: gettext_noop("pending"),
    Status.RUNNING: gettext_noop("running"),
    Status.PAUSED: gettext_noop("paused"),
    Status.COMPLETED: gettext_noop("completed"),
    Status.FAILED: gettext_noop("failed"),
    Status.CANCELLED: gettext_noop("cancelled"),
}
_ASKED = {
    Action.CANCEL: gettext_noop("running, is being cancelled"),
    Action.PAUSE: gettext_noop("running, is being paused"),
    Action.STEP_ASIDE: gettext_noop("running, is stepping aside"),
}


def kind_text(task: ImportTask) -> Text:
    """Return the task's kind in words."""
    return kind_words(task.kind)


def kind_words(kind: str) -> Text:
    """Return a kind of task in words."""
    return Text(_KINDS[Kind(kind)])


def state_text(task: ImportTask) -> Text:
    """Return the task's state in words, with what was asked of it, why it waits, or how many stocks failed."""
    if task.status == Status.RUNNING and task.requested_action:
        return Text(_ASKED[Action(task.requested_action)])
    if task.status == Status.RUNNING and waits_for_network(task):
        return Text(gettext_noop("running, waits for the network"))
    if task.status == Status.RUNNING and task.waiting_until is not None:
        return Text(gettext_noop("running, waits for its sources until %(at)s"), {"at": moment(task.waiting_until)})
    if task.status == Status.PENDING and task.message_id == lifecycle.STEPPED_ASIDE_TEXT.msgid:
        return Text(gettext_noop("pending (stepped aside for a task of higher priority)"))
    if task.status == Status.COMPLETED and task.failed:
        return Text(gettext_noop("completed, %(failed)s failed"), {"failed": task.failed})
    return Text(_STATES[Status(task.status)])


def stocks_value(symbols: Sequence[str] | None) -> Any:
    """Return a value for a Text that says which stocks: all, a few by name, more by number."""
    if symbols is None:
        return word(gettext_noop("all stocks"))
    if len(symbols) <= 3:
        return listed(symbols)
    return counted(len(symbols), "%(count)s stock", "%(count)s stocks")


def request_text(task: ImportTask) -> Text:
    """Return what the task is to do: kind, days, stocks and source."""
    kept = task.parameters
    values = {"kind": word(_KINDS[Kind(task.kind)]), "end": kept.get("end", "")}
    values["source"] = word(label_of(kept.get("source", "")))
    values["stocks"] = stocks_value(kept.get("symbols"))
    if task.kind == Kind.UPDATE or not kept.get("start"):
        return Text(gettext_noop("%(kind)s of %(stocks)s until %(end)s, source: %(source)s"), values)
    values["start"] = date.fromisoformat(kept["start"]).isoformat()
    return Text(gettext_noop("%(kind)s of %(stocks)s from %(start)s to %(end)s, source: %(source)s"), values)
