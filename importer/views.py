"""The data page. Each change is a POST that ends in a redirect: all of it works without scripts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from importer import estimate as estimates
from importer.callers import caller
from importer.dispatch import dispatch_soon
from importer.exceptions import BadRequest
from importer.models import Kind
from importer.page_data import DataPage, data_page
from importer.page_estimate import can_update, planned
from importer.page_forms import RANGES, ImportForm, source_choices
from importer.task_requests import submit
from marketdata.texts import ExplainedError

# Keeps in the browser which ended task's news was dismissed.
SEEN_COOKIE = "barvault_seen"
# Where the form has a place for a sentence; any other problem is told above it.
_FIELDS_SHOWN = frozenset({"start_date", "end_date", "symbols", "source", "path"})


@never_cache
@require_safe
def data(request: HttpRequest) -> HttpResponse:
    """The data page."""
    return _data_page(request, ImportForm.of({}))


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The parts of the data page that are fetched every three seconds; they hold no inputs."""
    return render(request, "partials/live.html", {"page": _page(request)})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def estimate(request: HttpRequest) -> HttpResponse:
    """What the form describes now and would take: alone for a script, on the whole page without one."""
    if request.method == "POST":
        return _data_page(request, ImportForm.of(request.POST.dict()))
    form = ImportForm.of(request.GET.dict())
    return render(request, "partials/estimate_live.html", {"planned": planned(form), "can_update": can_update()})


@require_http_methods(["GET", "HEAD", "POST"])
def start(request: HttpRequest, kind: str) -> HttpResponse:
    """Start an import or an update; bad input shows the page again, with the sentence at its field."""
    if request.method != "POST":
        return redirect("data")
    form = ImportForm.of(request.POST.dict())
    try:
        wanted = form.request(Kind(kind))
        estimates.check_space(wanted)
        submission = submit(wanted, by=caller(request))
    except ExplainedError as error:
        return _data_page(request, form, error, status=422)
    dispatch_soon()
    if submission.existing:
        messages.info(request, _("The same request was already there: this is its task."))
    if submission.note is not None:
        messages.info(request, str(submission.note))
    return redirect("data")


def _page(request: HttpRequest) -> DataPage:
    return data_page(seen=request.COOKIES.get(SEEN_COOKIE, ""))


def _data_page(
    request: HttpRequest, form: ImportForm, error: ExplainedError | None = None, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "page": _page(request),
        "form": form,
        "ranges": RANGES.items(),
        "sources": source_choices(),
        "problem": str(error) if error is not None else "",
        "problem_field": error.field if isinstance(error, BadRequest) and error.field in _FIELDS_SHOWN else "",
        "planned": planned(form),
        "can_update": can_update(),
    }
    return render(request, "data.html", context, status=status)
