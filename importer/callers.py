"""Who asks for something on a page, as a task's history keeps it."""

from __future__ import annotations

from django.http import HttpRequest


def caller(request: HttpRequest) -> str:
    """Return the page's user by name (where there are accounts) and address."""
    name = request.user.get_username()[:40] if request.user.is_authenticated else ""
    address = request.META.get("REMOTE_ADDR", "")
    return f"page: {name}, {address}" if name else f"page: {address}"
