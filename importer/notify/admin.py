"""The admin's view of messages: looked at, never edited. No row holds an address."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy

from importer.notify.models import Delivery, Notice
from importer.notify.words import sentence_of
from marketdata.readonly_admin import ReadOnlyAdmin


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "event", "sentence", "shared_at")
    list_select_related = ("task",)
    list_filter = ("event", "created_at")
    show_full_result_count = False
    fields = ("created_at", "event", "sentence", "task", "key", "shared_at")

    @admin.display(description=gettext_lazy("message"))
    def sentence(self, notice: Notice) -> str:
        return sentence_of(notice)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("notice", "label", "state", "attempts", "next_try_at", "said")
    list_select_related = ("notice",)
    list_filter = ("state", "label")
    show_full_result_count = False
    # Whoever knows a token can pretend to be the one who sends.
    exclude = ("token", "error")
    readonly_fields = ("said",)

    @admin.display(description=gettext_lazy("error"))
    def said(self, delivery: Delivery) -> str:
        return delivery.said
