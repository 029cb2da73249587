"""Who is told: the receivers of BARVAULT_NOTIFY_URLS, and the dead man's switch of BARVAULT_PING_URL."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from django.conf import settings

from config.hidden import Hidden
from importer.notify.masking import scheme_of

PING_LABEL = "ping"


@dataclass(frozen=True)
class Receiver:
    """``key`` names it in the database, ``label`` to people: the kind of address, and its place in the setting."""

    key: str
    label: str
    address: Hidden


def receivers() -> list[Receiver]:
    """Return the receivers of messages, in the order of the setting."""
    urls = [address.reveal() for address in settings.NOTIFY_URLS]
    return [
        Receiver(key_of(url), f"{number}: {scheme_of(url)}", Hidden(url)) for number, url in enumerate(urls, start=1)
    ]


def ping_receiver() -> Receiver | None:
    """Return the dead man's switch; None when there is none."""
    url = settings.PING_URL.reveal()
    return Receiver(key_of(url), PING_LABEL, settings.PING_URL) if url else None


def key_of(url: str) -> str:
    """Return a name for an address from which it cannot be guessed, the same on every machine of ours."""
    secret = settings.SECRET_KEY.encode()
    return hmac.new(secret, b"receiver\0" + url.encode(), hashlib.sha256).hexdigest()[:20]
