"""Checks of who works, on what, and why something waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer import hosts as importer_hosts
from importer import pacing
from importer.belonging import misfit, misfit_text
from importer.dbtime import db_now
from importer.dispatch import next_pending_task
from importer.doctor.facts import Fact, Verdict, finding, fine
from importer.hosts import code_version, live_hosts, live_workers
from importer.models import FINISHED, Breaker, Host, ImportTask, Status
from importer.task_words import request_text
from importer.waiting import waits_for_network
from marketdata.texts import Text, counted, moment, sentence, sentences

# A lane writes every second or two; a stock's fetch may take half a minute.
SILENT_FOR = timedelta(seconds=60)
STARTS_WITHIN = timedelta(seconds=15)


def belonging() -> Iterator[Fact]:
    """This machine may work on the database: it has its secret key, and no older code."""
    problem = misfit_text(misfit())
    if problem is not None:
        yield Fact(Verdict.FINDING, problem)
    else:
        yield fine(gettext_noop("This machine's secret key and version are those of the database."))


def hosts() -> Iterator[Fact]:
    """Workers are alive, run this version, and no host went away without a word."""
    alive = live_hosts()
    trouble_here = importer_hosts.trouble_here(alive)
    if trouble_here:
        yield finding(gettext_noop("Host %(host)s: %(trouble)s"), host=settings.HOST_NAME, trouble=trouble_here)
    elif not alive:
        yield finding(
            gettext_noop(
                "No worker is alive: nothing is imported in the background. Start `python manage.py serve` "
                "(or `make run`), or import with --inline."
            )
        )
    for host in alive:
        yield fine(
            gettext_noop("Host %(host)s: %(workers)s workers, last sign of life at %(at)s."),
            host=host.name,
            workers=host.workers,
            at=timezone.localtime(host.seen_at).strftime("%H:%M:%S"),
        )
        if trouble := importer_hosts.trouble_of(host):
            yield finding(gettext_noop("Host %(host)s: %(trouble)s"), host=host.name, trouble=trouble)
        elif host.version and host.version != code_version():
            yield finding(
                gettext_noop(
                    "Host %(host)s runs version %(theirs)s, and this is %(ours)s. Restart its workers after an update."
                ),
                host=host.name,
                theirs=host.version,
                ours=code_version(),
            )
    silent = Host.objects.filter(pid__isnull=False).exclude(pk__in=[each.pk for each in alive])
    if trouble_here:
        silent = silent.exclude(name=settings.HOST_NAME)
    for host in silent.order_by("name"):
        yield finding(
            gettext_noop(
                "Host %(host)s was not stopped, but has given no sign of life since %(at)s. Start it again if it is to "
                "help; what it was doing is done by the others."
            ),
            host=host.name,
            at=moment(host.seen_at),
        )


def running_task() -> Iterator[Fact]:
    """A task that runs moves, or says until when it waits."""
    task = ImportTask.objects.filter(status=Status.RUNNING).first()
    if task is None:
        return
    values = {"task": str(task.pk), "request": sentence(request_text(task)), "percent": task.progress}
    last_sign = task.heartbeat_at or task.started_at or task.created_at
    if not live_workers():
        yield finding(
            gettext_noop(
                "Task %(task)s (%(request)s) stands still at %(percent)s percent because no worker is alive. It goes "
                "on where it was when they are started."
            ),
            **values,
        )
    elif waits_for_network(task):
        yield finding(
            gettext_noop("Task %(task)s (%(request)s) at %(percent)s percent waits for the network: %(reason)s"),
            **values,
            reason=sentence(Text(task.message_id, task.message_values)),
        )
    elif task.waiting_until is not None:
        yield fine(
            gettext_noop("Task %(task)s (%(request)s) at %(percent)s percent waits for its sources until %(at)s."),
            **values,
            at=moment(task.waiting_until),
        )
    elif db_now() - last_sign > SILENT_FOR:
        yield finding(
            gettext_noop(
                "Task %(task)s (%(request)s) has not moved since %(at)s although workers are alive. Look at their log; "
                "`serve` can be restarted at any time."
            ),
            **values,
            at=moment(last_sign),
        )
    else:
        yield fine(gettext_noop("Task %(task)s (%(request)s) is at %(percent)s percent."), **values)


def waiting_tasks() -> Iterator[Fact]:
    """What waits has a reason: another task, or somebody paused it."""
    running = ImportTask.objects.filter(status=Status.RUNNING).first()
    waiting = next_pending_task()
    if waiting is not None:
        values = {
            "tasks": counted(
                ImportTask.objects.filter(status=Status.PENDING).count(), "%(count)s task", "%(count)s tasks"
            ),
            "task": str(waiting.pk),
            "request": sentence(request_text(waiting)),
        }
        if running is not None:
            yield fine(
                gettext_noop("Waiting for task %(running)s: %(tasks)s; the next is %(task)s (%(request)s)."),
                **values,
                running=str(running.pk),
            )
        elif not live_workers():
            yield finding(
                gettext_noop("Waiting because no worker is alive: %(tasks)s; the next is %(task)s (%(request)s)."),
                **values,
            )
        elif db_now() - waiting.created_at > STARTS_WITHIN:
            yield finding(
                gettext_noop(
                    "Task %(task)s (%(request)s) should have started: workers are alive and nothing else runs. "
                    "Look at their log, and restart `serve`."
                ),
                **values,
            )
    for task in ImportTask.objects.filter(status=Status.PAUSED).order_by("created_at"):
        yield fine(
            gettext_noop(
                "Task %(task)s (%(request)s) is paused at %(percent)s percent. Go on with: "
                "python manage.py import_tasks resume %(task)s"
            ),
            task=str(task.pk),
            request=sentence(request_text(task)),
            percent=task.progress,
        )


def last_task() -> Iterator[Fact]:
    """The newest task that has ended did not fail."""
    task = ImportTask.objects.filter(status__in=FINISHED, finished_at__isnull=False).order_by("-finished_at").first()
    if task is not None and task.status == Status.FAILED:
        yield finding(
            gettext_noop(
                "The last task failed (%(request)s): %(message)s Go on with: "
                "python manage.py import_tasks resume %(task)s"
            ),
            request=sentence(request_text(task)),
            message={"msgid": task.message_id, "values": task.message_values},
            task=str(task.pk),
        )


def sources() -> Iterator[Fact]:
    """No source refuses us."""
    for state in pacing.states():
        if state.breaker != Breaker.CLOSED:
            said = [state.said] if state.said is not None else []
            yield finding(
                "%(reason)s. %(said)s" if said else "%(reason)s.", reason=sentence(state.reason), said=sentences(said)
            )
        elif state.refusals:
            yield fine(
                gettext_noop("%(source)s did not answer lately: %(requests)s in a row. It is asked again."),
                source=state.label,
                requests=counted(state.refusals, "%(count)s request", "%(count)s requests"),
            )
        else:
            yield fine(
                gettext_noop("%(source)s answers: %(today)s requests today."),
                source=state.label,
                today=state.requests_today,
            )
