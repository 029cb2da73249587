from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.apps import AppConfig

# The first victim dies in the first way, the next one in the next.
WAYS_TO_DIE: tuple[Callable[[], Any], ...] = (
    # A library that gives up.
    lambda: os._exit(3),
    # A crash in C code.
    lambda: os.kill(os.getpid(), signal.SIGSEGV),
)
SHORT_LEASE = timedelta(seconds=2)


class DeadlyConfig(AppConfig):
    name = "tests.importer.deadly"

    def ready(self) -> None:
        from importer import chunks, cluster_dispatcher, lanes, slots
        from importer.sources.simulated import Simulated

        chunks.SLOT_LEASE = slots.SLOT_LEASE = slots.MESSAGE_LEASE = SHORT_LEASE
        lanes.HEARTBEAT_EVERY = 0.5
        cluster_dispatcher.ROUND = 0.5
        victims = os.environ.get("BARVAULT_TEST_DEADLY", "").split()
        ask = Simulated.daily_bars

        def daily_bars(source: Simulated, symbol: str, start: date, end: date) -> Any:
            if symbol in victims:
                WAYS_TO_DIE[victims.index(symbol) % len(WAYS_TO_DIE)]()
            return ask(source, symbol, start, end)

        Simulated.daily_bars = daily_bars
