"""Does this process belong to the database? Same secret key, no older code, and tables of its version.

Messages between hosts are signed with the secret key, and after an upgrade old code must not write into new
tables. Asked before a cluster starts, and by its dispatcher in each round, since the database may be upgraded
while an old cluster runs.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import tomllib
from dataclasses import dataclass
from enum import Enum
from functools import cache

from django.conf import settings
from django.utils.translation import gettext_noop

from config.database_state import PREPARED_BY_NEWER, applied_migrations, known_migrations
from importer.models import Seal
from marketdata.texts import Text

# A key that somebody made up must not be found by trying words; this takes some 50 ms, once in a process.
_ROUNDS = 100_000


class Misfit(Enum):
    """Why a process must not work on the database."""

    OTHER_KEY = "other_key"
    OLD_CODE = "old_code"  # the database has been used, or prepared, by a newer version
    OLD_TABLES = "old_tables"  # the database was not migrated to this version


@dataclass(frozen=True)
class RunningCode:
    """What this process was started with; the files may be newer by now."""

    version: str
    migrations: frozenset[tuple[str, str]]


@cache
def running_code() -> RunningCode:
    """Return the code of this process: read once, so ask before forking."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        version: str = tomllib.load(file)["project"]["version"]
    return RunningCode(version, known_migrations())


def misfit(code: RunningCode | None = None) -> Misfit | None:
    """Return why this process must not work on the database; None when it may."""
    code = code or running_code()
    applied = applied_migrations()
    if applied - code.migrations:
        return Misfit.OLD_CODE
    if code.migrations - applied:
        return Misfit.OLD_TABLES
    seal = _seal()
    if seal is None:
        return None
    if is_older(code.version, seal.version):
        return Misfit.OLD_CODE
    return None if _is_sealed_by_our_key(seal) else Misfit.OTHER_KEY


def join(code: RunningCode | None = None) -> Text | None:
    """Before a cluster starts: seal a database that has no seal yet, and note a newer version.

    Returns why the cluster must not start, with what to do; None when all is well.
    """
    code = code or running_code()
    salt = secrets.token_hex(16)
    seal, _made = Seal.objects.get_or_create(
        pk=1, defaults={"key_salt": salt, "key_fingerprint": _fingerprint(salt), "version": code.version}
    )
    if problem := misfit_text(misfit(code), code):
        return problem
    if is_older(seal.version, code.version):
        Seal.objects.filter(pk=1, version=seal.version).update(version=code.version)
    return None


def misfit_text(found: Misfit | None, code: RunningCode | None = None) -> Text | None:
    """Return the sentence that says what is wrong and what to do."""
    code = code or running_code()
    if found is Misfit.OTHER_KEY:
        return Text(
            gettext_noop(
                "This machine's secret key is not the one that the database belongs to, so that the hosts would not "
                "understand each other. Copy the file %(file)s (or SECRET_KEY) from a machine that works. If that key "
                "is lost, stop every host and run `python manage.py claim_database --key`: everybody has to log in "
                "again, and nothing else is lost."
            ),
            {"file": str(settings.VAR_DIR / "secret_key")},
        )
    if found is Misfit.OLD_CODE and not is_older(code.version, newest_version()):
        return Text(PREPARED_BY_NEWER, {"name": str(settings.DATABASES["default"]["NAME"])})
    if found is Misfit.OLD_CODE:
        return Text(
            gettext_noop(
                "The database has been used by a newer version (%(newest)s) than this one (%(ours)s), which could "
                "spoil it. Update Barvault on this machine. To go back to this version on every machine, stop them "
                "all and run `python manage.py claim_database --release`."
            ),
            {"newest": newest_version(), "ours": code.version},
        )
    if found is Misfit.OLD_TABLES:
        return Text(
            gettext_noop("The tables of the database are of an older version. Run `python manage.py migrate` first.")
        )
    return None


def claim_key() -> None:
    """Make this machine's secret key the one that the database belongs to."""
    salt = secrets.token_hex(16)
    Seal.objects.update_or_create(
        pk=1,
        defaults={"key_salt": salt, "key_fingerprint": _fingerprint(salt)},
        create_defaults={"key_salt": salt, "key_fingerprint": _fingerprint(salt), "version": running_code().version},
    )


def claim_release() -> None:
    """Make this version the newest one that the database has seen, though there was a newer one."""
    Seal.objects.filter(pk=1).update(version=running_code().version)


def newest_version() -> str:
    """Return the newest version that has worked on the database; this one's for a database without a seal."""
    seal = _seal()
    return seal.version if seal is not None else running_code().version


def is_older(version: str, than: str) -> bool:
    """Compare two versions by their numbers: 0.9.1 is older than 0.10."""
    return _numbers(version) < _numbers(than)


def _numbers(version: str) -> list[int]:
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def _seal() -> Seal | None:
    return Seal.objects.filter(pk=1).first()


def _is_sealed_by_our_key(seal: Seal) -> bool:
    return secrets.compare_digest(seal.key_fingerprint, _fingerprint(seal.key_salt))


def _fingerprint(salt: str) -> str:
    return _derived(settings.SECRET_KEY, salt)


@cache
def _derived(key: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", key.encode(), salt.encode(), _ROUNDS).hex()
