"""Where a task stands: percent, totals, speed, time left, and the sentence. Sums over chunks, written now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Sum
from django.db.models.functions import Greatest
from django.utils.translation import gettext_noop

from importer.dbtime import db_now
from importer.models import ImportChunk, ImportTask, Status
from marketdata.texts import Text, counted, seconds

# The row is written at most this often, whatever the number of lanes.
WRITE_EVERY = timedelta(seconds=1)
# The speed is an average over about this long; a longer silence starts it anew.
SPEED_WINDOW = 15.0

LISTING_TEXT = Text(gettext_noop("Fetching the list of stocks…"))
ACTIONS_TEXT = Text(gettext_noop("Fetching dividends and other corporate actions…"))


@dataclass(frozen=True)
class Progress:
    """What ``on_progress`` is given: percent 0..100, the sentence, stocks, and seconds left (None: unknown)."""

    percent: int
    message: str
    done: int
    total: int
    failed: int
    eta_seconds: float | None


@dataclass(frozen=True)
class Totals:
    """Sums over a task's chunks, in stocks (``rows`` in bars). ``total`` counts each stock once."""

    total: int
    done: int
    failed: int
    skipped: int
    rows: int

    @property
    def finished(self) -> int:
        return self.done + self.failed + self.skipped

    def columns(self) -> dict[str, int]:
        """Return the values as ImportTask's columns."""
        return {
            "total": self.total,
            "done": self.done,
            "failed": self.failed,
            "skipped": self.skipped,
            "rows_written": self.rows,
        }


def percent(finished: int, total: int) -> int:
    """Return 1..99 for a running import: 1 when it starts, 100 only when the task has ended."""
    if total <= 0:
        return 1
    return max(1, min(99, 1 + 98 * finished // total))


def eta_seconds(totals: Totals, stocks_per_second: float | None) -> float | None:
    """Return the seconds left at the present speed; None while it is unknown."""
    if not stocks_per_second or stocks_per_second <= 0:
        return None
    return (totals.total - totals.finished) / stocks_per_second


def next_speed(old: float | None, gained: int, elapsed: float) -> float | None:
    """Return the moving average of stocks per second after ``gained`` stocks in ``elapsed`` seconds.

    None while it is unknown: nobody worked for a while, and neither the old speed nor the average over that time says
    how fast it goes on.
    """
    if elapsed <= 0:
        return old
    if elapsed > SPEED_WINDOW:
        return None
    current = gained / elapsed
    if old is None:
        return current if gained else None
    weight = 1 - math.exp(-elapsed / SPEED_WINDOW)
    return old + weight * (current - old)


def sum_chunks(task_id: UUID) -> Totals:
    """Return the sums over the task's chunks."""
    sums = ImportChunk.objects.filter(task_id=task_id).aggregate(
        size=Sum("size", default=0),
        set_aside=Sum("set_aside", default=0),
        done=Sum("done", default=0),
        failed=Sum("failed", default=0),
        skipped=Sum("skipped", default=0),
        rows=Sum("rows", default=0),
    )
    return Totals(
        sums["size"] - sums["set_aside"], sums["done"], sums["failed"], sums["skipped"], sums["rows"]
    )  # fmt: skip


def say(task_id: UUID, text: Text) -> None:
    """Write what is being done before the task's stocks are known; later the sentence follows from the totals."""
    ImportTask.objects.filter(pk=task_id, status=Status.RUNNING, planned_at=None).update(
        message_id=text.msgid, message_values=dict(text.values)
    )


def say_snapshot(task_id: UUID, day: date) -> None:
    """Write that the whole market's day is being fetched."""
    say(task_id, Text(gettext_noop("Fetching the whole market of %(day)s in one go…"), {"day": day.isoformat()}))


def refresh(task_id: UUID, *, doing: str = "", force: bool = False) -> Totals | None:
    """Write the running task's totals, progress, speed and sentence, unless that was done within a second.

    Of lanes that come at once one writes (compare-and-set on ``heartbeat_at``); progress never falls.
    Returns the sums when they were written.
    """
    now = db_now()
    row = (
        ImportTask.objects.filter(pk=task_id, status=Status.RUNNING)
        .values("heartbeat_at", "done", "failed", "skipped", "stocks_per_second", "waiting_until", "planned_at")
        .first()
    )
    if row is None:
        return None
    if row["planned_at"] is None:
        # There are no totals yet: the sentence says what is being prepared.
        ImportTask.objects.filter(pk=task_id, status=Status.RUNNING).update(heartbeat_at=now)
        return None
    last: datetime | None = row["heartbeat_at"]
    if not force and last is not None and timedelta(0) <= now - last < WRITE_EVERY:
        return None
    totals = sum_chunks(task_id)
    speed = row["stocks_per_second"]
    if last is not None:
        gained = totals.finished - row["done"] - row["failed"] - row["skipped"]
        speed = next_speed(speed, gained, (now - last).total_seconds())
    columns: dict[str, Any] = totals.columns()
    if row["waiting_until"] is None:
        message = running_text(totals, eta_seconds(totals, speed), doing)
        columns |= {"message_id": message.msgid, "message_values": dict(message.values)}
    written = ImportTask.objects.filter(pk=task_id, status=Status.RUNNING, heartbeat_at=last).update(
        **columns,
        progress=Greatest(F("progress"), percent(totals.finished, totals.total)),
        stocks_per_second=speed,
        heartbeat_at=now,
    )
    return totals if written else None


def starting_text(total: int) -> Text:
    """Return the sentence at 1 %."""
    return Text(gettext_noop("Starting: %(stocks)s to import."), {"stocks": _stocks(total)})


def running_text(totals: Totals, eta: float | None, doing: str) -> Text:
    """Return the sentence of a running import: what it does now, how far it is, the time left."""
    values: dict[str, Any] = {"finished": totals.finished, "total": totals.total, "doing": doing}
    if eta is None:
        if not doing:
            return Text(gettext_noop("%(finished)s of %(total)s stocks."), values)
        return Text(gettext_noop("Importing %(doing)s: %(finished)s of %(total)s stocks."), values)
    values["eta"] = seconds(eta)
    if not doing:
        return Text(gettext_noop("%(finished)s of %(total)s stocks, about %(eta)s left."), values)
    return Text(gettext_noop("Importing %(doing)s: %(finished)s of %(total)s stocks, about %(eta)s left."), values)


def final_text(totals: Totals, elapsed: float) -> Text:
    """Return the sentence at 100 %, with the figures."""
    values: dict[str, Any] = {
        "done": _stocks(totals.done),
        "rows": counted(totals.rows, "%(count)s bar", "%(count)s bars"),
        "skipped": totals.skipped,
        "elapsed": seconds(elapsed),
    }
    if totals.failed:
        values["failed"] = counted(totals.failed, "%(count)s failed stock", "%(count)s failed stocks")
        return Text(
            gettext_noop(
                "Completed with %(failed)s: %(done)s imported, %(skipped)s skipped, %(rows)s written in %(elapsed)s."
            ),
            values,
        )
    if not totals.rows:
        nothing_new = gettext_noop("Completed: nothing new, %(stocks)s up to date.")
        return Text(nothing_new, {"stocks": _stocks(totals.total)})
    return Text(
        gettext_noop("Completed: %(done)s imported, %(skipped)s skipped, %(rows)s written in %(elapsed)s."),
        values,
    )


def _stocks(number: int) -> dict[str, Any]:
    return counted(number, "%(count)s stock", "%(count)s stocks")


def of_task(task: ImportTask) -> Progress:
    """Return the row's progress as everybody shows it: without a time left when nobody works on it."""
    totals = Totals(task.total, task.done, task.failed, task.skipped, task.rows_written)
    message = str(running_text(totals, None, "")) if is_silent(task) else task.message
    eta = eta_seconds(totals, speed_of(task))
    return Progress(task.progress, message, totals.finished, task.total, task.failed, eta)


def speed_of(task: ImportTask) -> float | None:
    """Return the present speed of a task, in stocks per second; None when it does not run, waits, or stands still."""
    if task.status != Status.RUNNING or task.waiting_until is not None or is_silent(task):
        return None
    return task.stocks_per_second


def is_silent(task: ImportTask) -> bool:
    """Say whether no lane has written a running task's figures for so long that its last speed means nothing.

    Lanes write every second or two, also while they wait for a source.
    """
    if task.status != Status.RUNNING or task.planned_at is None or task.waiting_until is not None:
        return False
    return task.heartbeat_at is not None and (db_now() - task.heartbeat_at).total_seconds() > SPEED_WINDOW
