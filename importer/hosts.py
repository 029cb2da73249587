"""The machines that run a cluster: each says every few seconds that it is there, and how it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from enum import IntEnum

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext, gettext_noop

from importer.belonging import Misfit, running_code
from importer.cluster_failing import cluster_fails
from importer.dbtime import db_now
from importer.models import Host
from importer.parents import is_alive
from importer.storage_trouble import disk_is_full
from marketdata.texts import Text

# A host says that it is there every 2 seconds; one or two may come late.
ALIVE_WITHIN = timedelta(seconds=10)
# A row from the future was written before a clock was set back.
CLOCK_TOLERANCE = timedelta(minutes=1)
# One that went away without a word is missed for this long on the pages; one that was stopped is not missed.
MISSED_FOR = timedelta(hours=24)
FORGOTTEN_AFTER = timedelta(days=7)


class Trouble(IntEnum):
    """What a host's cluster suffers from; kept as a number in shared memory, as a sentence in the database."""

    NONE = 0
    CRASH_LOOP = 1
    DISPATCH_FAILS = 2
    OTHER_KEY = 3
    OLD_CODE = 4
    OLD_TABLES = 5


_SENTENCES = {
    Trouble.NONE: "",
    Trouble.CRASH_LOOP: gettext_noop(
        "The workers of this host fail again and again before they store anything. "
        "They are started again once a minute; the log of the host says why they failed."
    ),
    Trouble.DISPATCH_FAILS: gettext_noop(
        "This host cannot hand out work because of an error in the program; its log has the details."
    ),
    Trouble.OTHER_KEY: gettext_noop(
        "This host takes no work: its secret key is not the one that the database belongs to. "
        "Copy the key from a host that works, then restart this one."
    ),
    Trouble.OLD_CODE: gettext_noop(
        "This host takes no new stock: it runs an older version than the database has been used with. "
        "Update it, and restart it."
    ),
    Trouble.OLD_TABLES: gettext_noop(
        "This host takes no work: it runs a newer version than the tables of the database. "
        "Run `python manage.py migrate`."
    ),
}
_NOTHING_CAN_BE_WRITTEN = gettext_noop(
    "The disk that holds the database is full: nothing can be written, not even that workers are there. "
    "Make room; what was started goes on by itself then."
)
MISFITS = {
    Misfit.OTHER_KEY: Trouble.OTHER_KEY,
    Misfit.OLD_CODE: Trouble.OLD_CODE,
    Misfit.OLD_TABLES: Trouble.OLD_TABLES,
}


def live_hosts() -> list[Host]:
    """Return the hosts whose cluster gave a sign of life within the last ten seconds, by name."""
    now = db_now()
    seen = Q(seen_at__gte=now - ALIVE_WITHIN, seen_at__lte=now + CLOCK_TOLERANCE)
    return list(Host.objects.filter(seen, pid__isnull=False).order_by("name"))


def namesake(name: str) -> int | None:
    """Return the process of another cluster of this machine that is alive under ``name``; None when there is none.

    The two take turns in one row: pages and API then count the workers of one of them.
    """
    pids = [host.pid for host in live_hosts() if host.name == name and host.pid is not None]
    return next((pid for pid in pids if pid != os.getpid() and is_alive(pid)), None)


def live_workers() -> int:
    """Return how many workers the live hosts have together; those that must not work count none."""
    return sum(host.workers for host in live_hosts())


def still_running() -> Text | None:
    """Return what to do about the live hosts, for whoever needs the database to itself; None when there is none."""
    alive = ", ".join(host.name for host in live_hosts())
    sentence = gettext_noop("Workers are running on: %(hosts)s. Stop them first, then give this command again.")
    return Text(sentence, {"hosts": alive}) if alive else None


def missed_hosts() -> list[Host]:
    """Return the hosts that went away without a word within the last day, by name."""
    now = db_now()
    silent = Q(seen_at__lt=now - ALIVE_WITHIN, seen_at__gte=now - MISSED_FOR)
    return list(Host.objects.filter(silent, pid__isnull=False).order_by("name"))


def forget_old_hosts() -> None:
    """Delete the hosts that were not heard of for a week."""
    Host.objects.filter(seen_at__lt=db_now() - FORGOTTEN_AFTER).delete()


def trouble_of(host: Host) -> str:
    """Return the sentence that says what is wrong with a host's cluster, in the reader's language, or ''."""
    return gettext(host.trouble) if host.trouble else ""


def trouble_here(alive: Sequence[Host]) -> str:
    """Return the sentence about this machine's cluster when it ends again and again, or the disk is full; else ''.

    It is not among those ``alive`` then, and its row cannot tell.
    """
    if any(host.name == settings.HOST_NAME for host in alive):
        return ""
    if disk_is_full():
        return gettext(_NOTHING_CAN_BE_WRITTEN)
    return gettext(_SENTENCES[Trouble.CRASH_LOOP]) if cluster_fails() else ""


def say_alive(name: str, *, pid: int, workers: int, restarts: int, trouble: Trouble) -> None:
    """Write down that the cluster whose main process is ``pid`` runs on host ``name``."""
    now = db_now()
    values = {
        "workers": workers,
        "seen_at": now,
        "restarts": restarts,
        "trouble": _SENTENCES[trouble],
        "version": code_version(),
    }
    if not Host.objects.filter(name=name, pid=pid).update(**values):
        Host.objects.update_or_create(name=name, defaults={**values, "pid": pid, "started_at": now})


def say_gone(name: str, *, pid: int) -> None:
    """Write down that the cluster ``pid`` of host ``name`` was stopped, so that nobody waits to miss it."""
    Host.objects.filter(name=name, pid=pid).update(pid=None)


def code_version() -> str:
    """Return the version of the code that this process runs."""
    return running_code().version
