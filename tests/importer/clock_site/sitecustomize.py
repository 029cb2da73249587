"""For processes that tests start: a clock that is BARVAULT_TEST_CLOCK_OFFSET seconds ahead, and goes on from there."""

from __future__ import annotations

import os
import time

import time_machine

if offset := os.environ.get("BARVAULT_TEST_CLOCK_OFFSET"):
    time_machine.travel(time.time() + float(offset), tick=True).start()
