"""What ``import_tasks`` shows: the list of tasks, and everything about one of them, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import Count, F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from importer import progress
from importer.management.tables import table_lines
from importer.models import FINISHED, Failure, ImportTask, Status, Transition
from importer.page_words import asker_text
from importer.task_words import kind_text, request_text, state_text
from marketdata.texts import duration_text

SHORT_ID = 8
FAILURES_SHOWN = 20


def short_id(task: ImportTask) -> str:
    """Return the start of the id, as lists show it and as every command takes it."""
    return str(task.pk)[:SHORT_ID]


def time_text(value: datetime | None) -> str:
    """Return a moment in exchange time, to the second; '-' for none."""
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S") if value is not None else "-"


def list_lines(tasks: Sequence[ImportTask], now: datetime) -> list[str]:
    """Return the table of ``tasks``."""
    head = (_("task"), _("kind"), _("state"), "%", _("stocks"), _("failed"), _("created"), _("took"))
    return table_lines([head, *(_row(task, now) for task in tasks)])


def _row(task: ImportTask, now: datetime) -> Sequence[object]:
    finished = progress.of_task(task).done
    stocks = f"{finished:,} / {task.total:,}" if task.total else "-"
    failed = f"{task.failed:,}" if task.failed else "-"
    return (
        short_id(task), kind_text(task), state_text(task), task.progress, stocks, failed,
        time_text(task.created_at), _took(task, now),
    )  # fmt: skip


def _took(task: ImportTask, now: datetime) -> str:
    if task.started_at is None:
        return "-"
    if task.status not in (*FINISHED, Status.RUNNING):
        return "-"
    return duration_text(((task.finished_at or now) - task.started_at).total_seconds())


def detail_lines(task: ImportTask, now: datetime, *, all_failures: bool) -> Iterator[str]:
    """Return everything about a task: figures, chunks, lanes, failures with their reasons, and its history."""
    yield from table_lines(_figures(task, now))
    yield from _chunk_lines(task)
    yield from _lane_lines(task, now)
    yield from _failure_lines(task, finding=False, everything=all_failures)
    yield from _failure_lines(task, finding=True, everything=all_failures)
    yield from _transition_lines(task)


def _figures(task: ImportTask, now: datetime) -> Iterator[Sequence[object]]:
    yield _("task"), task.pk
    yield _("request"), request_text(task)
    yield _("state"), state_text(task)
    yield _("progress"), f"{task.progress} %"
    standing = progress.of_task(task)
    yield _("message"), standing.message
    figures = _("%(finished)s of %(total)s finished: %(done)s imported, %(skipped)s skipped, %(failed)s failed") % {
        "finished": f"{standing.done:,}",
        "total": f"{task.total:,}",
        "done": f"{task.done:,}",
        "skipped": f"{task.skipped:,}",
        "failed": f"{task.failed:,}",
    }
    yield _("stocks"), figures
    yield _("bars written"), f"{task.rows_written:,}"
    if task.parameters.get("path"):
        yield _("path"), task.parameters["path"]
    if task.priority:
        yield _("priority"), task.priority
    if task.retry_of_id is not None:
        yield _("retry of"), task.retry_of_id
    yield _("asked for by"), asker_text(task.requested_by) or "-"
    yield _("created"), time_text(task.created_at)
    yield _("started"), time_text(task.started_at)
    yield _("finished"), time_text(task.finished_at)
    yield _("took"), _took(task, now)
    if task.status == Status.RUNNING:
        yield _("last sign of life"), time_text(task.heartbeat_at)


def _chunk_lines(task: ImportTask) -> Iterator[str]:
    counts = task.chunks.aggregate(
        all=Count("pk"),
        finished=Count("pk", filter=Q(cursor=F("size"))),
        held=Count("pk", filter=Q(lane__isnull=False, cursor__lt=F("size"))),
        isolated=Count("pk", filter=Q(isolated=True)),
    )
    if not counts["all"]:
        return
    values = {**counts, "waiting": counts["all"] - counts["finished"] - counts["held"]}
    line = _("Chunks: %(all)s; finished %(finished)s, being worked on %(held)s, waiting %(waiting)s.") % values
    if counts["isolated"]:
        line += " " + _("Stocks tried alone because workers died at them: %(isolated)s.") % counts
    yield ""
    yield line


def _lane_lines(task: ImportTask, now: datetime) -> Iterator[str]:
    slots = list(task.slots.all())
    if not slots:
        return
    yield ""
    yield _("Lanes:")
    rows: list[Sequence[object]] = [(_("lane"), _("host"), _("process"), _("does"), _("lease"))]
    for slot in slots:
        left = duration_text((slot.leased_until - now).total_seconds())
        doing = slot.doing if slot.pid else _("waits for a worker")
        rows.append((slot.number + 1, slot.host or "-", slot.pid or "-", doing or "-", left))
    yield from (f"  {line}" for line in table_lines(rows))


def _failure_lines(task: ImportTask, *, finding: bool, everything: bool) -> Iterator[str]:
    failures = Failure.objects.filter(task=task, finding=finding).order_by("at", "id")
    count = failures.count()
    if not count:
        return
    yield ""
    if finding:
        yield _("Findings that did not keep a stock from being imported: %(count)s") % {"count": f"{count:,}"}
    else:
        yield _("Failed stocks: %(count)s") % {"count": f"{count:,}"}
    shown = failures if everything else failures[:FAILURES_SHOWN]
    yield from (f"  {line}" for line in table_lines((each.symbol, each.source or "-", each.reason) for each in shown))
    if not everything and count > FAILURES_SHOWN:
        yield "  " + _("… and %(more)s more: --all lists them.") % {"more": f"{count - FAILURES_SHOWN:,}"}


def _transition_lines(task: ImportTask) -> Iterator[str]:
    transitions = list(task.transitions.all())
    if not transitions:
        return
    yield ""
    yield _("History:")
    rows = [(time_text(each.at), _step(each), each.reason, asker_text(each.by)) for each in transitions]
    yield from (f"  {line}" for line in table_lines(rows))


def _step(transition: Transition) -> str:
    new = str(transition.get_new_display())
    if transition.old == transition.new:
        return new
    return f"{transition.get_old_display()} → {new}" if transition.old else f"→ {new}"
