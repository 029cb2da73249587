"""The secret key: made once, kept in a file that only its owner reads.

django-q2's messages are pickles signed with it: who knows it and reaches the queue can run code.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def read_or_create_secret_key(path: Path) -> str:
    """Return the key in ``path``; make it first (mode 600) when it is not there.

    Of several processes that start at once, one makes the file and the others read it.
    Raises ImproperlyConfigured when the file stays empty, cannot be read, or cannot be made.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_when_written(path)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The secret key {path} cannot be made ({error.strerror}). Let this user write the folder, or name another "
            "one with BARVAULT_VAR_DIR."
        ) from error
    # Letters, digits, - and _ only: people copy it into files in which $ or # mean something.
    key = secrets.token_urlsafe(48)
    with os.fdopen(handle, "w") as file:
        file.write(key)
    return key


def _read_when_written(path: Path) -> str:
    for _attempt in range(50):
        try:
            key = path.read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"The secret key {path} cannot be read ({error.strerror}). Start Barvault as the user who owns it."
            ) from error
        if key:
            return key
        time.sleep(0.02)
    raise ImproperlyConfigured(f"{path} is empty. Delete it: a new key is made at the next start.")
