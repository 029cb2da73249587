"""Checks of the database: can it be used, is it fast enough, does it hold what it claims to."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext_noop

from config.database_state import database_problem
from importer import status
from importer.dbtime import db_now
from importer.doctor.facts import Fact, broken, finding, fine
from importer.doctor.installation import gigabytes
from importer.invariants import lasting_violations
from marketdata.completeness import newest_figures
from marketdata.index_days import with_index
from marketdata.market_index import IndexAnswer
from marketdata.models import Origin
from marketdata.store import current_origin, verify_summaries
from marketdata.texts import sentence

# A fifth of what a slow laptop manages; below it a full import is limited by the disk.
ROWS_PER_SECOND_WANTED = 2_000
ROUND_TRIP_WANTED = 0.02
LOCK_WITHIN = 5.0
CLOCK_OFF_AT_MOST = 60.0
SHOWN = 5
# SQLite's write-ahead log needs memory that processes share, which these do not give.
REMOTE_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "drvfs", "fuse.sshfs", "afs", "virtiofs", "vboxsf")


def usable() -> Iterator[Fact]:
    """The database answers and has this version's tables; without that the other checks are not made."""
    problem = database_problem()
    if problem is not None:
        yield broken(problem)


def mode() -> Iterator[Fact]:
    """SQLite is in WAL mode, which its file system may refuse."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            (version,) = cursor.fetchone()
        yield fine(gettext_noop("The database is PostgreSQL %(version)s."), version=version)
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        (journal,) = cursor.fetchone()
    if journal == "wal":
        yield fine(gettext_noop("The database is SQLite %(version)s in WAL mode."), version=sqlite3.sqlite_version)
    else:
        yield finding(
            gettext_noop(
                "SQLite is in the mode “%(mode)s” instead of WAL, so that readers and workers wait for each other. "
                "Move the database to a local disk."
            ),
            mode=journal,
        )


def file_system() -> Iterator[Fact]:
    """SQLite's file is on a local disk, as far as Linux tells."""
    if connection.vendor != "sqlite":
        return
    folder = _file().parent.resolve()
    kind = _file_system_of(folder, _mounts())
    if kind is not None and kind.startswith(REMOTE_FILE_SYSTEMS):
        yield finding(
            gettext_noop(
                "SQLite's file is on a disk that is not local (%(kind)s, %(folder)s), where it can be damaged. Move it "
                "to a local disk (under WSL2: not below /mnt), and set DATABASE_URL or BARVAULT_VAR_DIR."
            ),
            kind=kind,
            folder=str(folder),
        )


def write_lock() -> Iterator[Fact]:
    """Nobody holds SQLite's write lock for seconds."""
    if connection.vendor != "sqlite":
        return
    own = sqlite3.connect(_file(), timeout=LOCK_WITHIN, isolation_level=None)
    try:
        own.execute("BEGIN IMMEDIATE")
        own.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        yield finding(
            gettext_noop(
                "The database cannot be written (%(error)s). Close other programs that have %(file)s open, and let "
                "this user write it and its folder."
            ),
            error=str(error),
            file=str(_file()),
        )
    finally:
        own.close()


def speed() -> Iterator[Fact]:
    """Writing beside SQLite's file is fast enough; a PostgreSQL server is near enough."""
    if connection.vendor == "sqlite":
        rate = _rows_per_second(_file().parent)
        if rate < ROWS_PER_SECOND_WANTED:
            yield finding(
                gettext_noop("The disk takes only %(rate)s bars a second: imports will be slow. Use a faster disk."),
                rate=round(rate),
            )
        else:
            yield fine(gettext_noop("The disk takes about %(rate)s bars a second."), rate=1000 * round(rate / 1000))
        return
    trip = _round_trip()
    milliseconds = f"{1000 * trip:.1f}"
    if trip > ROUND_TRIP_WANTED:
        yield finding(
            gettext_noop("The database takes %(time)s ms to answer: imports will be slow. Use a nearer server."),
            time=milliseconds,
        )
    else:
        yield fine(gettext_noop("The database answers in %(time)s ms."), time=milliseconds)


def clock() -> Iterator[Fact]:
    """The database's clock, by which leases run, is this machine's, by which days end."""
    off = abs((db_now() - timezone.now()).total_seconds())
    if off > CLOCK_OFF_AT_MOST:
        yield finding(
            gettext_noop("The database's clock differs from this machine's by %(seconds)s s. Set both by NTP."),
            seconds=round(off),
        )


def contents() -> Iterator[Fact]:
    space = status.space()
    data = status.data_status()
    if not data.bar_count:
        yield fine(gettext_noop("No bars are stored yet. Import some with `python manage.py import_bars`."))
        return
    kind = gettext_noop("simulated market") if current_origin() == Origin.SIMULATED else gettext_noop("real market")
    yield fine(
        gettext_noop(
            "The %(market)s: %(bars)s bars of %(stocks)s stocks, %(first)s to %(last)s; %(size)s GB. "
            "%(current)s stocks are known until %(newest)s, the newest finished trading day."
        ),
        market={"msgid": kind, "values": {}},
        bars=data.bar_count,
        stocks=data.stocks_with_bars,
        first=str(data.first_date),
        last=str(data.last_date),
        size=gigabytes(space.used),
        current=data.stocks_up_to_date,
        newest=str(data.newest_finished_day),
    )


def index_of_newest_day() -> Iterator[Fact]:
    """The bars of the newest finished day add up to the turnover of the exchanges' indexes, where these are known."""
    figures = with_index(newest_figures(status.data_status().newest_finished_day))
    day = figures.day.isoformat()
    if figures.index.answer == IndexAnswer.DIFFERS:
        yield finding(
            gettext_noop(
                "The bars of %(day)s do not add up to the index, although no stock seems to be missing. %(differing)s. "
                "Run: python manage.py repair_bars --start %(day)s --end %(day)s"
            ),
            day=day,
            differing=sentence(figures.index.text),
        )
    elif figures.index.answer == IndexAnswer.AGREES:
        yield fine(gettext_noop("The bars of %(day)s add up to the turnover of the exchange's index."), day=day)


def summaries() -> Iterator[Fact]:
    """Each stock's row says about its bars what a count says; a difference that passes is an import at work."""
    wrong = verify_summaries()
    if wrong:
        again = {each.symbol for each in verify_summaries()}
        wrong = [each for each in wrong if each.symbol in again]
    if not wrong:
        yield fine(gettext_noop("Every stock's summary is what a count of its bars says."))
        return
    symbols = ", ".join(each.symbol for each in wrong[:SHOWN])
    yield finding(
        gettext_noop(
            "%(count)s stocks' summaries are not what a count of their bars says (%(symbols)s…). Something else than "
            "Barvault wrote to the table of bars. Fetch them again: python manage.py import_bars --refresh --symbols …"
        ),
        count=len(wrong),
        symbols=symbols,
    )


def invariants() -> Iterator[Fact]:
    found = lasting_violations()
    for text in found:
        yield finding(
            gettext_noop("%(violation)s This should not be possible: please report it."), violation=sentence(text)
        )
    if not found:
        yield fine(gettext_noop("The tables of tasks are consistent."))


def _file() -> Path:
    return Path(settings.DATABASES["default"]["NAME"])


def _mounts() -> list[tuple[str, str]]:
    """Return each mount point and its kind of file system; nothing where there is no /proc."""
    table = Path("/proc/self/mounts")
    if not table.exists():
        return []
    fields = [line.split() for line in table.read_text(errors="replace").splitlines()]
    return [(field[1].replace("\\040", " "), field[2]) for field in fields if len(field) > 2]


def _file_system_of(folder: Path, mounts: list[tuple[str, str]]) -> str | None:
    """Return the kind of the file system that ``folder`` is on: of the deepest mount point above it."""
    above = [(len(Path(point).parts), kind) for point, kind in mounts if folder.is_relative_to(point)]
    # Of two mounts at one point the later one is seen.
    return max(enumerate(above), key=lambda pair: (pair[1][0], pair[0]))[1][1] if above else None


def _rows_per_second(folder: Path) -> float:
    """Return how many bars a second a scratch database in ``folder`` takes, with the settings of the real one."""
    rows = [(stock, day, 1.0, 2.0, 0.5, 1.5, 1_000, 1_500.0, "doctor") for stock in range(5) for day in range(50)]
    commits = 20
    with tempfile.TemporaryDirectory(prefix="doctor-", dir=folder) as scratch:
        own = sqlite3.connect(Path(scratch) / "scratch.sqlite3", isolation_level=None)
        try:
            own.execute("PRAGMA journal_mode=WAL")
            own.execute("PRAGMA synchronous=NORMAL")
            own.execute("CREATE TABLE bar (stock, date, open, high, low, close, volume, amount, source)")
            began = time.perf_counter()
            for _commit in range(commits):
                own.execute("BEGIN IMMEDIATE")
                own.executemany("INSERT INTO bar VALUES (?,?,?,?,?,?,?,?,?)", rows)
                own.execute("COMMIT")
            return commits * len(rows) / (time.perf_counter() - began)
        finally:
            own.close()


def _round_trip() -> float:
    """Return the median of some round trips to the server, in seconds."""
    times = []
    with connection.cursor() as cursor:
        for _trip in range(20):
            began = time.perf_counter()
            cursor.execute("SELECT 1")
            times.append(time.perf_counter() - began)
    return statistics.median(times)
