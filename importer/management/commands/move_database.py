"""``python manage.py move_database --to URL``: from SQLite to PostgreSQL, or the other way."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from importer.management.base import Exit, ExplainingCommand
from importer.moving import Moved, move, target_database
from marketdata.texts import duration_text

_SAY_EVERY = 5.0


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Copies everything into another, empty database, and verifies it. Stop serve first; this database stays."
    )
    examples = (
        ("move_database --to postgres://barvault@127.0.0.1/barvault", gettext_lazy("to PostgreSQL")),
        ("move_database --to sqlite:////srv/barvault/barvault.sqlite3", gettext_lazy("to a file")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", required=True, metavar="URL", help=_("the address of the empty database"))

    def run(self, **options: Any) -> int:
        began = time.monotonic()
        with target_database(options["to"]):
            moved = move(on_table=self._say_table, on_bars=_Pacemaker(self._say_bars))
        self._say_end(moved, time.monotonic() - began)
        return Exit.OK

    def _say_table(self, table: str, rows: int) -> None:
        if rows:
            self.stdout.write(_("%(table)s: %(rows)s rows") % {"table": table, "rows": f"{rows:,}"})
            self.stdout.flush()

    def _say_bars(self, rows: int) -> None:
        self.stdout.write(_("… %(rows)s bars so far") % {"rows": f"{rows:,}"})
        self.stdout.flush()

    def _say_end(self, moved: Moved, seconds: float) -> None:
        self.stdout.write(
            _("Moved in %(time)s: %(tables)s tables, the same rows in each, and the same hash of all bars (%(hash)s).")
            % {"time": duration_text(seconds), "tables": len(moved.rows), "hash": moved.hash}
        )
        self.stdout.write(
            _("Now set DATABASE_URL to the new address on every host, and start serve. The old database is as it was.")
        )


class _Pacemaker:
    """Calls ``say`` every few seconds at most."""

    def __init__(self, say: Any) -> None:
        self._say = say
        self._next = time.monotonic() + _SAY_EVERY

    def __call__(self, rows: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SAY_EVERY
            self._say(rows)
