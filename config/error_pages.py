"""What is answered when Django itself refuses or fails: the API's one shape under /api, a plain page elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from importer.api_answers import is_api, problem


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return _answer(request, 413, "too_large", _("The request is too large."))
    return _answer(request, 400, "bad_request", _("The request cannot be understood."))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 403, "forbidden", _("You are not allowed to do this."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    message = _("The page was open for too long, or cookies are switched off. Load it anew and try again.")
    return _answer(request, 403, "csrf", message)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 404, "not_found", _("There is nothing at this address."))


def unknown_api_url(request: HttpRequest, other: str = "") -> HttpResponse:
    """Answer whatever is below /api and nothing of the API. A view, so that no slash is added and tried again."""
    return problem(404, "not_found", _("There is nothing at this address. /api/docs names what there is."))


unknown_api_url.csrf_exempt = True  # type: ignore[attr-defined]


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what no view expected. Django calls this while it handles the error."""
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        return _answer(request, 503, "unavailable", _("The database does not answer now. Try again in a moment."))
    return _answer(request, 500, "server_error", _("The server failed. Its log says why."))


class OneShape:
    """Middleware: what is answered to a method that an address does not take, where Django sends an empty page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 405:
            return response
        allowed = ", ".join(sorted(response.headers["Allow"].split(", ")))
        message = _("%(method)s is not possible at this address. It takes %(allowed)s.")
        answer = _answer(request, 405, "method_not_allowed", message % {"method": request.method, "allowed": allowed})
        answer.headers["Allow"] = allowed
        return answer


def refusal_page(status: int, message: str) -> HttpResponse:
    """Return a page with one sentence; it needs neither the database nor a session."""
    return HttpResponse(render_to_string("error.html", {"status": status, "message": message}), status=status)


def _answer(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    return problem(status, code, message) if is_api(request) else refusal_page(status, message)
