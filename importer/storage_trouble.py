"""What trouble with the database or the queue looks like, and what it means for a task."""

from __future__ import annotations

import shutil
from pathlib import Path

import django.db
from django.conf import settings
from django.utils.translation import gettext_noop

from marketdata.texts import Text

# In bytes: with less, SQLite may not be able to write anything at all.
_ROOM_FOR_A_WRITE = 1_000_000
_SIGNS_OF_A_FULL_DISK = ("database or disk is full", "no space left on device", "could not extend file")


def storage_errors() -> tuple[type[Exception], ...]:
    """Return what the database and the queue raise: for an ``except`` clause."""
    if not settings.BROKER_URL:
        return (django.db.Error,)
    from redis import RedisError

    return (django.db.Error, RedisError)


def disk_full_text(error: BaseException) -> Text | None:
    """Return the sentence for a task that ends because the disk is full; None for any other trouble."""
    words = str(error).lower()
    if not any(sign in words for sign in _SIGNS_OF_A_FULL_DISK):
        return None
    return Text(
        gettext_noop("The disk that holds %(place)s is full. Make room, then resume: it goes on where it was."),
        {"place": str(settings.DATABASES["default"]["NAME"])},
    )


def disk_is_full() -> bool:
    """Say whether nothing can be written into SQLite's file. A server keeps to itself what room it has."""
    if django.db.connection.vendor != "sqlite":
        return False
    return shutil.disk_usage(Path(settings.DATABASES["default"]["NAME"]).parent).free < _ROOM_FOR_A_WRITE
