"""Find a task by its id, or by the first characters of it."""

from __future__ import annotations

import re

from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest, UnknownTask
from importer.lifecycle import get_task
from importer.models import ImportTask

SHORTEST_PREFIX = 4
# Where a UUID has its hyphens.
_HYPHENS_AFTER = (8, 12, 16, 20)
_DIGITS = 32


def find_task(text: str) -> ImportTask:
    """Return the task whose id is ``text``, or begins with it (at least four characters).

    Raises UnknownTask, or BadRequest when it is shorter or several tasks' ids begin so.
    """
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch(r"[0-9a-f]+", digits) or len(digits) > _DIGITS:
        raise UnknownTask(task=text)
    if len(digits) < SHORTEST_PREFIX:
        raise BadRequest(
            "task",
            gettext_noop("“%(prefix)s” is too short. Give at least the first %(least)s characters of the id."),
            prefix=text,
            least=SHORTEST_PREFIX,
        )
    if len(digits) == _DIGITS:
        return get_task(digits)
    found = list(ImportTask.objects.filter(id__startswith=_hyphenated(digits))[:3])
    if not found:
        raise UnknownTask(task=text)
    if len(found) > 1:
        raise BadRequest(
            "task", gettext_noop("Several tasks' ids begin with %(prefix)s. Give more of the id."), prefix=text
        )
    return found[0]


def _hyphenated(digits: str) -> str:
    """Write the beginning of a UUID as PostgreSQL does; SQLite's lookup takes the hyphens out again."""
    parts = []
    start = 0
    for end in (*_HYPHENS_AFTER, _DIGITS):
        if len(digits) > start:
            parts.append(digits[start:end])
        start = end
    return "-".join(parts)
