"""Who can reach this server, and what it must have before it may be reached."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_noop

from config.addresses import is_loopback
from marketdata.texts import Text

_NO_LOGIN = Text(
    gettext_noop(
        "Other machines could reach this server, but nobody can log in: "
        "make a user first with `python manage.py createsuperuser`, "
        "or listen on 127.0.0.1 only and without BARVAULT_ALLOWED_HOSTS."
    )
)
_NO_TOKEN = Text(
    gettext_noop(
        "Other machines could reach this server, but its API has no token: "
        "set BARVAULT_API_TOKEN to a long random word "
        "(`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one), "
        "or listen on 127.0.0.1 only and without BARVAULT_ALLOWED_HOSTS."
    )
)
_NEITHER = Text(
    gettext_noop(
        "Other machines could reach this server, but nobody can log in, and its API has no token: "
        "make a user with `python manage.py createsuperuser`, and set BARVAULT_API_TOKEN to a long random word "
        "(`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one), "
        "or listen on 127.0.0.1 only and without BARVAULT_ALLOWED_HOSTS."
    )
)


def exposure_problem(host: str, allowed_hosts: Sequence[str]) -> Text | None:
    """Return why a server on address ``host`` must not start, or None when it may.

    On a loopback address only this machine reaches it. On any other, or behind a proxy (``allowed_hosts``
    beyond the loopback names), it needs somebody who can log in, and a token for the API.
    """
    if is_loopback(host) and not allowed_hosts:
        return None
    lacks_login, lacks_token = not _somebody_can_log_in(), not settings.API_TOKENS
    if lacks_login and lacks_token:
        return _NEITHER
    if lacks_login:
        return _NO_LOGIN
    return _NO_TOKEN if lacks_token else None


def _somebody_can_log_in() -> bool:
    users = get_user_model()._default_manager.filter(is_active=True)
    return any(user.has_usable_password() for user in users.iterator())
