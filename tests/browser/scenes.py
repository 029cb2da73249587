"""States of a database in which the pages are looked at: each scene empties the tables and fills them anew.

Figures are made up; symbols and names are those of stocks that exist. Needs a database of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django_q.models import Schedule

from config.hidden import Hidden
from importer import lifecycle, schedules
from importer.dbtime import db_now
from importer.exceptions import EmptyDatabase
from importer.models import (
    Failure,
    Host,
    ImportChunk,
    ImportTask,
    Kind,
    LaneSlot,
    Outcome,
    SourceState,
    Status,
    TaskSchedule,
    Transition,
)
from importer.notify.events import task_ended
from importer.notify.models import Delivery, DeliveryState, Notice
from marketdata.models import Bar, Stock
from marketdata.store import claim_origin
from marketdata.texts import counted, seconds, word
from marketdata.trading_days import newest_finished_day
from tests.importer.factories import make_chunk, make_task

STOCKS = 5412
NAMES = ("平安银行", "万科A", "贵州茅台", "招商银行", "宁德时代", "比亚迪", "长江电力", "中国平安")
ADMIN = "ada"


@dataclass(frozen=True)
class Scene:
    """``fill`` makes the rows and returns the path of each page worth a look."""

    name: str
    fill: Callable[[], Mapping[str, str]]


def play(scene: Scene) -> Mapping[str, str]:
    """Empty the tables, fill them, and return the pages by name."""
    for model in (Notice, Schedule, ImportTask, Host, SourceState, Bar, Stock):
        model.objects.all().delete()
    return scene.fill()


def _empty() -> Mapping[str, str]:
    _host()
    return {"empty": "/data/"}


def _running() -> Mapping[str, str]:
    _market(2005, 2005)
    _host()
    _sources()
    _history()
    task = make_task(
        status=Status.RUNNING, progress=37, total=STOCKS, done=1990, failed=3, skipped=18, rows_written=1_874_206,
        stocks_per_second=4.9, planned_at=db_now(), started_at=db_now() - timedelta(minutes=7),
        heartbeat_at=db_now(), requested_by="page: 127.0.0.1", parameters={"source": "auto"},
        message_id="Importing %(doing)s: %(finished)s of %(total)s stocks, about %(eta)s left.",
        message_values={"doing": "平安银行 000001.SZ", "finished": 2011, "total": STOCKS, "eta": seconds(694)},
    )  # fmt: skip
    lifecycle.record_creation(task)
    make_chunk(task, ["000001.SZ"], by_source={"sina": 1204, "eastmoney": 771, "tencent": 15})
    for number, name in enumerate(NAMES[:4]):
        LaneSlot.objects.create(
            task=task, number=number, token=str(number), pid=100 + number, host="home",
            doing=f"{name} 60{number:04d}.SH", leased_until=db_now() + timedelta(seconds=8),
        )  # fmt: skip
    _failures(task, 3)
    make_task(kind=Kind.UPDATE, priority=2, parameters={"source": "auto"})
    make_task(kind=Kind.REPAIR, parameters={"source": "sina", "symbols": ["600519.SH", "000001.SZ"]})
    make_task(status=Status.PAUSED, parameters={"source": "auto", "symbols": ["600519.SH"], "start": "2015-01-05"})
    return {
        "running": "/data/",
        "task-running": f"/data/tasks/{task.pk}/",
        "cancel": f"/data/tasks/{task.pk}/cancel/",
        "tasks": "/data/tasks/",
    }


def _ended() -> Mapping[str, str]:
    newest = newest_finished_day(db_now())
    _market(STOCKS, STOCKS - 12, until=newest)
    _host("home", 4)
    _host("attic", 2)
    _sources()
    _history()
    values = {
        "failed": counted(12, "%(count)s failed stock", "%(count)s failed stocks"),
        "done": counted(5388, "%(count)s stock", "%(count)s stocks"),
        "rows": counted(5_214_880, "%(count)s bar", "%(count)s bars"),
        "skipped": 12,
        "elapsed": seconds(1105),
    }
    task = make_task(
        status=Status.COMPLETED, progress=100, total=STOCKS, done=5388, failed=12, skipped=12, rows_written=5_214_880,
        planned_at=db_now(), started_at=db_now() - timedelta(minutes=21), finished_at=db_now() - timedelta(minutes=2),
        requested_by="page: 127.0.0.1", parameters={"source": "auto"}, message_values=values,
        message_id="Completed with %(failed)s: %(done)s imported, %(skipped)s skipped, "
        "%(rows)s written in %(elapsed)s.",
    )  # fmt: skip
    lifecycle.record_creation(task)
    Transition.objects.create(task=task, old="pending", new="running", reason_id="Its turn has come.")
    Transition.objects.create(
        task=task, old="running", new="completed", reason_id=task.message_id, reason_values=values
    )
    make_chunk(task, ["000001.SZ"], by_source={"sina": 3204, "eastmoney": 2071, "tencent": 113})
    _failures(task, 12)
    return {"ended": "/data/", "task-ended": f"/data/tasks/{task.pk}/"}


def _paused() -> Mapping[str, str]:
    newest = newest_finished_day(db_now())
    _market(STOCKS, 5396, until=newest - timedelta(days=1))
    make_task(
        kind=Kind.UPDATE, status=Status.PAUSED, progress=64, total=STOCKS, done=3460, parameters={"source": "auto"},
        message_id=lifecycle.PAUSED_TEXT.msgid, started_at=db_now() - timedelta(minutes=9),
    )  # fmt: skip
    return {"paused-without-workers": "/data/"}


def _resting() -> Mapping[str, str]:
    _market(812, 812)
    _host()
    until = db_now() + timedelta(minutes=11)
    _sources(all_rest_until=until)
    make_task(
        status=Status.RUNNING, progress=15, total=STOCKS, done=812, waiting_until=until, planned_at=db_now(),
        started_at=db_now() - timedelta(minutes=30), heartbeat_at=db_now(), parameters={"source": "auto"},
        message_id="Every source rests after refusing requests.",
    )  # fmt: skip
    return {"resting": "/data/"}


def _no_schedules() -> Mapping[str, str]:
    _market(STOCKS, STOCKS)
    _host()
    return {"schedules-none": "/data/schedules/", "daily-off": "/data/"}


def _schedules() -> Mapping[str, str]:
    _market(STOCKS, STOCKS, until=newest_finished_day(db_now()))
    _host()
    now = db_now()
    began = now - timedelta(hours=20)
    done = make_task(kind=Kind.UPDATE, status=Status.COMPLETED, total=STOCKS, done=5400, failed=12)
    running = make_task(kind=Kind.REPAIR, status=Status.RUNNING, progress=40)
    update = schedules.create({"when": "trading_day", "time": time(16, 30), "kind": "update"}).schedule
    TaskSchedule.objects.filter(pk=update.pk).update(
        last_task=done, last_run_at=began, last_meant_at=began - timedelta(hours=14), last_outcome=Outcome.STARTED
    )
    repair = schedules.create(
        {
            "when": "weekly", "weekday": 6, "time": time(9), "kind": "repair", "source": "sina", "priority": -2,
            "name": "周末补缺", "symbols": ["600519", "000001", "300750", "601318"],
        }
    ).schedule  # fmt: skip
    TaskSchedule.objects.filter(pk=repair.pk).update(
        last_task=running, last_run_at=now, last_meant_at=now, last_outcome=Outcome.STARTED
    )
    wish = {
        "when": "once",
        "date": date(2031, 1, 6),
        "time": time(20),
        "kind": "import",
        "start_date": date(2015, 1, 5),
    }
    once = schedules.create(wish).schedule
    cron = schedules.create({"when": "cron", "cron": "30 9,11,13 * * 1-5", "kind": "update"}, paused=True).schedule
    schedules.create({"when": "trading_day", "time": time(9, 30), "kind": "update", "symbols": ["600519"]})
    TaskSchedule.objects.filter(pk=once.pk).update(
        last_run_at=began, last_outcome=Outcome.REFUSED, reason_id=EmptyDatabase.default_msgid
    )
    return {
        "schedules": "/data/schedules/",
        "schedule-weekly": f"/data/schedules/{repair.pk}/",
        "schedule-cron": f"/data/schedules/{cron.pk}/",
        "schedule-once": f"/data/schedules/{once.pk}/",
        "schedule-delete": f"/data/schedules/{repair.pk}/delete/",
        "daily-on": "/data/",
    }


def _demo() -> Mapping[str, str]:
    _market(STOCKS, STOCKS, until=newest_finished_day(db_now()))
    _host()
    claim_origin(True)
    return {"simulated": "/data/", "login": "/login/", "nothing-there": "/nothing-there/"}


def _admin() -> Mapping[str, str]:
    _running()
    return {
        "admin-tasks": "/admin/importer/importtask/",
        "admin-sources": "/admin/importer/sourcestate/",
        "admin-schedules": "/admin/importer/taskschedule/",
        "admin-stocks": "/admin/marketdata/stock/",
        "admin": "/admin/",
    }


def _messages() -> Mapping[str, str]:
    """Sixty days of updates, and what was told about them."""
    settings.NOTIFY_URLS = [Hidden("mailtos://somebody:secret@example.com"), Hidden("wecombot://key-of-a-robot")]
    _market(STOCKS, STOCKS, until=newest_finished_day(db_now()))
    _host()
    for days in range(60, 0, -1):
        began = db_now() - timedelta(days=days)
        failed = 12 if days % 17 == 0 else 0
        values = {
            "done": counted(5400 - failed, "%(count)s stock", "%(count)s stocks"),
            "rows": counted(5400 - failed, "%(count)s bar", "%(count)s bars"),
            "skipped": 12,
            "elapsed": seconds(71),
        }
        task = make_task(
            kind=Kind.UPDATE, status=Status.COMPLETED, progress=100, total=STOCKS, done=5400 - failed, failed=failed,
            skipped=12, rows_written=5400 - failed - days * 3, started_at=began, requested_by="page: 127.0.0.1",
            finished_at=began + timedelta(seconds=60 + days * 7 % 50), parameters={"source": "auto"},
            message_id="Completed: %(done)s imported, %(skipped)s skipped, %(rows)s written in %(elapsed)s.",
            message_values=values,
        )  # fmt: skip
        ImportTask.objects.filter(pk=task.pk).update(created_at=began)
        if days < 20:
            task_ended(task)
    states = ((DeliveryState.SENT, ""), (DeliveryState.WAITING, "535 Authentication failed"), (DeliveryState.GIVEN_UP,
              "Socket Exception: [Errno 111] Connection refused"))  # fmt: skip
    for place, notice in enumerate(Notice.objects.exclude(event__startswith="ping")[:12]):
        for number, label in enumerate(("1: mailtos", "2: wecombot")):
            state, error = states[place % 3 if number else 0]
            Delivery.objects.create(
                notice=notice, receiver=label, label=label, state=state, error=error, ended_at=db_now(),
                next_try_at=db_now(), give_up_at=db_now() + timedelta(hours=9), attempts=1,
            )  # fmt: skip
    return {"messages": "/data/notifications/", "history": "/data/tasks/", "unheard": "/data/"}


SCENES = (
    Scene("empty", _empty),
    Scene("running", _running),
    Scene("ended", _ended),
    Scene("paused", _paused),
    Scene("resting", _resting),
    Scene("no schedules", _no_schedules),
    Scene("schedules", _schedules),
    Scene("admin", _admin),
    Scene("messages", _messages),
    Scene("demo", _demo),
)


def make_admin() -> User:
    return User.objects.filter(username=ADMIN).first() or User.objects.create_superuser(ADMIN)


def refresh_hosts() -> None:
    """Let the hosts have given a sign of life just now."""
    Host.objects.update(seen_at=db_now())


def _host(name: str = "home", workers: int = 4) -> None:
    now = db_now()
    Host.objects.create(name=name, workers=workers, pid=1, started_at=now, seen_at=now)


def _market(number: int, known: int, *, until: date | None = None) -> None:
    """Make ``number`` stocks, of which ``known`` are known until the day; the others end two months before."""
    day = until or newest_finished_day(db_now())
    rows = []
    for place in range(number):
        last = day if place < known else day - timedelta(days=61)
        code = 600000 + place if place < 2400 else place - 2400
        exchange = "SH" if place < 2400 else "SZ"
        rows.append(
            Stock(
                symbol=f"{code:06d}.{exchange}", code=f"{code:06d}", exchange=exchange, board="main",
                name=NAMES[place % len(NAMES)], listed_on=date(2001, 8, 27), bar_count=963,
                first_bar=date(2021, 1, 4), last_bar=last, covered_from=date(2021, 1, 1), covered_until=last,
            )
        )  # fmt: skip
    Stock.objects.bulk_create(rows, batch_size=500)


def _sources(all_rest_until: Any = None) -> None:
    now = db_now()
    today = now.astimezone().date()
    resting = all_rest_until or now + timedelta(minutes=11)
    for name, label, requests in (("eastmoney", "Eastmoney", 4211), ("sina", "Sina", 12480), ("tencent", "Tencent", 0)):
        rests = name == "eastmoney" or all_rest_until is not None
        SourceState.objects.create(
            source=name, interval=0.205, counted_on=today, requests_today=requests, requests=requests,
            successes=requests, breaker="open" if rests else "closed", open_until=resting if rests else None,
            refusals=5 if rests else 0, troubles=5 if rests else 0,
            reason_id="%(source)s refused %(count)s requests in a row; next try at %(time)s" if rests else "",
            reason_values={"source": word(label), "count": 5, "time": {"moment": resting.isoformat()}} if rests else {},
        )  # fmt: skip


def _history() -> None:
    now = db_now()
    rows: tuple[dict[str, Any], ...] = (
        {"kind": Kind.UPDATE, "status": Status.COMPLETED, "total": 5411, "done": 5398, "rows_written": 5398},
        {"kind": Kind.UPDATE, "status": Status.COMPLETED, "total": 5410, "done": 5386, "failed": 12},
        {"kind": Kind.IMPORT, "status": Status.FAILED, "total": 5408, "done": 812, "rows_written": 780_432},
        {"kind": Kind.REPAIR, "status": Status.CANCELLED, "total": 40, "done": 13},
    )
    for days, values in enumerate(rows, start=1):
        began = now - timedelta(days=days, hours=2)
        task = make_task(
            **values, progress=100 if values["status"] == Status.COMPLETED else 15, started_at=began,
            finished_at=began + timedelta(seconds=72 * days), parameters={"source": "auto"},
        )  # fmt: skip
        ImportTask.objects.filter(pk=task.pk).update(created_at=began)


def _failures(task: ImportTask, number: int) -> None:
    reasons: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("banned", "eastmoney, sina", "%(source)s refuses requests from this address (%(detail)s).",
         {"source": word("Sina"), "detail": "HTTP 456"}),
        ("unknown_symbol", "eastmoney", "%(source)s does not know %(symbol)s. Check the symbol.",
         {"source": word("Eastmoney"), "symbol": "600001.SH"}),
        ("source_unavailable", "tencent", "%(source)s did not answer (%(detail)s).",
         {"source": word("Tencent"), "detail": "10 s"}),
    )  # fmt: skip
    for place in range(number):
        code, source, reason, values = reasons[place % 3]
        Failure.objects.create(
            task=task, symbol=f"{600001 + place}.SH", code=code, source=source, attempts=3, reason_id=reason,
            reason_values=values,
        )  # fmt: skip
    Failure.objects.create(
        task=task, symbol="000002.SZ", code="amount", source="sina", finding=True,
        reason_id="%(source)s did not answer (%(detail)s).", reason_values={"source": word("Sina"), "detail": "10 s"},
    )  # fmt: skip
    ImportChunk.objects.filter(task=task).update(failed=number)
