"""Can the database be used as it is? Asked once, before a server or the workers start."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext_noop

from marketdata.texts import Text

OUR_APPS = ("marketdata", "importer")
DOES_NOT_ANSWER = gettext_noop("The database %(name)s does not answer: %(error)s.")
NO_FOLDER = gettext_noop("The folder %(folder)s is not there. Make it, or change DATABASE_URL.")
PREPARED_BY_NEWER = gettext_noop(
    "The database %(name)s was prepared by a newer version than this one. Update Barvault on this machine, then start "
    "it again."
)


def database_problem() -> Text | None:
    """Return why the database cannot be used, as a sentence that says what to do; None when all is well."""
    name = str(settings.DATABASES["default"]["NAME"])
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return _no_answer(error)
    if behind:
        return Text(
            gettext_noop(
                "The database %(name)s is not prepared for this version. "
                "Run `python manage.py migrate` first (`make run` does it by itself)."
            ),
            {"name": name},
        )
    # Read with the plan: what was applied, and which files are here.
    unknown = executor.loader.applied_migrations.keys() - (executor.loader.disk_migrations or {}).keys()
    if any(app in OUR_APPS for app, _migration in unknown):
        return Text(PREPARED_BY_NEWER, {"name": name})
    return None


def connection_problem() -> Text | None:
    """Return why the database cannot be reached, as a sentence; None when it can."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        return _no_answer(error)
    return None


def _no_answer(error: DatabaseError) -> Text:
    name = str(settings.DATABASES["default"]["NAME"])
    if connection.vendor == "sqlite" and not Path(name).parent.is_dir():
        return Text(NO_FOLDER, {"folder": str(Path(name).parent)})
    reason = str(error).strip().splitlines()[0].rstrip(".")
    return Text(DOES_NOT_ANSWER, {"name": name, "error": reason})


def known_migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of our apps (app, name) whose files are here now. None that was published is removed."""
    return frozenset(
        (app, module.name)
        for app in OUR_APPS
        for module in pkgutil.iter_modules(import_module(f"{app}.migrations").__path__)
        if not module.name.startswith("_")
    )


def applied_migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of our apps (app, name) that the database has."""
    rows = MigrationRecorder.Migration.objects.filter(app__in=OUR_APPS)
    return frozenset(rows.values_list("app", "name"))
