"""Checks of who is told what happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.utils.translation import gettext_noop

from importer.dbtime import db_now
from importer.doctor.facts import Fact, finding, fine
from importer.notify.outbox import given_up_since
from importer.notify.receivers import receivers


def receivers_of_messages() -> Iterator[Fact]:
    """Somebody is told what happens, and messages arrive. Addresses are not shown."""
    to = receivers()
    if not to:
        yield fine(gettext_noop("Nobody is told what happens: BARVAULT_NOTIFY_URLS is not set."))
        return
    names = ", ".join(receiver.label for receiver in to)
    yield fine(gettext_noop("Messages go to %(names)s; `python manage.py notify test` tries them."), names=names)
    if unheard := given_up_since(db_now() - timedelta(days=3)):
        yield finding(
            gettext_noop("%(count)s messages were given up in the last three days. Run: python manage.py notify"),
            count=unheard,
        )
    if settings.BASE_URL.startswith("http://127.0.0.1") and settings.LOGIN_REQUIRED:
        yield finding(
            gettext_noop("Messages link to %(url)s, which only this machine can open. Set BARVAULT_BASE_URL."),
            url=settings.BASE_URL,
        )
