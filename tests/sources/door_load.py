"""Several processes ask Eastmoney at the same time, as the lanes of a cluster do.

``python -m tests.sources.door_load PROCESSES REQUESTS_EACH`` on the database that DATABASE_URL names, which it
migrates. The environment leads it to a stand-in.
"""

from __future__ import annotations

import multiprocessing
import sys
from datetime import date

import django
from django.core.management import call_command


def ask(count: int) -> None:
    from importer.sources.akshare.eastmoney import Eastmoney

    for _ in range(count):
        assert len(Eastmoney().daily_bars("600519.SH", date(2024, 1, 1), date(2024, 6, 28))) == 117


def main(processes: int, requests_each: int) -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    # Connections that are made before the fork must not be shared after it.
    ask(1)
    from django.db import connections

    connections.close_all()
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=ask, args=(requests_each,)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(max(abs(worker.exitcode or 0) for worker in workers))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
