"""The admin's view of imports: everything can be looked at and steered, nothing edited by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy, ngettext

from importer import admin_schedules, lifecycle, pacing
from importer.dispatch import dispatch_soon
from importer.hosts import trouble_of
from importer.models import Failure, Host, ImportChunk, ImportTask, LaneSlot, SourceState, Transition
from importer.notify import admin as notify_admin
from importer.page_words import source_names_text
from importer.retention import clear_tasks
from importer.task_requests import retry
from importer.task_words import request_text, state_text
from importer.waiting import end_waiting
from marketdata.readonly_admin import ReadOnlyAdmin, figure_column
from marketdata.texts import ExplainedError

# Their tables register themselves.
_ALSO_REGISTERED = (admin_schedules, notify_admin)
logger = logging.getLogger(__name__)

admin.site.site_header = admin.site.site_title = "Barvault"


@admin.register(ImportTask)
class ImportTaskAdmin(ReadOnlyAdmin):
    """Tasks with a progress bar. Actions go through ``lifecycle``, as everything does that changes a state."""

    list_display = (
        "created_at", "state", "bar", "what", figure_column(ImportTask, "total"), figure_column(ImportTask, "done"),
        figure_column(ImportTask, "failed"), "priority", "links",
    )  # fmt: skip
    list_filter = ("status", "kind", "created_at")
    date_hierarchy = "created_at"
    search_fields = ("id", "requested_by")
    ordering = ("-created_at",)
    list_per_page = 50
    show_full_result_count = False
    fields = (
        "what", "state", "bar", "sentence", "links", "kind", "priority", "parameters", "requested_by", "retry_of",
        "total", "done", "failed", "skipped", "rows_written", "stocks_per_second", "requested_action", "action_by",
        "waiting_until", "created_at", "planned_at", "started_at", "finished_at", "heartbeat_at", "fingerprint",
    )  # fmt: skip
    actions = ("cancel", "pause", "resume", "retry", "raise_priority", "lower_priority", "clear")

    class Media:
        css: ClassVar = {"all": ["barvault_admin.css"]}

    @admin.display(description=gettext_lazy("task"))
    def what(self, task: ImportTask) -> str:
        return capfirst(str(request_text(task)))

    @admin.display(description=gettext_lazy("message"))
    def sentence(self, task: ImportTask) -> str:
        return task.message

    @admin.display(description=gettext_lazy("state"), ordering="status")
    def state(self, task: ImportTask) -> str:
        return capfirst(str(state_text(task)))

    @admin.display(description=gettext_lazy("progress"), ordering="progress")
    def bar(self, task: ImportTask) -> SafeString:
        return format_html('<progress max="100" value="{}" title="{}"></progress> {}%', task.progress, task.message, task.progress)  # fmt: skip  # noqa: E501

    @admin.display(description=gettext_lazy("details"))
    def links(self, task: ImportTask) -> SafeString:
        query = f"?task__id__exact={task.pk}"
        return format_html(
            '<a href="{}{}">{}</a> · <a href="{}{}">{}</a> · <a href="{}">{}</a>',
            reverse("admin:importer_failure_changelist"), query, gettext("failures"),
            reverse("admin:importer_importchunk_changelist"), query, gettext("chunks"),
            reverse("task", args=[task.pk]), gettext("page"),
        )  # fmt: skip

    @admin.action(description=gettext_lazy("Cancel"), permissions=["steer"])
    def cancel(self, request: HttpRequest, tasks: QuerySet[ImportTask]) -> None:
        self._each(request, tasks, lambda task, by: lifecycle.cancel(task.pk, by=by))

    @admin.action(description=gettext_lazy("Pause"), permissions=["steer"])
    def pause(self, request: HttpRequest, tasks: QuerySet[ImportTask]) -> None:
        self._each(request, tasks, lambda task, by: lifecycle.pause(task.pk, by=by))

    @admin.action(description=gettext_lazy("Resume"), permissions=["steer"])
    def resume(self, request: HttpRequest, tasks: QuerySet[ImportTask]) -> None:
        self._each(request, tasks, lambda task, by: lifecycle.resume(task.pk, by=by))

    @admin.action(description=gettext_lazy("Retry what failed"), permissions=["steer"])
    def retry(self, request: HttpRequest, tasks: QuerySet[ImportTask]) -> None:
        self._each(request, tasks, lambda task, by: retry(task.pk, by=by))

    @admin.action(description=gettext_lazy("Raise the priority by one"), permissions=["steer"])
    def raise_priority(self, request: HttpRequest, tasks: QuerySet[ImportTask]) -> None:
        self._each(request, tasks, lambda task, by: lifecycle.set_priority(task.pk, task.priority + 1, by=by))

    @admin.action(description=gettext_lazy("Lower the priority by one"), permissions=["steer"])
    def lower_priority(self, request: HttpRequest, tasks: QuerySet[ImportTask]) -> None:
        self._each(request, tasks, lambda task, by: lifecycle.set_priority(task.pk, task.priority - 1, by=by))

    @admin.action(description=gettext_lazy("Remove from the history (bars stay)"), permissions=["clear"])
    def clear(self, request: HttpRequest, tasks: QuerySet[ImportTask]) -> None:
        chosen = list(tasks.values_list("pk", flat=True))
        cleared = clear_tasks(chosen)
        logger.info("admin: %s removed %s ended tasks from the history", request.user.get_username(), cleared)
        said = ngettext("%(count)s task was removed.", "%(count)s tasks were removed.", cleared) % {"count": cleared}
        self.message_user(request, said, messages.SUCCESS if cleared else messages.WARNING)
        if left := len(chosen) - cleared:
            text = ngettext(
                "%(count)s task has not ended: it stays.", "%(count)s tasks have not ended: they stay.", left
            )
            self.message_user(request, text % {"count": left}, messages.WARNING)

    def has_clear_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("importer.delete_importtask")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("importer.change_importtask")

    def _each(self, request: HttpRequest, tasks: QuerySet[ImportTask], act: Callable[[ImportTask, str], Any]) -> None:
        by = f"admin: {request.user.get_username()}"
        acted = 0
        for task in tasks:
            try:
                act(task, by)
                acted += 1
            except ExplainedError as error:
                self.message_user(request, f"{request_text(task)}: {error}", messages.ERROR)
        dispatch_soon()
        if acted:
            done = ngettext("%(count)s task: done.", "%(count)s tasks: done.", acted) % {"count": acted}
            self.message_user(request, done, messages.SUCCESS)


@admin.register(ImportChunk)
class ImportChunkAdmin(ReadOnlyAdmin):
    list_display = (
        "number",
        "task",
        "cursor",
        "size",
        "done",
        "failed",
        "skipped",
        "rows",
        "lane",
        "deaths",
        "isolated",
    )
    list_select_related = ("task",)
    list_filter = ("isolated",)
    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "task__id__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(Failure)
class FailureAdmin(ReadOnlyAdmin):
    list_display = ("at", "symbol", "source", "code", "sentence", "attempts", "finding")
    list_filter = ("code", "finding", "source")
    search_fields = ("symbol",)
    show_full_result_count = False
    fields = ("task", "at", "symbol", "source", "code", "sentence", "attempts", "finding")

    @admin.display(description=gettext_lazy("reason"))
    def sentence(self, failure: Failure) -> str:
        return failure.reason

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "task__id__exact" or super().lookup_allowed(lookup, value, request)


@admin.register(Transition)
class TransitionAdmin(ReadOnlyAdmin):
    list_display = ("at", "task", "old", "new", "sentence", "by")
    list_select_related = ("task",)
    list_filter = ("new", "at")
    show_full_result_count = False
    fields = ("task", "at", "old", "new", "sentence", "by")

    @admin.display(description=gettext_lazy("reason"))
    def sentence(self, transition: Transition) -> str:
        return transition.reason


@admin.register(LaneSlot)
class LaneSlotAdmin(ReadOnlyAdmin):
    list_display = ("number", "task", "host", "pid", "doing", "leased_until")
    list_select_related = ("task",)
    # Whoever knows a token can pretend to be the lane.
    exclude = ("token",)


@admin.register(Host)
class HostAdmin(ReadOnlyAdmin):
    list_display = ("name", "workers", "seen_at", "started_at", "restarts", "version", "sentence")
    fields = ("name", "workers", "pid", "seen_at", "started_at", "restarts", "version", "sentence")

    @admin.display(description=gettext_lazy("trouble"))
    def sentence(self, host: Host) -> str:
        return trouble_of(host)


@admin.register(SourceState)
class SourceStateAdmin(ReadOnlyAdmin):
    list_display = (
        "label", "breaker", "open_until", "sentence", "interval", figure_column(SourceState, "requests_today"),
        figure_column(SourceState, "requests"), figure_column(SourceState, "troubles"),
    )  # fmt: skip
    exclude = ("reason_id", "reason_values")
    readonly_fields = ("sentence",)
    actions = ("close_breaker",)

    @admin.display(description=gettext_lazy("source"), ordering="source")
    def label(self, state: SourceState) -> str:
        return source_names_text(state.source)

    @admin.display(description=gettext_lazy("reason"))
    def sentence(self, state: SourceState) -> str:
        return pacing.sentence_of(state)

    @admin.action(description=gettext_lazy("Ask again now: close the breaker"), permissions=["steer"])
    def close_breaker(self, request: HttpRequest, states: QuerySet[SourceState]) -> None:
        for state in states:
            pacing.close_breaker(state.source, by=f"admin: {request.user.get_username()}")
        end_waiting()
        dispatch_soon()

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("importer.change_sourcestate")
