"""The pages about schedules. Each change is a POST that ends in a redirect: all of it works without scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from importer import schedules
from importer.callers import caller
from importer.dispatch import dispatch_soon
from importer.exceptions import BadRequest, UnknownSchedule
from importer.models import TaskSchedule
from importer.page_data import workers
from importer.page_schedule_form import DAYS, KINDS, ScheduleForm, schedule_sources
from importer.page_schedules import daily_line, line_of, schedule_page
from importer.schedule_rules import When
from importer.task_requests import Submission
from importer.task_words import request_text
from marketdata.texts import ExplainedError

# Where the form has a place for a sentence; any other problem is told above it.
_FIELDS_SHOWN = frozenset(
    ("time", "weekday", "date", "cron", "name", "symbols", "source", "start_date", "end_date", "path", "priority")
)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def all_schedules(request: HttpRequest) -> HttpResponse:
    """What runs by itself, and the form for another; the form is sent here."""
    if request.method != "POST":
        return _list_page(request, ScheduleForm())
    form = ScheduleForm.of(request.POST.dict())
    try:
        made = schedules.create(form.wish(), by=caller(request))
    except ExplainedError as error:
        return _list_page(request, form, error, status=422)
    _say_made(request, made)
    return redirect("schedules")


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The list alone, which is fetched every three seconds."""
    return render(request, "partials/schedules_live.html", {"page": schedule_page(), "workers": workers()})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """One schedule's form."""
    found = _schedule_or_404(schedule_id)
    if request.method != "POST":
        return _change_page(request, found, ScheduleForm.of_schedule(found))
    form = ScheduleForm.of(request.POST.dict())
    try:
        schedules.change(schedule_id, form.wish(), by=caller(request))
    except UnknownSchedule as error:
        raise Http404 from error
    except ExplainedError as error:
        return _change_page(request, found, form, error, status=422)
    messages.success(request, _("The schedule was changed."))
    return redirect("schedules")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Ask once more, then delete."""
    if request.method != "POST":
        return render(request, "schedule_delete.html", {"line": line_of(_schedule_or_404(schedule_id))})
    try:
        schedules.delete(schedule_id, by=caller(request))
    except UnknownSchedule as error:
        raise Http404 from error
    messages.success(request, _("The schedule was deleted."))
    return redirect("schedules")


@require_POST
def act(request: HttpRequest, schedule_id: int, action: str) -> HttpResponse:
    """Pause, resume, or run now."""
    actions: dict[str, Callable[..., Any]] = {
        "pause": schedules.pause,
        "resume": schedules.resume,
        "run": schedules.run_now,
    }
    if action not in actions:
        raise Http404
    try:
        outcome = actions[action](schedule_id, by=caller(request))
        if isinstance(outcome, Submission):
            messages.success(request, _("Started: %(task)s.") % {"task": request_text(outcome.task)})
    except UnknownSchedule as error:
        raise Http404 from error
    except ExplainedError as error:
        messages.error(request, str(error))
    dispatch_soon()
    return redirect("data" if request.POST.get("back") == "data" else "schedules")


@require_POST
def daily(request: HttpRequest) -> HttpResponse:
    """Turn the daily update on: an update of all stocks on every trading day at 16:30."""
    present = daily_line()
    try:
        if present is None:
            _say_made(request, schedules.create(ScheduleForm().wish(), by=caller(request)))
        elif present.schedule.paused:
            schedules.resume(present.schedule.pk, by=caller(request))
    except ExplainedError as error:
        messages.error(request, str(error))
    return redirect("schedules" if request.POST.get("back") == "schedules" else "data")


def _say_made(request: HttpRequest, made: schedules.Made) -> None:
    line = line_of(made.schedule)
    if made.existing:
        messages.info(request, _("The same schedule is there already."))
    else:
        messages.success(request, _("Added: %(when)s.") % {"when": line.when})


def _list_page(
    request: HttpRequest, form: ScheduleForm, error: ExplainedError | None = None, status: int = 200
) -> HttpResponse:
    context = {"page": schedule_page(), "workers": workers(), **_form_context(form, error)}
    return render(request, "schedules.html", context, status=status)


def _change_page(
    request: HttpRequest,
    found: TaskSchedule,
    form: ScheduleForm,
    error: ExplainedError | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"line": line_of(found), "workers": workers(), **_form_context(form, error)}
    return render(request, "schedule.html", context, status=status)


def _form_context(form: ScheduleForm, error: ExplainedError | None) -> dict[str, Any]:
    return {
        "form": form,
        "whens": When.choices,
        "kinds": KINDS,
        "days": DAYS,
        "sources": schedule_sources(form),
        "problem": str(error) if error is not None else "",
        "problem_field": error.field if isinstance(error, BadRequest) and error.field in _FIELDS_SHOWN else "",
    }


def _schedule_or_404(schedule_id: int) -> TaskSchedule:
    try:
        return schedules.get_schedule(schedule_id)
    except UnknownSchedule as error:
        raise Http404 from error
