"""A cluster that ends again and again is told by the process above it, since it cannot tell anybody itself.

Kept in the cache, which all processes of one machine share: ``serve`` must not wait for a database.
"""

from __future__ import annotations

import logging

from django.core.cache import cache

logger = logging.getLogger(__name__)

_KEY = "barvault-cluster-fails"
# Longer than the longest delay between two starts, together with a start that fails late.
_REMEMBERED = 180


def say_cluster_fails() -> None:
    """Remember for some minutes that this machine's cluster ends again and again."""
    try:
        cache.set(_KEY, True, _REMEMBERED)
    except OSError as error:
        # A full disk, for example: whoever supervises goes on.
        logger.warning("Could not tell the page that the cluster fails: %s", error)


def cluster_fails() -> bool:
    """Say whether this machine's cluster has ended again and again within the last minutes."""
    return bool(cache.get(_KEY, False))
