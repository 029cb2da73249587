"""django-q2's database broker, with signs of life and without its ten seconds of sleep after an error."""

from __future__ import annotations

import logging
import time
from typing import Any

import django.db
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from importer.cluster_signs import LOOK_AGAIN, Cell, current_signs
from importer.outages import OutageLog
from importer.parents import name_process

_PAUSE_AFTER_ERROR = 1.0
_outage = OutageLog(logging.getLogger(__name__), "The queue in the database")
_statistics = OutageLog(logging.getLogger(__name__), "The statistics in the cache")


class WatchedOrm(ORM):  # type: ignore[misc]
    """The queue in the database, next to the data."""

    def set_stat(self, key: str, value: str, timeout: int) -> Any:
        """Keep a statistic of the Sentinel; it comes here once in each of its rounds."""
        if signs := current_signs():
            signs.now(Cell.SENTINEL_AT)
            name_process("bv-sentinel")
        try:
            kept = super().set_stat(key, value, timeout)
            _statistics.worked()
            return kept
        except OSError as error:
            # The cache is files. Nobody needs a statistic, and django-q2 would say so twice a second.
            _statistics.failed(error)
            return None

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Return messages for the workers, or None after a moment; an error of the database is one, too."""
        signs = current_signs()
        if signs is None:
            return super().dequeue()  # type: ignore[no-any-return]
        name_process("bv-pusher")
        if signs.leaves_messages_to_others():
            time.sleep(LOOK_AGAIN)
            signs.now(Cell.PUSHER_AT)
            return None
        signs.set(Cell.PUSHER_ASKS, 1.0)
        signs.now(Cell.PUSHER_AT)
        try:
            found: list[tuple[int, str]] | None = super().dequeue()
            _outage.worked()
        except django.db.Error as error:
            # django-q2's pusher would sleep for ten seconds and die.
            _outage.failed(error)
            django.db.connections[Conf.ORM].close()
            time.sleep(_PAUSE_AFTER_ERROR)
            found = None
        signs.now(Cell.PUSHER_AT)
        signs.set(Cell.PUSHER_ASKS, 0.0)
        if found:
            signs.now(Cell.DELIVERED_AT)
        return found

    def acknowledge(self, task_id: int) -> None:
        """Delete a message that was dealt with.

        After an error of the database it comes again later, and then it is void: nothing is lost, and the
        monitor must not die of it.
        """
        signs = current_signs()
        if signs is not None:
            signs.set(Cell.MONITOR_SAVES, 1.0)
        try:
            super().acknowledge(task_id)
        except django.db.Error as error:
            _outage.failed(error)
            django.db.connections[Conf.ORM].close()
