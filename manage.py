#!/usr/bin/env python
"""Barvault's command line: ``python manage.py help``."""

from __future__ import annotations

import os
import sys

BAD_INPUT = 2
INTERRUPTED = 130


def main() -> None:
    """Run a command. What keeps every command from starting is one sentence, too."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts it with an older one is to read why
        _refuse("Barvault needs Python 3.11 or newer: run `make install`, then .venv/bin/python manage.py.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError
    except ImportError as error:
        _refuse(f"{error}. Run `make install`, then use .venv/bin/python manage.py.")
    from config.translations import compile_stale_catalogues

    compile_stale_catalogues()
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        _refuse(str(error))
    except OperationalError:
        # Of Django's own commands, migrate above all: ours put it into words by themselves.
        sentence = "" if "--traceback" in sys.argv else _connection_problem()
        if not sentence:
            raise
        _refuse(sentence)


def _connection_problem() -> str:
    """Return why the database cannot be reached, in the user's language; '' when it can, and something else failed."""
    from django.conf import settings
    from django.utils import translation

    from config.database_state import connection_problem
    from importer.management.base import command_language

    with translation.override(command_language(settings.COMMAND_LANGUAGE, os.environ)):
        return str(connection_problem() or "")


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        # Before the command could take care of it: nothing has begun, and a traceback would help nobody.
        sys.exit(INTERRUPTED)
