"""Rows as the API shows them: plain dictionaries, times in exchange time with their offset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from importer import progress
from importer.api_paths import told, told_path
from importer.estimate import Estimate
from importer.hosts import trouble_of
from importer.models import Failure, Host, ImportTask, TaskSchedule
from importer.pacing import SourceStatus
from importer.schedule_orders import order_of
from importer.schedule_words import last_text, note_text, upcoming, whole_text
from marketdata.completeness import Completeness, DayFigures
from marketdata.proof import ProofRow
from marketdata.trading_days import Calendar


def task_row(task: ImportTask) -> dict[str, Any]:
    """Return a task's every field that callers may rely on; texts in the language that is active now."""
    shown = progress.of_task(task)
    return {
        "task_id": str(task.pk),
        "kind": task.kind,
        "status": task.status,
        "progress": task.progress,
        "message": told(shown.message, task.parameters.get("path")),
        "total": task.total,
        "done": task.done,
        "failed": task.failed,
        "skipped": task.skipped,
        "rows_written": task.rows_written,
        "eta_seconds": None if shown.eta_seconds is None else round(shown.eta_seconds),
        "requested_action": task.requested_action,
        "waiting_until": _time(task.waiting_until),
        "priority": task.priority,
        "parameters": _parameters(task.parameters),
        "retry_of": str(task.retry_of_id) if task.retry_of_id else None,
        "requested_by": task.requested_by,
        "created_at": _time(task.created_at),
        "started_at": _time(task.started_at),
        "finished_at": _time(task.finished_at),
        "heartbeat_at": _time(task.heartbeat_at),
    }


def schedule_row(schedule: TaskSchedule, now: datetime, calendar: Calendar, *, workers: int) -> dict[str, Any]:
    """Return a schedule, its fields named as they are sent, with its last and its next run."""
    order, rule = order_of(schedule), schedule.rule
    following = upcoming(schedule, now, calendar, workers=workers)
    task = schedule.last_task
    return {
        "schedule_id": schedule.pk,
        "name": schedule.name,
        "when": schedule.when,
        "time": f"{rule.at:%H:%M}" if rule.at else None,
        "weekday": rule.weekday,
        "date": rule.day.isoformat() if rule.day else None,
        "cron": rule.cron or None,
        "kind": schedule.kind,
        "symbols": list(order.symbols) if order.symbols is not None else None,
        "source": order.source,
        "start_date": order.start.isoformat() if order.start else None,
        "end_date": order.end.isoformat() if order.end else None,
        "path": order.path,
        "refresh": order.refresh,
        "priority": order.priority,
        "description": str(whole_text(schedule)),
        "note": str(note_text(rule, order) or ""),
        "paused": schedule.paused,
        "next_run_at": _time(following.at),
        "next_run_assumed": following.assumed,
        "next_run": str(following.words),
        "last_run_at": _time(schedule.last_run_at),
        "last_run_meant_for": _time(schedule.last_meant_at),
        "last_result": schedule.last_outcome,
        "last_run": told(str(last_text(schedule))),
        "last_task_id": str(task.pk) if task is not None else None,
        "last_task_status": task.status if task is not None else None,
        "created_by": schedule.created_by,
        "created_at": _time(schedule.created_at),
    }


def failure_row(failure: Failure) -> dict[str, Any]:
    """Return a failure; its task is read for the path whose place is not told."""
    return {
        "symbol": failure.symbol,
        "source": failure.source,
        "code": failure.code,
        "reason": told(failure.reason, failure.task.parameters.get("path")),
        "attempts": failure.attempts,
        "finding": failure.finding,
        "at": _time(failure.at),
    }


def host_row(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "workers": host.workers,
        "started_at": _time(host.started_at),
        "seen_at": _time(host.seen_at),
        "restarts": host.restarts,
        "trouble": trouble_of(host),
        "version": host.version,
    }


def source_row(state: SourceStatus) -> dict[str, Any]:
    return {
        "source": state.source,
        "label": state.label,
        "breaker": state.breaker,
        "reason": str(state.reason),
        "next_try": _time(state.next_try),
        "refusals": state.refusals,
        "interval": state.interval,
        "requests_today": state.requests_today,
        "requests": state.requests,
        "successes": state.successes,
        "troubles": state.troubles,
        "last_success_at": _time(state.last_success_at),
        "last_trouble_at": _time(state.last_trouble_at),
    }


STOCK_FIELDS = (
    "symbol",
    "code",
    "exchange",
    "name",
    "board",
    "listed_on",
    "delisted_on",
    "first_bar",
    "last_bar",
    "bar_count",
    "covered_from",
    "covered_until",
)


def stock_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stock from its ``STOCK_FIELDS``."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def proof_row(row: ProofRow) -> dict[str, Any]:
    action = row.event.action
    return {
        "ex_date": row.ex_date.isoformat(),
        "code": row.event.status.value,
        "status": str(row.status),
        "cash_per_share": action.cash_per_share,
        "new_shares_per_share": action.new_shares_per_share,
        "rights_per_share": action.rights_per_share,
        "rights_price": action.rights_price,
        "theoretical": row.theoretical,
        "previous_close": row.previous_close,
        "step": row.event.step,
        "difference": row.difference,
        "flagged": row.is_flagged,
        "flag": row.event.flag or None,
        "note": str(row.note) if row.note is not None else None,
    }


def day_row(found: Completeness) -> dict[str, Any]:
    return {
        **figures_row(found.figures),
        "missing_symbols": list(found.missing),
        "message": str(found.figures.full_text),
    }


def figures_row(figures: DayFigures) -> dict[str, Any]:
    return {
        "date": figures.day.isoformat(),
        "complete": figures.is_complete,
        "expected": figures.expected,
        "present": figures.present,
        "missing": figures.missing,
        "suspended": figures.suspended,
        "index": figures.index.answer.value,
        "turnovers": [
            {"exchange": each.exchange, "of_index": each.of_index, "of_stocks": each.of_stocks}
            for each in figures.index.turnovers
        ],
    }


def estimate_row(estimate: Estimate) -> dict[str, Any]:
    return {
        "stocks": estimate.stocks,
        "skipped": estimate.skipped,
        "requests": estimate.requests,
        "bars": estimate.bars,
        "seconds": None if estimate.seconds is None else round(estimate.seconds),
        "bytes_needed": estimate.bytes_needed,
        "bytes_free": estimate.bytes_free,
        "fits": estimate.fits,
    }


def _parameters(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "start_date": kept.get("start"),
        "end_date": kept.get("end"),
        "symbols": kept.get("symbols"),
        "source": kept.get("source"),
        "path": told_path(kept.get("path")),
        "refresh": bool(kept.get("refresh")),
    }


def _time(moment: datetime | None) -> str | None:
    return timezone.localtime(moment).isoformat(timespec="seconds") if moment is not None else None
