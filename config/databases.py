"""How Django talks to a database of each kind: what an address becomes in ``DATABASES``. Nothing here needs Django's
settings."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

# Measured: docs/decisions/001-storage.md
_SQLITE = {
    "timeout": 60,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
}
# Without these a server that vanished without a word (a cut cable) would hold a process for hours.
_POSTGRESQL = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    # The other way round: who vanished in the middle of a transaction would keep its locks, and the others waiting, for
    # as long. A lane's lease is as long as this (importer.leases); nothing of Barvault is silent in a transaction.
    "options": "-c idle_in_transaction_session_timeout=8s",
}


def complete_database(parsed: dict[str, Any], var_dir: Path, variable: str = "DATABASE_URL") -> dict[str, Any]:
    """Return the address that ``variable`` names, as parsed, with the options that Barvault needs.

    Raises ImproperlyConfigured for a database of another kind.
    """
    database = {**parsed, "CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["ENGINE"] = "config.sqlite"
        database["OPTIONS"] = dict(_SQLITE)
        # Workers and helper threads share the test database, so it has to be a file.
        database["TEST"] = {"NAME": str(var_dir / "test.sqlite3")}
    elif database["ENGINE"] == "django.db.backends.postgresql":
        database["OPTIONS"] = {**_POSTGRESQL, **database.get("OPTIONS", {})}
    else:
        raise ImproperlyConfigured(
            f"{variable} names {database['ENGINE']}; Barvault stores bars in SQLite or PostgreSQL (sqlite:///… or postgres://…)."
        )
    return database


def placed_below(parsed: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the address as parsed, an SQLite file without a full path taken as below ``folder``.

    SQLite itself takes it as below the folder in which a process happens to work: a notebook elsewhere would make a
    new, empty database there and read that one.
    """
    name = str(parsed.get("NAME") or "")
    if parsed.get("ENGINE") != "django.db.backends.sqlite3" or not name or name.startswith((":", "file:")):
        return parsed
    return {**parsed, "NAME": str(folder / name)}


def database_at(address: str, var_dir: Path) -> dict[str, Any]:
    """Return the database at an address as Django wants it. Raises ImproperlyConfigured for one that names none."""
    with warnings.catch_warnings():
        # It only repeats what is raised below.
        warnings.simplefilter("ignore")
        parsed = environ.Env.db_url_config(address)
    if not parsed.get("ENGINE"):
        raise ImproperlyConfigured("Not an address of a database.")
    return complete_database(parsed, var_dir)
