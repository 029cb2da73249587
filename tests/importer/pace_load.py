"""Several processes take slots of one source at the same time, as the lanes of a cluster do.

``python -m tests.importer.pace_load PROCESSES SLOTS_EACH`` on the database that DATABASE_URL names, which it
migrates. With the log level DEBUG, the log tells of the slots.
"""

from __future__ import annotations

import multiprocessing
import sys

import django
from django.core.management import call_command

# Slots that are taken before the processes start: the queue is never empty, however slowly the machine starts them, so
# that no slot is lost because nobody asks. All of them lie within what may be reserved ahead.
AHEAD = 40


def take_slots(count: int) -> None:
    from importer import pacing

    for _ in range(count):
        pacing.take_slot("eastmoney")
        pacing.report_success("eastmoney")


def main(processes: int, slots_each: int) -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    take_slots(AHEAD)
    from django.db import connections

    connections.close_all()
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=take_slots, args=(slots_each,)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(max(abs(worker.exitcode or 0) for worker in workers))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
