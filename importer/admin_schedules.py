"""The admin's view of schedules, ours and django-q2's rows beside them: looked at and steered, not edited by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy, ngettext
from django_q.admin import ScheduleAdmin
from django_q.models import Schedule

from importer import schedules
from importer.dispatch import dispatch_soon
from importer.hosts import live_workers
from importer.models import TaskSchedule
from importer.schedule_orders import order_of
from importer.schedule_words import last_text, order_text, rule_text, title_text, upcoming
from marketdata.readonly_admin import ReadOnlyAdmin
from marketdata.texts import ExplainedError
from marketdata.trading_days import known_calendar


@admin.register(TaskSchedule)
class TaskScheduleAdmin(ReadOnlyAdmin):
    """Actions go through ``schedules``, as everything does that changes one."""

    list_display = ("title", "when_text", "next_text", "last", "task_link", "paused", "created_by")
    list_select_related = ("last_task",)
    list_filter = ("when", "kind", "paused")
    fields = (
        "title", "when_text", "what", "next_text", "last", "task_link", "paused", "due_at", "last_run_at",
        "last_meant_at", "order_values", "created_by", "created_at", "revision", "fingerprint",
    )  # fmt: skip
    actions = ("pause", "resume", "run_now")

    @admin.display(description=gettext_lazy("schedule"))
    def title(self, schedule: TaskSchedule) -> str:
        return capfirst(str(title_text(schedule)))

    @admin.display(description=gettext_lazy("when"))
    def when_text(self, schedule: TaskSchedule) -> str:
        return capfirst(str(rule_text(schedule.rule)))

    @admin.display(description=gettext_lazy("what"))
    def what(self, schedule: TaskSchedule) -> str:
        return capfirst(str(order_text(order_of(schedule))))

    @admin.display(description=gettext_lazy("next run"), ordering="due_at")
    def next_text(self, schedule: TaskSchedule) -> str:
        return capfirst(str(upcoming(schedule, timezone.now(), known_calendar(), workers=live_workers()).words))

    @admin.display(description=gettext_lazy("last run"), ordering="last_run_at")
    def last(self, schedule: TaskSchedule) -> str:
        return capfirst(str(last_text(schedule)))

    @admin.display(description=gettext_lazy("last task"))
    def task_link(self, schedule: TaskSchedule) -> SafeString | str:
        if schedule.last_task_id is None:
            return ""
        return format_html('<a href="{}">{}</a>', reverse("task", args=[schedule.last_task_id]), schedule.last_task)

    @admin.action(description=gettext_lazy("Pause"), permissions=["steer"])
    def pause(self, request: HttpRequest, found: QuerySet[TaskSchedule]) -> None:
        self._each(request, found, schedules.pause)

    @admin.action(description=gettext_lazy("Resume"), permissions=["steer"])
    def resume(self, request: HttpRequest, found: QuerySet[TaskSchedule]) -> None:
        self._each(request, found, schedules.resume)

    @admin.action(description=gettext_lazy("Run now"), permissions=["steer"])
    def run_now(self, request: HttpRequest, found: QuerySet[TaskSchedule]) -> None:
        self._each(request, found, schedules.run_now)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("importer.change_taskschedule")

    def _each(self, request: HttpRequest, found: QuerySet[TaskSchedule], act: Callable[..., Any]) -> None:
        acted = 0
        for schedule in found:
            try:
                act(schedule.pk, by=f"admin: {request.user.get_username()}")
                acted += 1
            except ExplainedError as error:
                self.message_user(request, f"{self.title(schedule)}: {error}", messages.ERROR)
        dispatch_soon()
        if acted:
            done = ngettext("%(count)s schedule: done.", "%(count)s schedules: done.", acted) % {"count": acted}
            self.message_user(request, done, messages.SUCCESS)


class BellAdmin(ReadOnlyAdmin, ScheduleAdmin):  # type: ignore[misc]
    """django-q2's rows: to look at. A row names a function to run, and its next run is only half of the truth."""


admin.site.unregister(Schedule)
admin.site.register(Schedule, BellAdmin)
