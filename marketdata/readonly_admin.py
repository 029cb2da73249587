"""Admin pages on which nothing is added, edited or deleted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

if TYPE_CHECKING:
    from django.db.models import Field


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to look at; what changes them are actions that the class names."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Also what is no column of the table may be named among the fields.
        return self.fields or self.readonly_fields


def figure_column(model: type[Model], field: str) -> Callable[[Any], str]:
    """Return a column for a list that shows a whole number with thousands separators, sorted as the field is."""

    label = cast("Field[Any, Any]", model._meta.get_field(field)).verbose_name

    @admin.display(description=label, ordering=field)
    def column(row: Any) -> str:
        return f"{getattr(row, field):,}"

    return column
