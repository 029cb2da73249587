"""django-q2's Redis broker, with signs of life, time limits, and patience while Redis is away."""

from __future__ import annotations

import logging
import time
from typing import Any

import redis
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf

from importer.cluster_signs import LOOK_AGAIN, Cell, current_signs
from importer.outages import OutageLog
from importer.parents import name_process

_ANSWER_WITHIN = 5.0
# django-q2 waits a second, and a stop waits for that. Fractions need Redis 6.
_POP_WITHIN = 0.4
_CONNECT_WITHIN = 3.0
_PAUSE_AFTER_ERROR = 1.0
_outage = OutageLog(logging.getLogger(__name__), "The queue in Redis")


class WatchedRedis(Redis):  # type: ignore[misc]
    """The queue in Redis."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        """Return a client that gives up: a connection that was cut without a word must not hold anybody."""
        return redis.from_url(Conf.REDIS, socket_timeout=_ANSWER_WITHIN, socket_connect_timeout=_CONNECT_WITHIN)

    def ping(self) -> bool:
        """Say whether Redis answers. The cluster starts without it, too, and waits for it."""
        try:
            return bool(self.connection.ping())
        except redis.RedisError as error:
            _outage.failed(error)
            return False

    def set_stat(self, key: str, value: str, timeout: int) -> Any:
        """Keep a statistic of the Sentinel; it comes here once in each of its rounds."""
        if signs := current_signs():
            signs.now(Cell.SENTINEL_AT)
            name_process("bv-sentinel")
        try:
            return super().set_stat(key, value, timeout)
        except redis.RedisError as error:
            _outage.failed(error)
            return None

    def dequeue(self) -> list[tuple[None, bytes]] | None:
        """Return a message for the workers, or None after a moment; an error of Redis is one, too."""
        signs = current_signs()
        if signs is None:
            return self._pop()
        name_process("bv-pusher")
        if signs.leaves_messages_to_others():
            time.sleep(LOOK_AGAIN)
            signs.now(Cell.PUSHER_AT)
            return None
        signs.set(Cell.PUSHER_ASKS, 1.0)
        signs.now(Cell.PUSHER_AT)
        try:
            found = self._pop()
            _outage.worked()
        except redis.RedisError as error:
            # django-q2's pusher would sleep for ten seconds and die.
            _outage.failed(error)
            time.sleep(_PAUSE_AFTER_ERROR)
            found = None
        signs.now(Cell.PUSHER_AT)
        signs.set(Cell.PUSHER_ASKS, 0.0)
        if found:
            signs.now(Cell.DELIVERED_AT)
        return found

    def _pop(self) -> list[tuple[None, bytes]] | None:
        found: tuple[bytes, bytes] | None = self.connection.blpop(self.list_key, _POP_WITHIN)
        return [(None, found[1])] if found else None
