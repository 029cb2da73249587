"""``python manage.py import_tasks``: list the tasks, look at one, act on one."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from datetime import time as time_of_day
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from importer import lifecycle, task_requests
from importer.dbtime import db_now
from importer.dispatch import dispatch_soon
from importer.exceptions import BadRequest
from importer.finding_tasks import find_task
from importer.history import Wanted, tasks_of
from importer.management.base import Exit, ExplainingCommand, whole_number
from importer.management.following import asker
from importer.management.task_listing import detail_lines, list_lines
from importer.models import ImportTask, Kind, Status
from importer.retention import clear_before
from importer.task_requests import as_date
from importer.task_words import request_text, state_text
from marketdata.trading_days import EXCHANGE_TIME

ACTIONS = {"cancel": lifecycle.cancel, "pause": lifecycle.pause, "resume": lifecycle.resume}
LISTED = 20
# What was asked takes effect between two stocks; nobody should wait for longer than a request may take.
EFFECT_WITHIN = 15.0
LOOK_EVERY = 0.3


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Lists the tasks, shows one of them, or acts on one. ID is a task's id or its first characters."
    )
    examples = (
        ("import_tasks", gettext_lazy("the newest tasks")),
        ("import_tasks show 1a2b3c4d", gettext_lazy("everything about one task, with the reasons of its failures")),
        ("import_tasks cancel 1a2b3c4d", gettext_lazy("stop it; what was stored stays")),
        ("import_tasks retry 1a2b3c4d", gettext_lazy("a new task for exactly the stocks that failed")),
        ("import_tasks clear --before 2026-01-01", gettext_lazy("forget old tasks; the bars stay")),
        ("import_tasks priority 1a2b3c4d 5", gettext_lazy("let it go before tasks of lower priority")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", title=_("actions"))
        listing = actions.add_parser("list", help=_("list the newest tasks (the default)"))
        listing.add_argument("--limit", type=whole_number, default=LISTED, metavar="N", help=_("how many at most"))
        listing.add_argument("--status", choices=Status.values, help=_("only tasks in this state"))
        listing.add_argument("--kind", choices=Kind.values, help=_("only tasks of this kind"))
        listing.add_argument("--source", metavar="NAME", help=_("only tasks that were to ask this source"))
        listing.add_argument("--by", metavar="TEXT", help=_("only of whom this is a part, such as schedule or a name"))
        listing.add_argument("--since", metavar="DATE", help=_("only tasks that were created on this day or later"))
        listing.add_argument("--until", metavar="DATE", help=_("only tasks that were created on this day or before"))
        show = _with_id(actions.add_parser("show", help=_("everything about one task")))
        show.add_argument("--all", action="store_true", help=_("list every failure, not only the first twenty"))
        _with_id(actions.add_parser("cancel", help=_("stop a task for good; what was stored stays")))
        _with_id(actions.add_parser("pause", help=_("let a task rest until it is resumed")))
        _with_id(actions.add_parser("resume", help=_("go on with a paused or failed task where it was")))
        _with_id(actions.add_parser("retry", help=_("make a new task for exactly the stocks that failed")))
        clear = actions.add_parser("clear", help=_("remove tasks that ended long ago from the history; bars stay"))
        clear.add_argument(
            "--before", required=True, metavar="DATE", help=_("tasks that ended before this day (2026-01-31)")
        )
        priority = _with_id(actions.add_parser("priority", help=_("change a waiting or running task's priority")))
        priority.add_argument("priority", type=whole_number, metavar="N", help=_("-10 to 10"))

    def run(self, **options: Any) -> int:
        action = options["action"] or "list"
        if action == "list":
            self._list(options.get("limit", LISTED), _wanted(options))
            return Exit.OK
        if action == "clear":
            return self._clear(options["before"])
        task = find_task(options["id"])
        if action == "show":
            for line in detail_lines(task, db_now(), all_failures=options["all"]):
                self.stdout.write(line)
        elif action == "retry":
            self._retry(task)
        elif action == "priority":
            self._set_priority(task, options["priority"])
        else:
            self._act(task, action)
        return Exit.OK

    def _list(self, limit: int, wanted: Wanted) -> None:
        if limit < 1:
            raise BadRequest("limit", gettext_noop("--limit needs a number of at least 1."))
        found = list(tasks_of(wanted)[:limit])
        if not found and wanted != Wanted():
            self.stdout.write(_("No task is like that."))
            return
        if not found:
            self.stdout.write(_("There are no tasks. Start one with: python manage.py import_bars"))
            return
        for line in list_lines(found, db_now()):
            self.stdout.write(line)

    def _clear(self, before: str) -> int:
        day = as_date("before", before)
        if day is None:
            raise BadRequest("before", gettext_noop("--before needs a day, such as 2026-01-31."))
        count = clear_before(datetime.combine(day, time_of_day(), EXCHANGE_TIME))
        words = ngettext(
            "%(count)s task that ended before %(day)s was removed. The bars stay.",
            "%(count)s tasks that ended before %(day)s were removed. The bars stay.",
            count,
        )
        self.stdout.write(words % {"count": count, "day": day.isoformat()})
        return Exit.OK

    def _act(self, task: ImportTask, action: str) -> None:
        """Ask for it, wait a moment for it to take effect, and say where the task is then."""
        task = ACTIONS[action](task.pk, by=asker())
        deadline = time.monotonic() + EFFECT_WITHIN
        while task.requested_action and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
            # When its lanes are dead nobody else may be there to carry it out.
            lifecycle.settle(task.pk)
            task = lifecycle.get_task(task.pk)
        dispatch_soon()
        task.refresh_from_db()
        self.stdout.write(_("Task %(id)s is %(state)s.") % {"id": task.pk, "state": state_text(task)})

    def _retry(self, task: ImportTask) -> None:
        submission = task_requests.retry(task.pk, by=asker())
        dispatch_soon()
        values = {"id": submission.task.pk, "request": request_text(submission.task)}
        if submission.existing:
            self.stdout.write(_("The same retry is there already: task %(id)s, %(request)s.") % values)
        else:
            self.stdout.write(_("Task %(id)s: %(request)s.") % values)

    def _set_priority(self, task: ImportTask, priority: int) -> None:
        task_requests.check_priority(priority)
        task = lifecycle.set_priority(task.pk, priority, by=asker())
        dispatch_soon()
        self.stdout.write(_("Task %(id)s has priority %(priority)s.") % {"id": task.pk, "priority": task.priority})


def _wanted(options: Mapping[str, Any]) -> Wanted:
    """Return the filters that were given; both days belong to the range, in exchange time."""
    given = {name: options[name] for name in ("kind", "status", "source", "by") if options.get(name)}
    if since := as_date("since", options.get("since")):
        given["since"] = datetime.combine(since, time_of_day(), EXCHANGE_TIME)
    if until := as_date("until", options.get("until")):
        given["until"] = datetime.combine(until, time_of_day.max, EXCHANGE_TIME)
    return Wanted(**given)


def _with_id(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("id", metavar="ID", help=_("the task's id, or its first characters"))
    return parser
