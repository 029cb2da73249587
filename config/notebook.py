"""Make this installation's data readable from a notebook or a script::

    import config.notebook
    from marketdata.reading import load_bars
    load_bars("600519", "2024-01-01", adjust="qfq")

Jupyter runs each cell inside an event loop, where Django's ORM refuses to work unless it is told that nobody else
waits on that loop: in a notebook nobody does.

Sentences come in the language of the command line. Only warnings are logged unless BARVAULT_LOG_LEVEL says otherwise:
the level is also that of every other library in the notebook.
"""

from __future__ import annotations

import builtins
import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

import django
from django.apps import apps
from django.conf import settings
from django.db import close_old_connections

from config.database_state import database_problem
from config.translations import compile_stale_catalogues
from importer.management.base import command_language

logger = logging.getLogger(__name__)


def _set_up() -> None:
    """Do what manage.py does for a command, and say so if the database cannot be used as it is."""
    compile_stale_catalogues()
    # Not activate(): that holds for one thread, and a notebook works in several. Before setup(), which keeps what it
    # finds here.
    settings.LANGUAGE_CODE = command_language(settings.COMMAND_LANGUAGE, os.environ)
    django.setup()
    if "BARVAULT_LOG_LEVEL" not in os.environ:
        logging.getLogger().setLevel(logging.WARNING)
    if (problem := database_problem()) is not None:
        logger.warning("%s", problem)


def _renew_connections_between_cells() -> None:
    """Drop a connection that the database server has closed, before each cell, as Django does before each request.

    Without this, every cell after a restart of PostgreSQL would fail until the kernel is restarted.
    """
    in_notebook = getattr(builtins, "get_ipython", None)
    shell = in_notebook() if in_notebook else None
    if shell is not None:
        shell.events.register("pre_run_cell", lambda _info: close_old_connections())


if not apps.ready:
    _set_up()
_renew_connections_between_cells()
