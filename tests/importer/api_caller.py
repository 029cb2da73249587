"""A caller of the API for tests: JSON in, JSON out, cross-site checks on."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

API = "/api/data"


class Caller:
    """``Caller(language="en").post("/import", {...})``; answers are Django's, with ``.json()``."""

    def __init__(self, language: str | None = "en") -> None:
        headers = {"Host": "localhost:5000", **({"Accept-Language": language} if language else {})}
        self._client = Client(enforce_csrf_checks=True, headers=headers, raise_request_exception=False)

    def get(self, address: str, **query: Any) -> HttpResponse:
        return self._client.get(API + address, query)

    def post(self, address: str, body: Any = None) -> HttpResponse:
        """Send ``body`` as JSON; bytes as they are; None is a request without a body."""
        if body is None:
            return self._client.generic("POST", API + address)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._client.post(API + address, content, content_type="application/json")

    def patch(self, address: str, body: Any) -> HttpResponse:
        return self._client.patch(API + address, json.dumps(body).encode(), content_type="application/json")

    def delete(self, address: str) -> HttpResponse:
        return self._client.delete(API + address)

    def call(self, method: str, address: str) -> HttpResponse:
        """Send another method to any address of the server."""
        return self._client.generic(method, address)


def error_of(response: HttpResponse) -> tuple[int, str, str | None]:
    """Return status, code and field of an error, which has the one shape that errors have."""
    content = response.json()
    assert set(content) - {"field"} == {"success", "error", "message"}, content
    assert content["success"] is False
    assert content["message"]
    assert response.headers["Content-Type"].startswith("application/json")
    return response.status_code, content["error"], content.get("field")
