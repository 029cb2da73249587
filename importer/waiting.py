"""A task whose every source rests: it stays running, says until when, and burns no stock."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_noop

from importer.models import ImportTask, Status
from marketdata.texts import Text, moment


def wait_for_sources(task_id: UUID, until: datetime) -> None:
    """Note until when the running task waits; its lanes are rung again then."""
    text = Text(gettext_noop("Every source rests after refusing requests; next try at %(at)s."), {"at": moment(until)})
    ImportTask.objects.filter(pk=task_id, status=Status.RUNNING).update(
        waiting_until=until, message_id=text.msgid, message_values=dict(text.values)
    )


def stop_waiting(task_id: UUID) -> None:
    """Take the note back: the time has come, or somebody closed the breaker."""
    ImportTask.objects.filter(pk=task_id).update(waiting_until=None)
