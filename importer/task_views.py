"""The pages about tasks: all of them, one of them, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from importer import lifecycle
from importer.api_paths import told_path
from importer.callers import caller
from importer.dispatch import dispatch_soon
from importer.exceptions import UnknownTask
from importer.models import FINISHED, Failure, ImportTask, Kind, Status
from importer.page_data import NEWS_FOR, card_of, failure_lines, lanes_of, per_source, workers
from importer.page_words import asker_text, code_text, spoken_text
from importer.task_requests import Submission, retry
from importer.views import SEEN_COOKIE
from marketdata.texts import ExplainedError

TASKS_PER_PAGE = 50
FAILURES_PER_PAGE = 100
# htmx stops asking when it is answered so.
STOP_POLLING = 286


@never_cache
@require_GET
def tasks(request: HttpRequest) -> HttpResponse:
    """Every task, newest first; filtered by kind, state and day."""
    return render(request, "tasks.html", {**_task_list(request), "kinds": Kind.choices, "states": Status.choices})


@never_cache
@require_GET
def tasks_live(request: HttpRequest) -> HttpResponse:
    """The list alone, which is fetched every three seconds."""
    return render(request, "partials/tasks_live.html", _task_list(request))


@never_cache
@require_GET
def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """One task: parameters, times, figures, failures with reasons, its history."""
    return render(request, "task.html", _task_page(request, _task_or_404(task_id)))


@never_cache
@require_GET
def task_live(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """The parts of a task's page that are fetched every three seconds, until it has ended for good."""
    found = _task_or_404(task_id)
    ended = found.status in (Status.COMPLETED, Status.CANCELLED)
    return render(request, "partials/task_live.html", _task_page(request, found), status=STOP_POLLING if ended else 200)


@never_cache
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Ask once more, then cancel."""
    if request.method == "GET":
        return render(
            request, "cancel.html", {"card": card_of(_task_or_404(task_id)), "back": request.GET.get("back", "")}
        )
    return _acted(request, lifecycle.cancel, task_id)


@require_POST
def act(request: HttpRequest, task_id: UUID, action: str) -> HttpResponse:
    """Pause, resume, retry, or let a waiting task go first; or dismiss the news that it has ended."""
    if action == "seen":
        return _dismissed(task_id)
    actions: dict[str, Callable[..., Any]] = {
        "pause": lifecycle.pause,
        "resume": lifecycle.resume,
        "retry": retry,
        "first": _put_first,
    }
    if action not in actions:
        raise Http404
    return _acted(request, actions[action], task_id)


def _put_first(task_id: UUID, *, by: str) -> ImportTask:
    """Give a waiting task a higher priority than any other; the running one steps aside for it."""
    found = lifecycle.get_task(task_id)
    others = ImportTask.objects.filter(status__in=(Status.PENDING, Status.RUNNING)).exclude(pk=task_id)
    highest = others.order_by("-priority").first()
    if highest is None or highest.priority < found.priority:
        return found
    return lifecycle.set_priority(task_id, highest.priority + 1, by=by)


def _dismissed(task_id: UUID) -> HttpResponse:
    response = redirect("data")
    response.set_cookie(
        SEEN_COOKIE, str(task_id), max_age=NEWS_FOR, httponly=True, samesite="Lax", secure=settings.HTTPS
    )
    return response


def _acted(request: HttpRequest, action: Callable[..., Any], task_id: UUID) -> HttpResponse:
    shown = task_id
    try:
        outcome = action(task_id, by=caller(request))
        if isinstance(outcome, Submission):
            shown = outcome.task.pk
    except UnknownTask as error:
        raise Http404 from error
    except ExplainedError as error:
        messages.error(request, str(error))
    dispatch_soon()
    if "task" in (request.POST.get("back"), request.GET.get("back")):
        return redirect("task", task_id=shown)
    return redirect("data")


def _task_list(request: HttpRequest) -> dict[str, Any]:
    chosen = {name: request.GET.get(name, "") for name in ("kind", "status", "since", "until")}
    found = ImportTask.objects.order_by("-created_at")
    if chosen["kind"] in Kind.values:
        found = found.filter(kind=chosen["kind"])
    if chosen["status"] in Status.values:
        found = found.filter(status=chosen["status"])
    if (since := _day(chosen["since"])) is not None:
        found = found.filter(created_at__date__gte=since)
    if (until := _day(chosen["until"])) is not None:
        found = found.filter(created_at__date__lte=until)
    page = Paginator(found, TASKS_PER_PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    return {
        "cards": [card_of(each) for each in page],
        "page": page,
        "chosen": chosen,
        "query": query.urlencode(),
        "workers": workers(),
    }


def _task_page(request: HttpRequest, found: ImportTask) -> dict[str, Any]:
    failures = Failure.objects.filter(task=found).order_by("finding", "id")
    by_reason = failures.order_by().values("code", "finding").annotate(count=Count("pk")).order_by("finding", "-count")
    code = request.GET.get("code", "")
    if code:
        failures = failures.filter(code=code)
    page = Paginator(failures, FAILURES_PER_PAGE).get_page(request.GET.get("page"))
    return {
        "card": card_of(found),
        "spoken": spoken_text(found),
        "told_path": told_path(found.parameters.get("path")),
        "lanes": lanes_of(found),
        "sources": per_source(found),
        "polled": found.status not in (Status.COMPLETED, Status.CANCELLED),
        "is_over": found.status in FINISHED,
        "failures": page,
        "lines": failure_lines(found, page),
        "code": code,
        "by_reason": [{**row, "words": code_text(row["code"])} for row in by_reason],
        "transitions": [{"change": each, "by": asker_text(each.by)} for each in found.transitions.all()],
        "asker": asker_text(found.requested_by),
        "workers": workers(),
    }


def _task_or_404(task_id: UUID) -> ImportTask:
    try:
        return lifecycle.get_task(task_id)
    except UnknownTask as error:
        raise Http404 from error


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
