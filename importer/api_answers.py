"""The two shapes of every JSON answer: ``{"success": true, ...}`` and one for everything that went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

JSON = "application/json; charset=utf-8"
API_PREFIX = "/api"


def is_api_path(path: str) -> bool:
    """Say whether a path belongs to the API, where every answer is JSON."""
    return path == API_PREFIX or path.startswith(f"{API_PREFIX}/")


def answer(content: Mapping[str, Any], status: int = 200) -> HttpResponse:
    """Return ``content`` as JSON, with ``success`` in front."""
    return json_response({"success": True, **content}, status)


def problem(status: int, code: str, message: str, field: str | None = None, **more: Any) -> HttpResponse:
    """Return an error: a ``code`` that never changes, a sentence for people, and the ``field`` that is wrong."""
    content: dict[str, Any] = {"success": False, "error": code, "message": message}
    if field is not None:
        content["field"] = field
    return json_response({**content, **more}, status)


def json_response(content: Mapping[str, Any], status: int = 200) -> HttpResponse:
    # Texts are Chinese: escaped they could not be read in a terminal. What UTF-8 cannot hold is escaped.
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return HttpResponse(text.encode("utf-8", "backslashreplace"), status=status, content_type=JSON)


def is_api(request: HttpRequest) -> bool:
    return is_api_path(request.path_info)
