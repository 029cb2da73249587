"""``python manage.py schedules``: list what runs by itself; add, change, pause, resume, run, delete."""

from __future__ import annotations

import logging
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date, datetime, time
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importer import schedules
from importer.dispatch import dispatch_soon
from importer.hosts import live_workers
from importer.management.base import Exit, ExplainingCommand, whole_number
from importer.management.following import asker
from importer.management.tables import table_lines
from importer.models import Kind, TaskSchedule
from importer.schedule_orders import order_of
from importer.schedule_rules import USUAL_TIME, When
from importer.schedule_words import WEEKDAYS, last_text, note_text, order_text, rule_text, upcoming
from importer.task_words import request_text
from marketdata.trading_days import known_calendar


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Lists what runs by itself, or adds, changes, pauses, resumes, runs or deletes one. Times are exchange time "
        "(Asia/Shanghai). ID is the number in the list."
    )
    examples = (
        ("schedules", gettext_lazy("what runs by itself, and when")),
        ("schedules add update", gettext_lazy("an update on every trading day at 16:30")),
        ("schedules add repair --weekly saturday --at 09:00", gettext_lazy("a repair every Saturday morning")),
        ("schedules add import --once 2027-01-04 --at 20:00", gettext_lazy("a full import on one evening")),
        ('schedules add update --cron "0 17 * * 1-5"', gettext_lazy("for those who know cron")),
        ("schedules change 3 --at 17:00", gettext_lazy("later on the same days")),
        ("schedules run 3", gettext_lazy("now; the next run stays where it is")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", title=_("actions"))
        actions.add_parser("list", help=_("list the schedules (the default)"))
        add = actions.add_parser("add", help=_("add a schedule"))
        add.add_argument("kind", choices=Kind.values, metavar="KIND", help=_("update, repair or import"))
        _add_options(add)
        add.add_argument("--paused", action="store_true", help=_("it rests until it is resumed"))
        change = _with_id(actions.add_parser("change", help=_("change a schedule")))
        change.add_argument("--kind", choices=Kind.values, help=_("what it runs"))
        _add_options(change)
        _with_id(actions.add_parser("pause", help=_("let a schedule rest until it is resumed")))
        _with_id(actions.add_parser("resume", help=_("let a paused schedule run again, from now on")))
        _with_id(actions.add_parser("run", help=_("start what it runs, now")))
        _with_id(actions.add_parser("delete", help=_("delete a schedule; a task that it started goes on")))

    def run(self, **options: Any) -> int:
        # What was done is the command's own answer; the log of the server has it for those who come later.
        logging.getLogger(schedules.__name__).setLevel(logging.WARNING)
        action = options["action"] or "list"
        by = asker()
        if action == "list":
            self._list(list(schedules.all_schedules()))
        elif action == "add":
            self._add(_wish(options), paused=options["paused"], by=by)
        elif action == "change":
            self._say(schedules.change(options["id"], _wish(options), by=by))
        elif action == "pause":
            self._say(schedules.pause(options["id"], by=by))
        elif action == "resume":
            self._say(schedules.resume(options["id"], by=by))
        elif action == "run":
            self._run(options["id"], by)
        else:
            schedules.delete(options["id"], by=by)
            self.stdout.write(_("Schedule %(id)s is deleted.") % {"id": options["id"]})
        return Exit.OK

    def _add(self, wish: dict[str, Any], *, paused: bool, by: str) -> None:
        if "when" not in wish:
            wish["when"] = When.TRADING_DAY
        if wish["when"] != When.CRON:
            wish.setdefault("time", USUAL_TIME)
        made = schedules.create(wish, paused=paused, by=by)
        if made.existing:
            self.stdout.write(_("The same schedule is there already."))
        self._say(made.schedule)
        if not made.existing and not live_workers():
            self.stdout.write(_("It runs while the workers do: python manage.py serve"))

    def _run(self, schedule_id: str, by: str) -> None:
        submission = schedules.run_now(schedule_id, by=by)
        dispatch_soon()
        values = {"id": submission.task.pk, "request": request_text(submission.task)}
        self.stdout.write(_("Task %(id)s: %(request)s.") % values)

    def _say(self, schedule: TaskSchedule) -> None:
        self._list([schedule])
        note = note_text(schedule.rule, order_of(schedule))
        if note is not None:
            self.stdout.write(str(note))

    def _list(self, found: list[TaskSchedule]) -> None:
        if not found:
            self.stdout.write(
                _("Nothing runs by itself. An update on every trading day: python manage.py schedules add update")
            )
            return
        now, calendar, workers = timezone.now(), known_calendar(), live_workers()
        rows: list[tuple[object, ...]] = [(_("id"), _("when"), _("what"), _("next run"), _("last run"))]
        for each in found:
            what = f"{each.name} ({order_text(order_of(each))})" if each.name else order_text(order_of(each))
            following = upcoming(each, now, calendar, workers=workers)
            rows.append((each.pk, rule_text(each.rule), what, following.words, last_text(each)))
        for line in table_lines(rows):
            self.stdout.write(line)


def _wish(options: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, by the names that ``schedules`` knows."""
    given: dict[str, Any] = {}
    if options["trading_days"]:
        given["when"] = When.TRADING_DAY
    elif options["weekly"] is not None:
        given.update(when=When.WEEKLY, weekday=options["weekly"])
    elif options["once"] is not None:
        given.update(when=When.ONCE, date=options["once"])
    elif options["cron"] is not None:
        given.update(when=When.CRON, cron=options["cron"])
    names = {
        "at": "time", "kind": "kind", "name": "name", "symbols": "symbols", "source": "source", "start": "start_date",
        "end": "end_date", "path": "path", "refresh": "refresh", "priority": "priority",
    }  # fmt: skip
    given.update({name: options[option] for option, name in names.items() if options[option] is not None})
    for name in ("symbols", "source", "start_date", "end_date", "path"):
        # Nothing in quotes takes a part away again.
        if given.get(name) == "":
            given[name] = None
    return given


def _add_options(parser: ArgumentParser) -> None:
    when = parser.add_mutually_exclusive_group()
    when.add_argument(
        "--trading-days", action="store_true", help=_("on every day on which the exchange is open (default)")
    )
    when.add_argument("--weekly", type=_weekday, metavar="DAY", help=_("every week on this day: saturday, or 6"))
    when.add_argument("--once", type=_date, metavar="DATE", help=_("once, on this day, as 2027-01-04"))
    when.add_argument("--cron", metavar="EXPR", help=_("minute, hour, day, month, weekday, as “30 16 * * 1-5”"))
    parser.add_argument("--at", type=_time, metavar="HH:MM", help=_("exchange time (default: 16:30)"))
    parser.add_argument("--name", metavar="TEXT", help=_("what it is called in lists"))
    parser.add_argument("--symbols", metavar="S,...", help=_("only these stocks, as 600519,000001.SZ (default: all)"))
    parser.add_argument("--source", metavar="NAME", help=_("where the bars come from (default: the usual one)"))
    parser.add_argument("--start", type=_date_or_nothing, metavar="DATE", help=_("first day, as 2021-01-01"))
    parser.add_argument(
        "--end",
        type=_date_or_nothing,
        metavar="DATE",
        help=_("last day (default: the newest finished trading day of each run)"),
    )
    parser.add_argument("--path", metavar="DIR", help=_("a folder below the one that BARVAULT_FILES_ROOT names"))
    parser.add_argument("--refresh", action="store_const", const=True, help=_("fetch again what is stored"))
    parser.add_argument(
        "--priority", type=whole_number, metavar="N", help=_("-10 to 10; a task of higher priority goes first")
    )


def _with_id(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("id", metavar="ID", help=_("the schedule's number"))
    return parser


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007
    except ValueError:
        raise ArgumentTypeError(_("“%(value)s” is not a time of day. Write it as 16:30.") % {"value": text}) from None


def _date(text: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(_("“%(value)s” is not a date. Write it as 2024-12-25.") % {"value": text}) from None


def _date_or_nothing(text: str) -> date | str:
    return _date(text) if text else ""


def _weekday(text: str) -> int:
    for number, name in enumerate(map(str.lower, WEEKDAYS), 1):
        if text.lower() in (str(number), name, name[:3]):
            return number
    raise ArgumentTypeError(_("“%(text)s” is not a weekday. Write it as saturday, or 6.") % {"text": text})
