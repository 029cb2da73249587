"""What the cluster's main process imports before it forks, so that all its processes share the memory.

Measured with two workers: pandas, loaded by each process when it first needs it, costs each some 40 MB of its
own; AKShare another 30 MB. No module here may start a thread of ours: a fork copies only the one that forks.
"""

from __future__ import annotations

import os
from importlib import import_module

from django.conf import settings


def preload() -> None:
    """Import what lanes use, and read the exchange's calendar; AKShare only where the default source needs it."""
    # Read when numpy is first imported: its threads would not survive the fork, and lanes are parallel already.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    import importer.dispatch
    import importer.lanes  # noqa: F401
    from importer.sources.registry import AUTO, SOURCES
    from marketdata.trading_days import installed_calendar

    installed_calendar()
    default = SOURCES.get(settings.SOURCE)
    if settings.SOURCE == AUTO or (default is not None and default.network):
        # Not AKShare itself: its progress bars have to be silenced before it is imported.
        import_module("importer.sources.akshare.eastmoney")
