"""Lanes that die one after the other while nothing is finished: the task ends with a sentence, not as a busy one.

A stock that kills its worker is isolated (``chunks.py``). Where every stock does, or the planning, it is no stock's
fault: too little memory, or a library that does not fit.
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_noop

from importer import lifecycle, progress
from importer.models import Action, ImportTask, Status
from marketdata.texts import Text

logger = logging.getLogger(__name__)

# In a row, with nothing finished in between. An outage of the database may look like one death of every lane.
DEATHS_ALLOWED = 12
MORE_PER_LANE = 3


def deaths_allowed(lanes: int) -> int:
    """Return how many deaths in a row, with nothing finished in between, a task of ``lanes`` lanes may see."""
    return DEATHS_ALLOWED + MORE_PER_LANE * lanes


def count_deaths(task_id: UUID, deaths: int, *, lanes: int) -> None:
    """Count ``deaths`` more of the running task's ``lanes`` lanes; fail it when there are too many in a row.

    A stock that was finished since the last death, one that was listed as a failure too, starts the count anew, and
    so does a plan.
    """
    with transaction.atomic():
        task = ImportTask.objects.select_for_update().filter(pk=task_id, status=Status.RUNNING).first()
        # Whoever asked for a pause or an end gets that.
        if task is None or task.requested_action != Action.NONE:
            return
        reached = progress.sum_chunks(task_id).finished if task.planned_at else None
        in_a_row = deaths + (task.lane_deaths if reached == task.reached_at_death else 0)
        ImportTask.objects.filter(pk=task_id).update(lane_deaths=in_a_row, reached_at_death=reached)
        if in_a_row <= deaths_allowed(lanes):
            return
        text = Text(
            gettext_noop(
                "Its worker processes died %(times)s times in a row, and nothing was finished in between. The log "
                "tells what happened; often there is too little memory. Mend it, then resume: it goes on where it was."
            ),
            {"times": in_a_row},
        )
        if lifecycle.fail(task_id, text):
            logger.error("task %s failed: its lanes died %s times in a row", task_id, in_a_row)
