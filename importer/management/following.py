"""Commands that make a task and follow it: what ``import_bars``, ``update_bars`` and ``repair_bars`` share."""

from __future__ import annotations

import getpass
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from importer import progress
from importer.dispatch import dispatch_soon, next_pending_task
from importer.exceptions import BadRequest, ImporterError
from importer.hosts import live_workers
from importer.lifecycle import get_task
from importer.management.base import Exit, ExplainingCommand, sigterm_as_ctrl_c, whole_number
from importer.management.display import Display, Sight, display_for
from importer.management.inline import InlineWork
from importer.models import FINISHED, ImportTask, Kind, Status
from importer.storage_trouble import storage_errors
from importer.task_requests import Submission, build_request, submit
from importer.task_words import request_text, state_text

LOOK_EVERY = 0.5
# Looked at less often than the task: whether somebody works at all.
WORKERS_EVERY = 3.0


class NoWorkers(ImporterError):
    """Nobody would do what is asked for."""

    code = "no_workers"
    default_msgid = gettext_noop(
        "No worker is alive, so nobody would do the work, and nothing was started. Start the workers with "
        "`python manage.py serve`, or do the work in this process with --inline."
    )


class FollowingCommand(ExplainingCommand):
    """Makes a task and follows it to its end; ``kind`` says which, ``options`` which of its parts can be chosen."""

    kind: ClassVar[Kind]
    with_dates = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        if self.with_dates:
            parser.add_argument("--start", metavar="DATE", help=_("first day, as 2021-01-01"))
            parser.add_argument("--end", metavar="DATE", help=_("last day (default: the newest finished trading day)"))
        parser.add_argument(
            "--symbols", metavar="S,...", help=_("only these stocks, as 600519,000001.SZ (default: all)")
        )
        parser.add_argument(
            "--source",
            metavar="NAME",
            help=_("where the bars come from (default: %(source)s)") % {"source": settings.SOURCE},
        )
        parser.add_argument("--path", metavar="DIR", help=_("the folder or file of a source that reads files"))
        parser.add_argument(
            "--priority",
            type=whole_number,
            default=0,
            metavar="N",
            help=_("-10 to 10; a task of higher priority goes first (default: 0)"),
        )
        parser.add_argument("--lanes", type=whole_number, metavar="N", help=_("how many lanes work at once, at most"))
        parser.add_argument("--refresh", action="store_true", help=_("fetch again what is stored"))
        parser.add_argument("--detach", action="store_true", help=_("print the task's id and return at once"))
        parser.add_argument(
            "--inline", action="store_true", help=_("do the work in this process; no running workers are needed")
        )

    def run(self, **options: Any) -> int:
        """Check the request, make the task or find the one like it, and follow it.

        Nothing is changed before everything was checked. Raises BadRequest, EmptyDatabase, MixedOrigins, NoWorkers.
        """
        if options["detach"] and options["inline"]:
            raise BadRequest(
                "inline", gettext_noop("--inline works in this process and --detach leaves it: choose one of the two.")
            )
        request = build_request(
            self.kind,
            start=options.get("start"),
            end=options.get("end"),
            symbols=options["symbols"],
            source=options["source"],
            path=options["path"],
            refresh=options["refresh"],
            priority=options["priority"],
            lanes=options["lanes"],
            trusted_path=True,
        )
        if not options["inline"] and not live_workers():
            raise NoWorkers
        submission = submit(request, by=asker())
        if options["detach"]:
            return self._detach(submission)
        self._introduce(submission)
        if options["inline"]:
            return self._work(submission)
        dispatch_soon()
        return self._follow(submission.task.pk)

    def _detach(self, submission: Submission) -> int:
        dispatch_soon()
        for line in _introduction(submission):
            self.stderr.write(line, lambda text: text)
        self.stdout.write(str(submission.task.pk))
        return Exit.OK

    def _introduce(self, submission: Submission) -> None:
        for line in _introduction(submission):
            self.stdout.write(line)
        self.stdout.flush()

    def _follow(self, task_id: UUID) -> int:
        """Show the task until it has ended; Ctrl-C (or SIGTERM) leaves it alone."""
        try:
            with sigterm_as_ctrl_c(), display_for(self.stdout) as display:
                task = Follower(task_id, display).follow()
        except KeyboardInterrupt:
            self.stdout.write(
                _(
                    "No longer following: the import goes on in the background. "
                    "Cancel it with: python manage.py import_tasks cancel %(id)s"
                )
                % {"id": task_id}
            )
            return Exit.DETACHED
        return self._conclude(task)

    def _work(self, submission: Submission) -> int:
        """Do the work in this process; Ctrl-C and SIGTERM stop it between two stocks, a second one at once."""
        with display_for(self.stdout) as display, InlineWork(submission, display) as work:
            task = Follower(submission.task.pk, display, inline=True).follow(work.has_ended)
        work.raise_error()
        return self._conclude(task)

    def _conclude(self, task: ImportTask) -> int:
        """Write the final line, and what to do about failures; return the exit status."""
        command = f"python manage.py import_tasks %s {task.pk}"
        values = {"id": task.pk, "percent": task.progress, "resume": command % "resume", "show": command % "show"}
        if task.status not in FINISHED:
            if task.status == Status.PAUSED:
                text = _("Paused at %(percent)s %%. Resume it with: %(resume)s") % values
            else:
                text = (
                    _(
                        "Stopped at %(percent)s %%. It goes on where it was when the same command is given again, "
                        "or the workers are started with `python manage.py serve`."
                    )
                    % values
                )
            self.stdout.write(text)
            return Exit.DETACHED
        self.stdout.write(task.message)
        if task.status == Status.CANCELLED:
            return Exit.CANCELLED
        if task.failed:
            retry = command % "retry"
            hint = _("Why they failed: %(show)s · try them again: %(retry)s") % {**values, "retry": retry}
            self.stdout.write(hint)
        elif task.failures.exists():
            self.stdout.write(_("There are findings: %(show)s") % values)
        if task.status == Status.FAILED:
            return Exit.FAILED
        return Exit.WITH_FAILURES if task.failed else Exit.OK


class Follower:
    """Looks at a task twice a second and shows it."""

    def __init__(self, task_id: UUID, display: Display, *, inline: bool = False) -> None:
        self._task_id = task_id
        self._display = display
        self._inline = inline
        self._somebody_works = True
        self._look_for_workers_at = 0.0

    def follow(self, gave_up: Callable[[], bool] = lambda: False) -> ImportTask:
        """Return the task when it has ended, or the work on it has (``gave_up``).

        An outage of the database is said once, and waited for. Raises UnknownTask when somebody deleted the task.
        """
        out_of_reach = False
        while True:
            over = gave_up()
            try:
                task = get_task(self._task_id)
                if over or task.status in FINISHED:
                    return task
                self._display.show(self._sight(task))
                out_of_reach = False
            except storage_errors() as error:
                if over:
                    raise
                if not out_of_reach:
                    self._display.say(_("The database does not answer (%(error)s); trying again.") % {"error": error})
                out_of_reach = True
                close_old_connections()
            time.sleep(LOOK_EVERY)

    def _sight(self, task: ImportTask) -> Sight:
        state, sentence = str(state_text(task)), progress.of_task(task).message
        if task.status == Status.PAUSED:
            resume = f"python manage.py import_tasks resume {task.pk}"
            sentence = _("Paused. Go on with: %(command)s") % {"command": resume}
        elif task.status == Status.PENDING and (before := _task_before(task)) is not None:
            sentence = _("Waiting: %(request)s goes first (task %(id)s, %(state)s).") % {
                "request": request_text(before),
                "id": before.pk,
                "state": state_text(before),
            }
            state = str(before.pk)
        elif task.status == Status.RUNNING and task.requested_action:
            sentence = state
        if task.status in (Status.PENDING, Status.RUNNING) and not self._is_worked_on():
            sentence = _("No worker is alive; it goes on when they are started: python manage.py serve")
            state = sentence
        return Sight(task.progress, state, sentence)

    def _is_worked_on(self) -> bool:
        if self._inline:
            return True
        if time.monotonic() >= self._look_for_workers_at:
            self._look_for_workers_at = time.monotonic() + WORKERS_EVERY
            self._somebody_works = live_workers() > 0
        return self._somebody_works


def asker() -> str:
    """Return who gives this command, for the task's history."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that nobody named.
        user = "?"
    return f"{user}@{socket.gethostname()} (manage.py)"


def _introduction(submission: Submission) -> Iterator[str]:
    values = {"request": request_text(submission.task), "id": submission.task.pk, "state": state_text(submission.task)}
    if submission.existing:
        yield _("The same request is there already (%(state)s): %(request)s. It is task %(id)s.") % values
    else:
        yield _("Task %(id)s: %(request)s.") % values
    if submission.note is not None:
        yield str(submission.note)


def _task_before(task: ImportTask) -> ImportTask | None:
    running = ImportTask.objects.filter(status=Status.RUNNING).first()
    first = running or next_pending_task()
    return first if first is not None and first.pk != task.pk else None
