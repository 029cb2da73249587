"""What is wrong with this installation, in sentences. A check is a function that yields facts, and a line here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from django.utils.translation import gettext_noop

from importer.doctor import database, installation, messages, surroundings, work
from importer.doctor.facts import Fact, Verdict, broken
from marketdata.texts import Text

__all__ = ["Fact", "Verdict", "examine"]

logger = logging.getLogger(__name__)

Check = Callable[[], Iterator[Fact]]
WITHOUT_DATABASE: Sequence[Check] = (
    installation.versions,
    installation.secret_key,
    installation.translations,
    installation.debug_mode,
    installation.disk_space,
    installation.cache,
    surroundings.proxy,
    surroundings.order_of_sources,
    surroundings.broker,
    database.usable,
)
WITH_DATABASE: Sequence[Check] = (
    database.mode,
    database.file_system,
    database.write_lock,
    database.speed,
    database.clock,
    database.contents,
    database.index_of_newest_day,
    database.summaries,
    database.invariants,
    work.belonging,
    work.hosts,
    work.running_task,
    work.waiting_tasks,
    work.last_task,
    work.sources,
    surroundings.exposure,
    surroundings.calendar,
    messages.receivers_of_messages,
)


def examine() -> Iterator[Fact]:
    """Yield what each check finds, as soon as it is known; without a usable database only what needs none."""
    usable = True
    for check in WITHOUT_DATABASE:
        for fact in _facts_of(check):
            usable = usable and fact.verdict != Verdict.BROKEN
            yield fact
    if usable:
        for check in WITH_DATABASE:
            yield from _facts_of(check)


def _facts_of(check: Check) -> Iterator[Fact]:
    # A sick installation may break a check in any way, and the others are to be made all the same.
    try:
        yield from check()
    except Exception as error:
        logger.debug("The check %s failed.", check.__name__, exc_info=error)
        text = Text(
            gettext_noop("The check “%(check)s” could not be made: %(error)s."),
            {"check": check.__name__, "error": f"{type(error).__name__}: {error}".rstrip(".")},
        )
        yield broken(text)
