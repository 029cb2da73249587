"""A task that waits for sources that rest: it stays running, says until when, and burns no stock."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_noop

from importer import pacing, progress
from importer.chunks import ask_again_now
from importer.dbtime import db_now
from importer.leases import IMPLAUSIBLE
from importer.models import ImportTask, Status
from marketdata.texts import Text, counted, moment, sentence, sentences

_NO_NETWORK = gettext_noop("%(reason)s The task waits, and goes on by itself as soon as one can be.")


def wait_for_sources(task_id: UUID, until: datetime) -> None:
    """Note until when the running task waits; its lanes are rung again then."""
    text = Text(gettext_noop("Every source rests; next try at %(at)s."), {"at": moment(until)})
    _note(task_id, until, _with_its_cause(text))


def wait_for_network(task_id: UUID, until: datetime, reason: Text) -> None:
    """Note that the running task waits until this machine reaches a data site; it looks again at ``until``."""
    # Without the time of each look: the page and the terminal say it once, and not every twenty seconds.
    _note(task_id, until, Text(_NO_NETWORK, {"reason": sentence(reason)}))


def wait_for_list(task_id: UUID, until: datetime, reasons: Text) -> None:
    """Note until when the running task waits because the list of stocks is not to be had, and why."""
    text = Text(
        gettext_noop("The list of stocks is not to be had yet: %(reasons)s Next try at %(at)s."),
        {"reasons": sentence(reasons), "at": moment(until)},
    )
    _note(task_id, until, text)


def waits_for_network(task: ImportTask) -> bool:
    """Say whether the task waits because no data site can be reached from here."""
    return task.waiting_until is not None and task.message_id == _NO_NETWORK


def still_waits(task: ImportTask, now: datetime) -> bool:
    """Say whether the moment until which the task waits is still to come.

    The network is looked at again within seconds: a later moment was written before a clock was set back.
    """
    until = task.waiting_until
    if until is None or until <= now:
        return False
    return not (waits_for_network(task) and until > now + IMPLAUSIBLE)


def wait_for_stocks_put_off(task_id: UUID, until: datetime, stocks: int) -> None:
    """Note until when the running task waits for the last of its stocks, which only sources that rest may have."""
    text = Text(
        gettext_noop(
            "%(stocks)s left, which only sources that rest, or cannot be reached, may have; next try at %(at)s."
        ),
        {"stocks": counted(stocks, "%(count)s stock", "%(count)s stocks"), "at": moment(until)},
    )
    _note(task_id, until, _with_its_cause(text))


def end_waiting() -> None:
    """Have everything asked again that waits for a source: somebody says that it may be asked."""
    ask_again_now(db_now())
    ImportTask.objects.filter(status=Status.RUNNING).update(waiting_until=None)


def stop_waiting(task_id: UUID) -> None:
    """Take the note back: the time has come, or somebody closed the breaker."""
    ImportTask.objects.filter(pk=task_id).update(waiting_until=None)


def _with_its_cause(text: Text) -> Text:
    """Add what the last source said before it was left alone: a rest is the symptom, this may be what can be mended."""
    said = pacing.last_trouble()
    return text if said is None else Text("%(both)s", {"both": sentences([text, said])})


def _note(task_id: UUID, until: datetime, text: Text) -> None:
    # Nobody writes the figures while nobody works.
    progress.refresh(task_id, force=True)
    ImportTask.objects.filter(pk=task_id, status=Status.RUNNING).update(
        waiting_until=until, message_id=text.msgid, message_values=dict(text.values)
    )
