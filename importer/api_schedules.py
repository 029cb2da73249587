"""``/api/data/schedules``: what runs by itself, and when."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router

from importer import schedules
from importer.api_answers import answer
from importer.api_requests import NoBody, Page, ScheduleBody, ScheduleEdit, strict
from importer.api_rows import schedule_row
from importer.api_schemas import Answer, Error, OneSchedule, Schedules
from importer.api_tasks import ACTS, ANYWHERE, CHANGES, STARTS, caller, submitted
from importer.hosts import live_workers
from importer.models import TaskSchedule
from marketdata.trading_days import known_calendar

router = Router(tags=["schedules"])

ONE = {200: OneSchedule, **ANYWHERE, 404: Error}
MADE = {200: OneSchedule, 201: OneSchedule, **CHANGES}
CHANGED = {**ACTS, 200: OneSchedule}
GONE = {**ACTS, 200: Answer}


@router.get("/schedules", response={200: Schedules, **ANYWHERE}, summary="What runs by itself, and when")
@strict
def list_schedules(request: HttpRequest, query: Query[Page]) -> HttpResponse:
    found = schedules.all_schedules()
    rows = found[query.offset : query.offset + query.limit]
    return answer({"data": _rows(*rows), "total": found.count()})


@router.post("/schedules", response=MADE, summary="Plan an update, a repair or an import")
@strict
def make_schedule(request: HttpRequest, body: ScheduleBody) -> HttpResponse:
    """Times are exchange time. 200 when there is the same schedule already: this is it."""
    made = schedules.create(body.model_dump(exclude={"paused"}), paused=body.paused, by=caller(request))
    return _one(made.schedule, status=200 if made.existing else 201)


@router.get("/schedules/{schedule_id}", response=ONE, summary="One schedule, with its last and its next run")
@strict
def show_schedule(request: HttpRequest, schedule_id: str) -> HttpResponse:
    return _one(schedules.get_schedule(schedule_id))


@router.patch("/schedules/{schedule_id}", response=CHANGED, summary="Change a schedule")
@strict
def change_schedule(request: HttpRequest, schedule_id: str, body: ScheduleEdit) -> HttpResponse:
    """Only the fields that are sent. A change of when it runs counts from now on; 409 if it becomes like another."""
    edits = body.model_dump(include=body.model_fields_set)
    return _one(schedules.change(schedule_id, edits, by=caller(request)))


@router.delete("/schedules/{schedule_id}", response=GONE, summary="Delete a schedule; a task that it started goes on")
@strict
def delete_schedule(request: HttpRequest, schedule_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    schedules.delete(schedule_id, by=caller(request))
    return answer({})


@router.post("/schedules/{schedule_id}/run", response={**STARTS, 404: Error}, summary="Run it now")
@strict
def run_schedule(request: HttpRequest, schedule_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    """Also while it is paused; its next run stays where it is. 409 while its last run goes on."""
    return submitted(schedules.run_now(schedule_id, by=caller(request)))


@router.post("/schedules/{schedule_id}/pause", response=CHANGED, summary="Let a schedule rest")
@strict
def pause_schedule(request: HttpRequest, schedule_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    return _one(schedules.pause(schedule_id, by=caller(request)))


@router.post("/schedules/{schedule_id}/resume", response=CHANGED, summary="Let a paused schedule run again")
@strict
def resume_schedule(request: HttpRequest, schedule_id: str, body: NoBody = NoBody()) -> HttpResponse:  # noqa: B008
    """From now on: runs missed while it was paused are not made up for."""
    return _one(schedules.resume(schedule_id, by=caller(request)))


def _one(schedule: TaskSchedule, status: int = 200) -> HttpResponse:
    return answer({"data": _rows(schedule)[0]}, status=status)


def _rows(*rows: TaskSchedule) -> list[dict[str, Any]]:
    now, calendar, workers = timezone.now(), known_calendar(), live_workers()
    return [schedule_row(row, now, calendar, workers=workers) for row in rows]
