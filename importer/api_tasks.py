"""``/api/data``: start imports, watch and steer them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router

from importer import lifecycle
from importer.api_answers import answer
from importer.api_requests import (
    FailureFilter,
    ImportBody,
    NoBody,
    RepairBody,
    TaskFilter,
    UpdateBody,
    strict,
)
from importer.api_rows import failure_row, task_row
from importer.api_schemas import Accepted, Error, Failures, OneTask, Tasks
from importer.dispatch import dispatch_soon
from importer.estimate import check_space
from importer.history import Wanted, tasks_of
from importer.hosts import live_workers
from importer.models import Failure, ImportTask, Kind, Status
from importer.task_requests import Submission, build_request, retry, submit

router = Router(tags=["tasks"])

# 4xx and 5xx that any call may answer: who asks, from where, and a database that does not answer.
ANYWHERE = {400: Error, 401: Error, 403: Error, 422: Error, 500: Error, 503: Error}
CHANGES = {**ANYWHERE, 409: Error, 413: Error, 415: Error}
STARTS = {200: Accepted, 202: Accepted, **CHANGES}
ACTS = {200: OneTask, **CHANGES, 404: Error}


@router.post("/import", response=STARTS, summary="Import the history of all or some stocks")
@strict
def start_import(request: HttpRequest, body: ImportBody = ImportBody()) -> HttpResponse:  # noqa: B008
    """Answers at once; the work goes on in the background. The same request again answers with the same task."""
    return _start(
        request,
        Kind.IMPORT,
        start=body.start_date,
        end=body.end_date,
        path=body.path,
        refresh=body.refresh,
        **_common(body),
    )


@router.post("/update", response=STARTS, summary="Fetch what is new since the last import")
@strict
def start_update(request: HttpRequest, body: UpdateBody = UpdateBody()) -> HttpResponse:  # noqa: B008
    """An empty database is a 409: import first."""
    return _start(request, Kind.UPDATE, **_common(body))


@router.post("/repair", response=STARTS, summary="Fetch the days that the calendar says are missing")
@strict
def start_repair(request: HttpRequest, body: RepairBody = RepairBody()) -> HttpResponse:  # noqa: B008
    return _start(request, Kind.REPAIR, start=body.start_date, end=body.end_date, **_common(body))


@router.get("/tasks", response={200: Tasks, **ANYWHERE}, summary="All tasks, the newest first")
@strict
def list_tasks(request: HttpRequest, query: Query[TaskFilter]) -> HttpResponse:
    """``since`` and ``until``: created on these days or at these times, or between them. ``source``: the one that was
    asked for. ``by``: a part of ``requested_by``."""
    wanted = Wanted(
        kind=query.kind or "",
        status=query.status or "",
        source=query.source or "",
        by=query.by or "",
        since=query.since,
        until=query.until,
    )
    return _page(tasks_of(wanted), query.limit, query.offset, task_row)


@router.get("/tasks/{task_id}", response={200: OneTask, **ANYWHERE, 404: Error}, summary="Where a task stands")
@strict
def show_task(request: HttpRequest, task_id: str) -> HttpResponse:
    return answer({"data": task_row(lifecycle.get_task(task_id))})


@router.get(
    "/tasks/{task_id}/failures", response={200: Failures, **ANYWHERE, 404: Error}, summary="What failed, and why"
)
@strict
def list_failures(request: HttpRequest, task_id: str, query: Query[FailureFilter]) -> HttpResponse:
    """Stocks that failed come first, then single rows (``finding``) that were not stored."""
    failures = Failure.objects.filter(task=lifecycle.get_task(task_id)).select_related("task").order_by("finding", "id")
    if query.finding is not None:
        failures = failures.filter(finding=query.finding)
    return _page(failures, query.limit, query.offset, failure_row)


@router.post("/tasks/{task_id}/cancel", response=ACTS, summary="End a task; what was stored stays")
@strict
def cancel_task(request: HttpRequest, task_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    """A running task ends after the present stocks; until then ``requested_action`` says so. Again is no error."""
    return _act(request, lifecycle.cancel, task_id)


@router.post("/tasks/{task_id}/pause", response=ACTS, summary="Let a task rest until it is resumed")
@strict
def pause_task(request: HttpRequest, task_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    return _act(request, lifecycle.pause, task_id)


@router.post("/tasks/{task_id}/resume", response=ACTS, summary="Go on with a paused or failed task")
@strict
def resume_task(request: HttpRequest, task_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    return _act(request, lifecycle.resume, task_id)


@router.post("/tasks/{task_id}/retry", response={**STARTS, 404: Error}, summary="A new task for exactly what failed")
@strict
def retry_task(request: HttpRequest, task_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    """The new task's ``retry_of`` names this one. 409 if nothing failed, or while it has not ended."""
    return submitted(retry(task_id, by=caller(request)))


def caller(request: HttpRequest) -> str:
    """Return who asks, and from where, for the task's history."""
    number = getattr(request, "token_number", None)
    address = request.META.get("REMOTE_ADDR", "")
    if number is not None:
        return f"api: token {number}, {address}"
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return f"api: {user.get_username()[:40]}, {address}"
    return f"api: {address}"


def _common(body: UpdateBody) -> dict[str, Any]:
    return {"symbols": body.symbols, "source": body.source, "priority": body.priority}


def _start(request: HttpRequest, kind: Kind, **wanted: Any) -> HttpResponse:
    task_request = build_request(kind, **wanted)
    check_space(task_request)
    return submitted(submit(task_request, by=caller(request)))


def submitted(submission: Submission) -> HttpResponse:
    """Answer with the task that was made or joined, and hand it out."""
    # After the transaction: the row stands, and the cluster finds it also if this fails.
    dispatch_soon()
    task = submission.task
    message = _existing_words(task) if submission.existing else _("The task was created.")
    if submission.note is not None:
        message = f"{message} {submission.note}"
    content: dict[str, Any] = {"task_id": str(task.pk), "message": message, "existing": submission.existing}
    if not live_workers():
        content["warning"] = _(
            "No worker is alive: the task waits until one is. Start the workers with `python manage.py serve`, "
            "or `python manage.py qcluster`."
        )
    return answer(content, status=200 if submission.existing else 202)


def _existing_words(task: ImportTask) -> str:
    if task.status == Status.RUNNING:
        return _("The same import is running already: this is its task.")
    if task.status == Status.PAUSED:
        return _("The same import is paused: this is its task. Resume it to go on.")
    return _("The same import waits for its turn already: this is its task.")


def _act(request: HttpRequest, action: Callable[..., ImportTask], task_id: str) -> HttpResponse:
    action(task_id, by=caller(request))
    dispatch_soon()
    return answer({"data": task_row(lifecycle.get_task(task_id))})


def _page(rows: QuerySet[Any], limit: int, offset: int, shown: Callable[[Any], dict[str, Any]]) -> HttpResponse:
    return answer({"data": [shown(row) for row in rows[offset : offset + limit]], "total": rows.count()})
