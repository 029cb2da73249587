"""Several processes take slots of one source at the same time, as the lanes of a cluster do.

``python -m tests.importer.pace_load PROCESSES SLOTS_EACH`` on the database that DATABASE_URL names, which it
migrates; it prints the moments of the slots, one a line, in seconds.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from multiprocessing.queues import SimpleQueue

import django
from django.core.management import call_command


def take_slots(count: int, moments: SimpleQueue[float]) -> None:
    from importer import pacing

    for _ in range(count):
        wait = pacing.take_slot("eastmoney")
        moments.put(time.time() + wait)
        time.sleep(wait)
        pacing.report_success("eastmoney")


def main(processes: int, slots_each: int) -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    from django.db import connections

    connections.close_all()
    fork = multiprocessing.get_context("fork")
    moments: SimpleQueue[float] = fork.SimpleQueue()
    workers = [fork.Process(target=take_slots, args=(slots_each, moments)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for _ in range(processes * slots_each):
        sys.stdout.write(f"{moments.get():.6f}\n")
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
