"""What can go wrong with an import. Errors of a source itself are in ``sources/base.py``."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from marketdata.texts import ExplainedError


class ImporterError(ExplainedError):
    code = "importer_error"


class BadRequest(ImporterError):
    """A request that cannot be a task; ``field`` names the part that is wrong."""

    code = "bad_request"

    def __init__(self, field: str, msgid: str, /, **values: object) -> None:
        super().__init__(msgid, **values)
        self.field = field


class EmptyDatabase(ImporterError):
    code = "empty_database"
    default_msgid = gettext_noop("There are no bars to update yet. Start a full import first.")


class UnknownTask(ImporterError):
    code = "unknown_task"
    default_msgid = gettext_noop("There is no task %(task)s.")


class UnknownSchedule(ImporterError):
    code = "unknown_schedule"
    default_msgid = gettext_noop("There is no schedule %(schedule)s.")


class NotAllowedNow(ImporterError):
    """An action that the task's state does not allow."""

    code = "not_allowed_now"
    default_msgid = gettext_noop("The task is %(status)s: %(action)s is not possible.")


class NothingToRetry(ImporterError):
    code = "nothing_to_retry"
    default_msgid = gettext_noop("Nothing failed in this task, so there is nothing to retry.")


class LostLease(ImporterError):
    """Another lane has taken over: what this one was about to write is not written."""

    code = "lost_lease"
    default_msgid = gettext_noop("Lane %(lane)s lost its lease; its work is done by another one.")


class StopRequested(Exception):
    """The lane has to yield: the process stops, or the task is to be paused, cancelled or to step aside.

    Not an error of any stock. Derives from nothing that AKShare or requests catches.
    """
