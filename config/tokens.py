"""API tokens: long random words in BARVAULT_API_TOKEN(S), sent as ``Authorization: Bearer …``. Never logged."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest

_SCHEME = "bearer "


def sent_token(request: HttpRequest) -> str | None:
    """Return the token that came with the request, right or wrong; None when there was none."""
    header = request.headers.get("Authorization", "")
    return header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else None


def token_number(token: str | None, tokens: Sequence[str] | None = None) -> int | None:
    """Return the place of ``token`` among those that are valid, counted from 1; None when it is none of them.

    Takes the same time for each wrong token of a length, and whichever one is right.
    """
    if token is None:
        return None
    sent = token.encode("utf-8", "surrogateescape")
    found = None
    for number, valid in enumerate(settings.API_TOKENS if tokens is None else tokens, start=1):
        if hmac.compare_digest(sent, valid.encode()):
            found = number
    return found
