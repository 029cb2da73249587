"""Everything from one database into another, empty one: from SQLite to PostgreSQL, or the other way.

Generic over the models of all installed apps, so that a new table needs nothing here. What is not copied: the
queue and its results, which are a bell and not a ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, DatabaseError, Error, connections, models, transaction
from django.utils.translation import gettext_noop

from config.database_state import DOES_NOT_ANSWER, OUR_APPS
from config.databases import database_at
from importer.exceptions import ImporterError
from importer.hosts import still_running
from marketdata.bars_moving import copy_bars
from marketdata.integrity import bars_hash
from marketdata.models import Bar

SOURCE, TARGET = DEFAULT_DB_ALIAS, "target"
_NOT_COPIED = {"django_q_ormq", "django_q_task"}
_ROWS_AT_ONCE = 1_000
# PostgreSQL's errors name the column after the reason, then repeat the row.
_ERROR_LENGTH = 200


class CannotMove(ImporterError):
    """The other database is not to be written; nothing was changed in either."""

    code = "cannot_move"


@dataclass(frozen=True)
class Moved:
    """What was copied, and verified: rows of each table, and the hash of all bars."""

    rows: dict[str, int]
    hash: str


@contextmanager
def target_database(address: str) -> Iterator[None]:
    """Let Django know the database at ``address`` as TARGET. Raises CannotMove for an address that names none."""
    try:
        database = database_at(address, settings.VAR_DIR)
    except (ImproperlyConfigured, ValueError) as error:
        raise CannotMove(
            gettext_noop("This is no address of a database: write sqlite:////path/file or postgres://user@host/name.")
        ) from error
    connections.settings = connections.configure_settings({**connections.settings, TARGET: database})
    try:
        yield
    finally:
        connections[TARGET].close()
        del connections[TARGET]
        del connections.settings[TARGET]


def check_target() -> None:
    """Raise CannotMove unless the target is another database than the source, answers, and holds nothing.

    Tables that an interrupted move has left are no obstacle as long as they are empty.
    """
    _check_it_is_another()
    target = connections[TARGET]
    try:
        present = set(target.introspection.table_names())
    except Error as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise CannotMove(DOES_NOT_ANSWER, name=str(target.settings_dict["NAME"]), error=reason) from error
    known = {model._meta.db_table for model in _all_models()} | {"django_migrations"}
    if foreign := sorted(present - known):
        raise CannotMove(
            gettext_noop("The other database holds tables that are not Barvault's (%(tables)s). Use an empty one."),
            tables=", ".join(foreign[:5]),
        )
    for model in _own_models():
        if model._meta.db_table in present and model._base_manager.using(TARGET).exists():
            raise CannotMove(
                gettext_noop(
                    "The other database is not empty (%(table)s has rows), and nothing is ever written over. "
                    "Use an empty one."
                ),
                table=model._meta.db_table,
            )


def move(*, on_table: Callable[[str, int], None], on_bars: Callable[[int], None] = lambda rows: None) -> Moved:
    """Copy every table of the source into the empty target, and verify it, in one transaction of the target.

    1. No cluster may be alive; the source then stays as it is until the end, because nobody else can write.
    2. Make the tables.
    3. Copy them, then count every table and hash the bars on both sides.
    4. Only then keep it: after any error the target's tables are empty, and the move can be made again.
    Raises CannotMove.
    """
    if (problem := still_running()) is not None:
        raise CannotMove(problem.msgid, **problem.values)
    check_target()
    call_command("migrate", database=TARGET, verbosity=0)
    with transaction.atomic(using=SOURCE), transaction.atomic(using=TARGET):
        if connections[SOURCE].vendor == "postgresql":
            with connections[SOURCE].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for alias in (SOURCE, TARGET):
            _may_be_silent(alias)
        everything = [model for model in _all_models() if model._meta.db_table not in _NOT_COPIED]
        # What making the tables has written (permissions …) is in the source, too, under its own numbers.
        for model in everything:
            model._base_manager.using(TARGET).all()._raw_delete(TARGET)
        rows = {}
        for model in everything:
            table = model._meta.db_table
            try:
                rows[table] = copy_bars(SOURCE, TARGET, on_rows=on_bars) if model is Bar else _copy(model)
            except DatabaseError as error:
                raise CannotMove(
                    gettext_noop("The table %(table)s could not be copied: %(error)s. Nothing was kept."),
                    table=table,
                    error=" ".join(str(error).split())[:_ERROR_LENGTH].rstrip("."),
                ) from error
            on_table(table, rows[table])
        _reset_sequences(everything)
        digest = _verify(everything)
    _gather_statistics()
    return Moved(rows, digest)


def _may_be_silent(alias: str) -> None:
    """Let the open transaction wait for the other database as long as that takes (see config.databases)."""
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def _copy(model: type[models.Model]) -> int:
    fields = model._meta.concrete_fields
    target = connections[TARGET]
    quote = target.ops.quote_name
    table = quote(model._meta.db_table)
    columns = ", ".join(quote(str(field.column)) for field in fields)
    # Without a foreign table's join or an ordering: the rows as they lie there.
    rows = model._base_manager.using(SOURCE).order_by().values_list(*(field.attname for field in fields))
    prepared = (
        tuple(field.get_db_prep_save(value, target) for field, value in zip(fields, row, strict=True))
        for row in rows.iterator(chunk_size=_ROWS_AT_ONCE)
    )
    copied = 0
    with target.cursor() as cursor:
        if target.vendor == "postgresql":
            with target.wrap_database_errors, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in prepared:
                    copy.write_row(row)
                    copied += 1
            return copied
        values = ", ".join(["%s"] * len(fields))
        statement = f"INSERT INTO {table} ({columns}) VALUES ({values})"  # noqa: S608 (the models' own names)
        while batch := list(islice(prepared, _ROWS_AT_ONCE)):
            cursor.executemany(statement, batch)
            copied += len(batch)
    return copied


def _verify(copied: Sequence[type[models.Model]]) -> str:
    """Return the hash of the bars. Raises CannotMove when a count or the hash differs."""
    for model in copied:
        ours, theirs = (model._base_manager.using(alias).count() for alias in (SOURCE, TARGET))
        if ours != theirs:
            raise CannotMove(
                gettext_noop(
                    "The table %(table)s has %(ours)s rows here and %(theirs)s in the other database. Nothing was kept."
                ),
                table=model._meta.db_table,
                ours=ours,
                theirs=theirs,
            )
    digest = bars_hash(SOURCE)
    if bars_hash(TARGET) != digest:
        raise CannotMove(gettext_noop("The bars in the other database are not those that are here. Nothing was kept."))
    return digest


def _reset_sequences(copied: Sequence[type[models.Model]]) -> None:
    """Let new rows get numbers after those that were copied."""
    target = connections[TARGET]
    with target.cursor() as cursor:
        for statement in target.ops.sequence_reset_sql(no_style(), copied):
            cursor.execute(statement)


def _gather_statistics() -> None:
    if connections[TARGET].vendor != "postgresql":
        return
    with connections[TARGET].cursor() as cursor:
        cursor.execute("ANALYZE")


def _check_it_is_another() -> None:
    def place(alias: str) -> tuple[object, ...]:
        database = connections[alias].settings_dict
        if connections[alias].vendor == "sqlite":
            return (str(Path(database["NAME"]).resolve()),)
        return (database["HOST"] or "localhost", str(database["PORT"] or 5432), database["NAME"])

    if place(SOURCE) == place(TARGET):
        raise CannotMove(gettext_noop("This is the database that is in use now. Name the one to move to."))


def _all_models() -> list[type[models.Model]]:
    every = apps.get_models(include_auto_created=True)
    return [model for model in every if model._meta.managed and not model._meta.proxy]


def _own_models() -> list[type[models.Model]]:
    """Return the models that hold what users have: of our apps, and the accounts."""
    own = [model for model in _all_models() if model._meta.app_label in OUR_APPS]
    return [*own, get_user_model()]
