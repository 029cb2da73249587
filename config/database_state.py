"""Can the database be used as it is? Asked once, before a server or the workers start."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext_noop

from marketdata.texts import Text

DOES_NOT_ANSWER = gettext_noop("The database %(name)s does not answer: %(error)s.")


def database_problem() -> Text | None:
    """Return why the database cannot be used, as a sentence that says what to do; None when all is well."""
    name = str(settings.DATABASES["default"]["NAME"])
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        return Text(DOES_NOT_ANSWER, {"name": name, "error": reason})
    if behind:
        return Text(
            gettext_noop(
                "The database %(name)s is not prepared for this version. "
                "Run `python manage.py migrate` first (`make run` does it by itself)."
            ),
            {"name": name},
        )
    return None
