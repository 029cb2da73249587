"""The pages about tasks: all of them, one of them, and what can be done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from importer import lifecycle
from importer.api_paths import told_path
from importer.callers import caller
from importer.dispatch import dispatch_soon
from importer.exceptions import NotAllowedNow, UnknownTask
from importer.failure_words import code_text
from importer.history import Wanted, csv_lines, ended_tasks, tasks_of
from importer.history_chart import TASKS, chart_of
from importer.models import FINISHED, Failure, ImportTask, Kind, Status
from importer.page_data import NEWS_FOR, card_of, failure_lines, lanes_of, per_source, workers
from importer.page_forms import every_source
from importer.page_words import asker_text, spoken_text, way_of, ways
from importer.task_requests import Submission, retry
from importer.views import SEEN_COOKIE
from marketdata.texts import ExplainedError
from marketdata.trading_days import EXCHANGE_TIME

TASKS_PER_PAGE = 50
FAILURES_PER_PAGE = 100
# htmx stops asking when it is answered so.
STOP_POLLING = 286


@never_cache
@require_safe
def tasks(request: HttpRequest) -> HttpResponse:
    """Every task, newest first; filtered by kind, state, source, who and day; how the last ones went."""
    wanted, _chosen = _wanted(request)
    context = {
        **_task_list(request),
        "kinds": Kind.choices,
        "states": Status.choices,
        "sources": every_source(),
        "ways": ways(),
        "chart": chart_of(ended_tasks(tasks_of(wanted), TASKS)),
    }
    return render(request, "tasks.html", context)


@never_cache
@require_safe
def tasks_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The tasks of the list as a file for spreadsheets, all pages of them."""
    wanted, _chosen = _wanted(request)
    name = f"barvault-tasks-{timezone.localdate().isoformat()}.csv"
    return StreamingHttpResponse(
        csv_lines(tasks_of(wanted)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@never_cache
@require_safe
def tasks_live(request: HttpRequest) -> HttpResponse:
    """The list alone, which is fetched every three seconds."""
    return render(request, "partials/tasks_live.html", _task_list(request))


@never_cache
@require_safe
def task(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """One task: parameters, times, figures, failures with reasons, its history."""
    return render(request, "task.html", _task_page(request, _task_or_404(task_id)))


@never_cache
@require_safe
def task_live(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """The parts of a task's page that are fetched every three seconds, until it has ended for good."""
    found = _task_or_404(task_id)
    ended = found.status in (Status.COMPLETED, Status.CANCELLED)
    return render(request, "partials/task_live.html", _task_page(request, found), status=STOP_POLLING if ended else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Ask once more, then cancel."""
    if request.method != "POST":
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
    if highest.priority == lifecycle.HIGHEST_PRIORITY:
        raise NotAllowedNow(
            gettext_noop(
                "Another task has the highest priority already. Give it a lower one first: "
                "python manage.py import_tasks priority %(other)s 0"
            ),
            other=str(highest.pk),
        )
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


def _wanted(request: HttpRequest) -> tuple[Wanted, dict[str, str]]:
    """Return the filters of a list, and what was chosen as it was sent. What cannot be is left out."""
    names = ("kind", "status", "source", "by", "since", "until")
    chosen = {name: request.GET.get(name, "").replace("\0", "").strip()[:80] for name in names}
    since, until = _day(chosen["since"]), _day(chosen["until"])
    wanted = Wanted(
        kind=chosen["kind"] if chosen["kind"] in Kind.values else "",
        status=chosen["status"] if chosen["status"] in Status.values else "",
        source=chosen["source"],
        by=way_of(chosen["by"]),
        since=datetime.combine(since, time(), EXCHANGE_TIME) if since else None,
        until=datetime.combine(until, time.max, EXCHANGE_TIME) if until else None,
    )
    return wanted, chosen


def _task_list(request: HttpRequest) -> dict[str, Any]:
    wanted, chosen = _wanted(request)
    page = Paginator(tasks_of(wanted), TASKS_PER_PAGE).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    return {
        "cards": [card_of(each) for each in page],
        "page": page,
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
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
        "by_reason": [{**row, "words": code_text(row["code"])} for row in by_reason or _kept_reasons(found)],
        "transitions": [{"change": each, "by": asker_text(each.by)} for each in found.transitions.all()],
        "asker": asker_text(found.requested_by),
        "workers": workers(),
    }


def _kept_reasons(found: ImportTask) -> list[dict[str, Any]]:
    """Return how often each reason was there, from what was kept when the list itself was forgotten."""
    counts: Counter[tuple[bool, str]] = Counter()
    for row in found.summary.get("failures", ()):
        counts[row["finding"], row["code"]] += row["count"]
    order = sorted(counts.items(), key=lambda each: (each[0][0], -each[1]))
    return [{"code": code, "finding": finding, "count": count} for (finding, code), count in order]


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
