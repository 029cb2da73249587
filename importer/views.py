"""The pages about data and tasks. Each change is a POST that ends in a redirect: all of it works without scripts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from importer import estimate as estimates
from importer import lifecycle
from importer.dispatch import dispatch_soon
from importer.exceptions import BadRequest, UnknownTask
from importer.models import Failure, ImportTask, Kind, Status
from importer.page_data import card_of, data_page, lanes_of
from importer.page_forms import RANGES, ImportForm, source_choices
from importer.task_requests import retry, submit
from marketdata.texts import ExplainedError

TASKS_PER_PAGE = 50
FAILURES_PER_PAGE = 100
# Where the form has a place for a sentence; any other problem is told above it.
_FIELDS_SHOWN = frozenset({"start_date", "end_date", "symbols", "source"})


@never_cache
@require_GET
def data(request: HttpRequest) -> HttpResponse:
    """The data page."""
    return _data_page(request, ImportForm.of({}))


@never_cache
@require_GET
def live(request: HttpRequest) -> HttpResponse:
    """The part of the data page that is fetched every three seconds; it holds no inputs."""
    return render(request, "partials/live.html", {"page": data_page()})


@never_cache
@require_GET
def estimate(request: HttpRequest) -> HttpResponse:
    """What the import would take that the form describes now."""
    form = ImportForm.of(request.GET.dict())
    return render(request, "partials/estimate.html", _estimated(form))


@require_POST
def start(request: HttpRequest, kind: str) -> HttpResponse:
    """Start an import or an update; bad input shows the page again, with the sentence at its field."""
    form = ImportForm.of(request.POST.dict())
    try:
        wanted = form.request(Kind(kind))
        estimates.check_space(wanted)
        submission = submit(wanted, by=_caller(request))
    except ExplainedError as error:
        return _data_page(request, form, error, status=422)
    dispatch_soon()
    if submission.existing:
        messages.info(request, _("The same request was already there: this is its task."))
    if submission.note is not None:
        messages.info(request, str(submission.note))
    return redirect("data")


@never_cache
@require_GET
def tasks(request: HttpRequest) -> HttpResponse:
    """Every task, newest first; filtered by kind, state and day."""
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
    context = {
        "cards": [card_of(each) for each in page],
        "page": page,
        "chosen": chosen,
        "kinds": Kind.choices,
        "states": Status.choices,
        "query": query.urlencode(),
    }
    return render(request, "tasks.html", context)


@never_cache
@require_GET
def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """One task: parameters, times, figures, failures with reasons, its history."""
    found = _task_or_404(task_id)
    failures = Failure.objects.filter(task=found).order_by("finding", "id")
    context = {
        **_task_live(found),
        "failures": Paginator(failures, FAILURES_PER_PAGE).get_page(request.GET.get("page")),
        "by_reason": failures.order_by().values("code", "finding").annotate(count=Count("pk")).order_by("-count"),
        "transitions": found.transitions.all(),
    }
    return render(request, "task.html", context)


@never_cache
@require_GET
def task_live(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """The part of a task's page that is fetched every three seconds."""
    return render(request, "partials/task_live.html", _task_live(_task_or_404(task_id)))


@never_cache
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Ask once more, then cancel."""
    if request.method == "GET":
        return render(request, "cancel.html", {"card": card_of(_task_or_404(task_id))})
    return _acted(request, lifecycle.cancel, task_id)


@require_POST
def act(request: HttpRequest, task_id: UUID, action: str) -> HttpResponse:
    """Pause, resume, retry, or let a waiting task go first."""
    if action == "pause":
        return _acted(request, lifecycle.pause, task_id)
    if action == "resume":
        return _acted(request, lifecycle.resume, task_id)
    if action == "retry":
        return _acted(request, retry, task_id)
    if action == "first":
        return _acted(request, _put_first, task_id)
    raise Http404


def _put_first(task_id: UUID, *, by: str) -> ImportTask:
    highest = ImportTask.objects.filter(status__in=(Status.PENDING, Status.RUNNING)).order_by("-priority").first()
    return lifecycle.set_priority(task_id, (highest.priority if highest else 0) + 1, by=by)


def _acted(request: HttpRequest, action: Callable[..., Any], task_id: UUID) -> HttpResponse:
    try:
        action(task_id, by=_caller(request))
    except UnknownTask as error:
        raise Http404 from error
    except ExplainedError as error:
        messages.error(request, str(error))
    dispatch_soon()
    if request.POST.get("back") == "task":
        return redirect("task", task_id=task_id)
    return redirect("data")


def _data_page(
    request: HttpRequest, form: ImportForm, error: ExplainedError | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "page": data_page(),
        "form": form,
        "ranges": RANGES.items(),
        "sources": source_choices(),
        "problem": str(error) if error is not None else "",
        "problem_field": error.field if isinstance(error, BadRequest) and error.field in _FIELDS_SHOWN else "",
        **_estimated(form),
    }
    return render(request, "data.html", context, status=status)


def _estimated(form: ImportForm) -> dict[str, Any]:
    try:
        return {"estimate": estimates.estimate(form.request(Kind.IMPORT)), "estimate_problem": ""}
    except ExplainedError as error:
        return {"estimate": None, "estimate_problem": str(error)}


def _task_live(found: ImportTask) -> dict[str, Any]:
    return {"card": card_of(found), "lanes": lanes_of(found)}


def _task_or_404(task_id: UUID) -> ImportTask:
    try:
        return lifecycle.get_task(task_id)
    except UnknownTask as error:
        raise Http404 from error


def _caller(request: HttpRequest) -> str:
    name = request.user.get_username()[:40] if request.user.is_authenticated else ""
    address = request.META.get("REMOTE_ADDR", "")
    return f"page: {name}, {address}" if name else f"page: {address}"


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
