"""Who may come in once others can reach the server: somebody with an account (Django's), or with an API token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, gettext_noop

from config.tokens import sent_token, token_number
from importer.api_answers import is_api, problem

_WRONG_TOKEN = gettext_noop("This token is not valid here. Check BARVAULT_API_TOKEN.")
_NOBODY = gettext_noop(
    "Log in first, or send one of the server's API tokens with the header Authorization: Bearer <token>."
)


class AccountRequired:
    """Middleware: with LOGIN_REQUIRED, every view but those marked ``login_not_required`` needs one of the two.

    A wrong token is refused also where none is needed. ``request.token_number`` is the place of a right one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Sequence[Any], _kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        token = sent_token(request)
        number = token_number(token)
        request.token_number = number  # type: ignore[attr-defined]
        if number is not None or not getattr(view, "login_required", True):
            return None
        if token is not None and settings.API_TOKENS:
            return _unauthorized("bad_token", gettext(_WRONG_TOKEN))
        if not settings.LOGIN_REQUIRED or request.user.is_authenticated:
            return None
        if is_api(request) or request.path_info == "/metrics":
            return _unauthorized("login_required", gettext(_NOBODY))
        return redirect_to_login(_page_of(request))


def is_known(request: HttpRequest) -> bool:
    """Say whether whoever asks may be told how things stand: they have shown who they are, or need not."""
    if not settings.LOGIN_REQUIRED or getattr(request, "token_number", None) is not None:
        return True
    return bool(request.user.is_authenticated)


def _page_of(request: HttpRequest) -> str:
    """Return where somebody goes on after having logged in: a button's own address cannot be opened, its page can."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    page = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    if not page or not ours:
        return reverse("data")
    return urlsplit(page)._replace(scheme="", netloc="", fragment="").geturl()


def _unauthorized(code: str, message: str) -> HttpResponse:
    response = problem(401, code, message)
    response.headers["WWW-Authenticate"] = 'Bearer realm="barvault"'
    return response
