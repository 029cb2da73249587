"""The product's settings, with a queue in Redis that loses every tenth message."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import Q_CLUSTER

Q_CLUSTER = {**Q_CLUSTER, "broker_class": "tests.importer.lossy_queue.LossyRedis"}
