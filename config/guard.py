"""Keep other web sites out: a server on localhost is within reach of every page that the same browser shows.

Which attack each check stops, and what was tried: docs/decisions/008-web-safety.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.http import is_same_domain
from django.utils.translation import gettext_noop

from config.error_pages import refusal_page
from config.tokens import sent_token, token_number
from importer.api_answers import is_api, problem
from marketdata.texts import Text

READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OWN_SITES = frozenset({"", "same-origin", "none"})
PROXY_HEADERS = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded")

# Styles: htmx, Swagger and the admin set some; scripts come from files alone, and none is made from text.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True)
class Refusal:
    status: int
    code: str
    text: Text


@dataclass(frozen=True)
class Sent:
    """What a request says about where it comes from. Header values are empty where the header is missing."""

    method: str
    for_api: bool
    site: str
    mode: str
    destination: str
    origin: str
    content_type: str
    has_body: bool

    @property
    def changes(self) -> bool:
        return self.method not in READING

    @property
    def follows_a_link(self) -> bool:
        """A link on another site opens a page of ours: the site learns nothing of it, and reading changes nothing."""
        return self.method in ("GET", "HEAD") and self.mode == "navigate" and self.destination == "document"


_STRANGE_HOST = Text(
    gettext_noop(
        "This server does not answer under that name. Ask for localhost or 127.0.0.1, or add the name to "
        "BARVAULT_ALLOWED_HOSTS."
    )
)
_OTHER_SITE = Text(gettext_noop("Another web site sent this request through your browser. It was refused."))
_NOT_JSON = Text(gettext_noop("Send JSON, with the header Content-Type: application/json."))
_PROXY = Text(
    gettext_noop(
        "This request came through a reverse proxy, and this server is set up for its own machine alone. "
        "Name the proxy's host in BARVAULT_ALLOWED_HOSTS: the server then asks for an account or a token."
    )
)


def judge(sent: Sent, is_own_origin: Callable[[str], bool]) -> Refusal | None:
    """Return why a request is refused, or None.

    1. A browser says that another site sends it, and it is no link that somebody follows.
    2. It names an origin that is not ours; ``null`` stands for one that is hidden.
    3. It would change something through the API and is not JSON: without asking us first, a browser lets other
       sites send forms and plain text only. Pages are protected by Django's token instead.
    """
    if sent.site not in OWN_SITES and not sent.follows_a_link:
        return Refusal(403, "other_site", _OTHER_SITE)
    if sent.origin and not is_own_origin(sent.origin):
        return Refusal(403, "other_site", _OTHER_SITE)
    return _judge_content(sent)


def _judge_content(sent: Sent) -> Refusal | None:
    if not sent.for_api or not sent.changes or sent.content_type == "application/json":
        return None
    if sent.content_type or sent.has_body:
        return Refusal(415, "not_json", _NOT_JSON)
    return None


class Guard:
    """Middleware: refuses what another site sends, and tells the browser what a page of ours may do."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        refusal = refusal_of(request)
        response = self.get_response(request) if refusal is None else _refuse(request, refusal)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if is_api(request):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def refusal_of(request: HttpRequest) -> Refusal | None:
    """Return why a request is refused, or None: its host first, then where it comes from (see ``judge``).

    A script with a valid token and no cookies acts for itself, not for whoever sits at the browser.
    """
    try:
        host = request.get_host()
    except DisallowedHost:
        return Refusal(400, "strange_host", _STRANGE_HOST)
    if not settings.LOGIN_REQUIRED and any(name in request.headers for name in PROXY_HEADERS):
        return Refusal(403, "behind_proxy", _PROXY)
    sent = _sent(request)
    if not request.COOKIES and token_number(sent_token(request)) is not None:
        return _judge_content(sent)
    return judge(sent, lambda origin: _is_own(origin, f"{request.scheme}://{host}"))


def _sent(request: HttpRequest) -> Sent:
    headers = request.headers
    return Sent(
        method=request.method or "",
        for_api=is_api(request),
        site=headers.get("Sec-Fetch-Site", "").lower(),
        mode=headers.get("Sec-Fetch-Mode", "").lower(),
        destination=headers.get("Sec-Fetch-Dest", "").lower(),
        origin=headers.get("Origin", "").lower(),
        content_type=request.content_type or "",
        has_body=request.META.get("CONTENT_LENGTH") not in (None, "", "0"),
    )


def _is_own(origin: str, own: str) -> bool:
    if origin == own.lower() or origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        named = urlsplit(origin)
    except ValueError:
        return False
    patterns = (urlsplit(trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS if "*" in trusted)
    return any(
        named.scheme == pattern.scheme and is_same_domain(named.netloc, pattern.netloc.lstrip("*"))
        for pattern in patterns
    )


def _refuse(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    with translation.override(translation.get_language_from_request(request)):
        if is_api(request):
            return problem(refusal.status, refusal.code, str(refusal.text))
        return refusal_page(refusal.status, str(refusal.text))
