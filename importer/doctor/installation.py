"""Checks of what is installed here, and of this machine's disk."""

from __future__ import annotations

import os
import re
import stat
import sys
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from django.conf import settings
from django.core.cache import cache as default_cache
from django.utils.translation import gettext_noop

from config.database_state import NO_FOLDER
from config.translations import LOCALE_DIR
from importer.doctor.facts import Fact, finding, fine

OLDEST_PYTHON = (3, 11)
# A full import of the whole market since 2021 takes about this much.
FREE_BYTES_WANTED = 1_000_000_000
NAMED_PACKAGES = ("Django", "django-q2", "akshare", "pandas")
_REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.\-]*")


def versions() -> Iterator[Fact]:
    """Python is new enough, and every package that requirements.txt names is there."""
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield finding(
            gettext_noop("Python %(version)s is too old: install 3.11 or newer, then `make install`."), version=python
        )
    missing = sorted(name for name in _required() if _version(name) is None)
    if missing:
        yield finding(gettext_noop("Not installed: %(names)s. Run `make install`."), names=", ".join(missing))
    packages = ", ".join(f"{name} {_version(name)}" for name in NAMED_PACKAGES if _version(name))
    yield fine(gettext_noop("Python %(python)s, %(packages)s."), python=python, packages=packages)


def secret_key() -> Iterator[Fact]:
    """Whoever reads the key and reaches the queue can run code: only its owner may read the file."""
    path = settings.VAR_DIR / "secret_key"
    if "SECRET_KEY" in os.environ:
        if len(settings.SECRET_KEY) < 32:
            yield finding(
                gettext_noop(
                    "SECRET_KEY is short: whoever guesses it can run code here. Set a long random one, or remove it "
                    "and one is made."
                )
            )
        else:
            yield fine(gettext_noop("The secret key comes from SECRET_KEY."))
        return
    if os.name != "posix" or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield finding(
            gettext_noop("Others can read the secret key (mode %(mode)s). Run: chmod 600 %(path)s"),
            mode=f"{mode:o}",
            path=str(path),
        )
    else:
        yield fine(gettext_noop("Only its owner can read the secret key."))


def translations() -> Iterator[Fact]:
    """The compiled catalogues are as new as their sources."""
    for source in sorted(LOCALE_DIR.glob("*/LC_MESSAGES/*.po")):
        compiled = source.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            yield finding(
                gettext_noop("The texts in %(folder)s are out of date, because this user may not write there."),
                folder=str(compiled.parent),
            )


def debug_mode() -> Iterator[Fact]:
    if settings.DEBUG:
        yield finding(gettext_noop("DEBUG is on: error pages show settings and code, and memory grows. Remove DEBUG."))


def disk_space() -> Iterator[Fact]:
    """Enough space is left where SQLite's file and the var folder are."""
    import shutil

    database = settings.DATABASES["default"]
    folder = settings.VAR_DIR
    if database["ENGINE"] == "config.sqlite":
        folder = Path(database["NAME"]).parent
    if not folder.is_dir():
        yield finding(NO_FOLDER, folder=str(folder))
        return
    free = shutil.disk_usage(folder).free
    values = {"free": gigabytes(free), "folder": str(folder)}
    if free < FREE_BYTES_WANTED:
        yield finding(
            gettext_noop("Only %(free)s GB are free in %(folder)s; a full import takes about 1 GB. Make room."),
            **values,
        )
    else:
        yield fine(gettext_noop("%(free)s GB are free in %(folder)s."), **values)


def cache() -> Iterator[Fact]:
    """What is put into the cache comes back; django-q2 keeps its statistics there."""
    key, value = f"doctor-{uuid.uuid4().hex}", "there"
    try:
        default_cache.set(key, value, 30)
        got = default_cache.get(key)
        default_cache.delete(key)
    except OSError as error:
        yield finding(
            gettext_noop("The cache cannot be used (%(error)s). Let this user write %(folder)s."),
            error=str(error),
            folder=str(settings.VAR_DIR / "cache"),
        )
        return
    if got == value:
        yield fine(gettext_noop("The cache works."))
    else:
        yield finding(gettext_noop("The cache loses what is put into it. Remove the folder %(folder)s."), folder=str(settings.VAR_DIR / "cache"))  # fmt: skip  # noqa: E501


def gigabytes(count: int) -> str:
    """Return bytes as gigabytes, with one decimal."""
    return f"{count / 1e9:,.1f}"


def _required() -> Iterator[str]:
    for line in (settings.BASE_DIR / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if match := _REQUIREMENT.match(line):
            yield match.group()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
