"""``doctor``: each thing that may be wrong is found once, with what to do; a healthy installation has no findings."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from importer import doctor, pacing
from importer.belonging import join
from importer.dbtime import db_now
from importer.doctor import Fact, Verdict, database, installation, surroundings, work
from importer.hosts import Trouble, code_version, say_alive, say_gone
from importer.models import Breaker, Host, ImportTask, SourceState, Status
from importer.sources import gate_signs
from importer.sources.base import SourceUnavailable
from importer.waiting import wait_for_network
from marketdata.index_days import save_index_days
from marketdata.market_index import IndexDayBar
from marketdata.models import Bar, Stock
from marketdata.store import bars_hash, ensure_stocks, store_bars
from marketdata.texts import Text, word
from marketdata.trading_days import newest_finished_day
from tests.importer.command_line import give_command
from tests.importer.factories import make_task
from tests.importer.processes import Installation as RealInstallation
from tests.sources.made_bars import bars

pytestmark = pytest.mark.django_db
sqlite_only = pytest.mark.skipif(connection.vendor != "sqlite", reason="About SQLite.")


def findings(check: Callable[[], Iterator[Fact]]) -> list[str]:
    return [str(fact.text) for fact in check() if fact.verdict == Verdict.FINDING]


def the_finding(check: Callable[[], Iterator[Fact]]) -> str:
    (text,) = findings(check)
    return text


def facts(check: Callable[[], Iterator[Fact]]) -> list[str]:
    return [str(fact.text) for fact in check() if fact.verdict == Verdict.FINE]


def workers_are_alive() -> None:
    say_alive("here", pid=1, workers=2, restarts=0, trouble=Trouble.NONE)


# Outside a transaction, which would hold SQLite's write lock.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("check", [*doctor.WITHOUT_DATABASE, *doctor.WITH_DATABASE], ids=lambda check: check.__name__)
def test_a_healthy_installation_has_no_findings(check: Callable[[], Iterator[Fact]], request: Any) -> None:
    workers_are_alive()
    if check is installation.secret_key:
        settings = request.getfixturevalue("settings")
        settings.VAR_DIR.joinpath("secret_key").chmod(0o600)
    if check is surroundings.calendar:
        request.getfixturevalue("monkeypatch").setattr(surroundings, "last_known_day", lambda: date(2100, 1, 1))
    assert findings(check) == []


def test_another_secret_key_is_named(settings: Any) -> None:
    join()
    settings.SECRET_KEY = "another key that is long enough to be one"
    assert "claim_database --key" in the_finding(work.belonging)


# Installation


def test_a_python_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "OLDEST_PYTHON", (99, 0))
    assert "is too old" in the_finding(installation.versions)


def test_a_package_that_is_missing_is_named(settings: Any, tmp_path: Path) -> None:
    settings.BASE_DIR = tmp_path
    (tmp_path / "requirements.txt").write_text("# why\ndjango>=5\nno-such-package[extra]>=1,<2\n")
    assert the_finding(installation.versions) == "Not installed: no-such-package. Run `make install`."


def test_versions_are_told() -> None:
    (text,) = facts(installation.versions)
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in text
    assert "Django 5.2" in text
    assert "akshare" in text


def test_a_key_that_others_can_read_is_named_with_the_remedy(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    key = tmp_path / "secret_key"
    key.write_text("secret")
    key.chmod(0o640)
    assert the_finding(installation.secret_key).endswith(f"Run: chmod 600 {key}")
    key.chmod(0o600)
    assert findings(installation.secret_key) == []


def test_a_short_key_from_the_environment_is_named(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "secret")
    settings.SECRET_KEY = "secret"
    assert "is short" in the_finding(installation.secret_key)


def test_debug_is_named(settings: Any) -> None:
    settings.DEBUG = True
    assert "Remove DEBUG" in the_finding(installation.debug_mode)


def test_a_disk_that_is_nearly_full_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "FREE_BYTES_WANTED", 10**18)
    assert "Make room" in the_finding(installation.disk_space)


@sqlite_only
def test_a_database_in_a_folder_that_is_not_there_is_named(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(tmp_path / "no" / "file"))
    assert "is not there" in the_finding(installation.disk_space)


def test_a_cache_that_keeps_nothing_is_named(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert "loses what is put into it" in the_finding(installation.cache)


def test_a_cache_that_cannot_be_written_is_named(settings: Any, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.write_text("a file where a folder belongs")
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(place)}
    }
    assert "Let this user write" in the_finding(installation.cache)


def test_texts_that_could_not_be_compiled_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "zh_Hans" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_text("")
    monkeypatch.setattr(installation, "LOCALE_DIR", tmp_path)
    assert str(folder) in the_finding(installation.translations)


# Database


@sqlite_only
@pytest.mark.parametrize("kind", ["nfs4", "9p", "drvfs", "fuse.sshfs"])
def test_a_database_on_a_remote_disk_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_mounts", lambda: [("/", kind)])
    assert f"({kind}, " in the_finding(database.file_system)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/mnt/c/data", "9p"),
        ("/mnt/cc", "ext4"),
        ("/home/me", "ext4"),
        ("/data/over/it", "xfs"),
    ],
)
def test_the_deepest_and_latest_mount_counts(folder: str, kind: str) -> None:
    mounts = [("/", "ext4"), ("/mnt/c", "9p"), ("/data/over", "nfs"), ("/data/over", "xfs")]
    assert database._file_system_of(Path(folder), mounts) == kind


def test_without_a_table_of_mounts_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_mounts", list)
    assert list(database.file_system()) == []


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_database_that_another_program_holds_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_WITHIN", 0.1)
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        assert "database is locked" in the_finding(database.write_lock)
    finally:
        other.close()
    assert findings(database.write_lock) == []


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_database_that_could_not_be_put_into_wal_mode_is_named() -> None:
    def set_mode(mode: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA journal_mode={mode}")

    try:
        set_mode("DELETE")
        assert "“delete” instead of WAL" in the_finding(database.mode)
    finally:
        set_mode("WAL")
    assert "in WAL mode" in facts(database.mode)[0]


def test_a_slow_disk_or_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ROWS_PER_SECOND_WANTED", 10**12)
    monkeypatch.setattr(database, "ROUND_TRIP_WANTED", 0.0)
    assert "imports will be slow" in the_finding(database.speed)


@sqlite_only
def test_the_measurement_leaves_nothing_behind(tmp_path: Path) -> None:
    assert database._rows_per_second(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_is_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "db_now", lambda: timezone.now() - timedelta(minutes=10))
    assert "differs from this machine's by 600 s" in the_finding(database.clock)


def stored(symbol: str = "600001.SH") -> Stock:
    stock_id = ensure_stocks([symbol])[symbol]
    store_bars(stock_id, bars(40), source="tdx", simulated=False, covered=None)
    return Stock.objects.get(pk=stock_id)


def test_what_is_stored_is_told() -> None:
    stored()
    (text,) = facts(database.contents)
    assert text.startswith("The real market: 40 bars of 1 stocks, 2023-01-02 to ")


def keep_index_of_newest_day(share: float) -> None:
    """Store a bar of the newest finished day, and an index that turned over its amount times ``share``."""
    stock, day = Stock.objects.get(), newest_finished_day(timezone.now())
    frame = bars(1).assign(date=np.array([day], "datetime64[s]"))
    store_bars(stock.pk, frame, source="tdx", simulated=False, covered=None)
    turnover = share * Bar.objects.get(stock=stock, date=day).amount
    save_index_days("000001.SH", [IndexDayBar(day, 3000.0, turnover)], source="eastmoney")


def test_a_newest_day_whose_index_differs_is_a_finding() -> None:
    stored()
    keep_index_of_newest_day(2.0)
    text = the_finding(database.index_of_newest_day)
    assert "do not add up to the index" in text
    assert "Shanghai: the stocks' turnover is" in text


def test_an_index_that_agrees_or_is_unknown_is_no_finding() -> None:
    stored()
    assert list(database.index_of_newest_day()) == []
    keep_index_of_newest_day(1.0)
    (text,) = facts(database.index_of_newest_day)
    assert "add up to the turnover" in text


def test_a_summary_that_is_wrong_is_named() -> None:
    stock = stored()
    Bar.objects.filter(stock=stock).order_by("date")[:1].get().delete()
    text = the_finding(database.summaries)
    assert "600001.SH" in text
    assert "--refresh" in text


def test_a_summary_that_is_right_the_second_time_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stored()
    answers = [["wrong"], []]

    def verify() -> Any:
        return [type("Mismatch", (), {"symbol": symbol}) for symbol in answers.pop(0)]

    monkeypatch.setattr(database, "verify_summaries", verify)
    assert findings(database.summaries) == []


def test_a_broken_invariant_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.invariants.LOOK_AGAIN_AFTER", 0.0)
    task = make_task(progress=100)
    text = the_finding(database.invariants)
    assert f"Task {task.pk} is pending at 100 percent." in text
    assert "please report it" in text


# Work


def test_without_workers_both_remedies_are_named() -> None:
    text = the_finding(work.hosts)
    assert "python manage.py serve" in text
    assert "--inline" in text


def test_a_host_that_was_stopped_is_no_finding_of_its_own() -> None:
    workers_are_alive()
    say_alive("there", pid=2, workers=2, restarts=0, trouble=Trouble.NONE)
    say_gone("there", pid=2)
    assert findings(work.hosts) == []


def test_a_host_that_went_away_without_a_word_is_named() -> None:
    workers_are_alive()
    say_alive("there", pid=2, workers=2, restarts=0, trouble=Trouble.NONE)
    Host.objects.filter(name="there").update(seen_at=db_now() - timedelta(minutes=5))
    assert "Host there was not stopped" in the_finding(work.hosts)


def test_the_trouble_of_a_host_is_told() -> None:
    say_alive("here", pid=1, workers=2, restarts=9, trouble=Trouble.CRASH_LOOP)
    assert the_finding(work.hosts).startswith("Host here: The workers of this host fail again and again")


def test_a_host_of_another_version_is_named() -> None:
    workers_are_alive()
    Host.objects.update(version="0.0.1")
    text = the_finding(work.hosts)
    assert "0.0.1" in text
    assert code_version() in text


def running(**values: Any) -> ImportTask:
    now = db_now()
    return make_task(status=Status.RUNNING, started_at=now, progress=34, **{"heartbeat_at": now, **values})


def test_a_running_task_that_moves_is_told() -> None:
    workers_are_alive()
    running()
    (text,) = facts(work.running_task)
    assert text.endswith("is at 34 percent.")


def test_a_running_task_without_workers_is_named() -> None:
    running()
    assert "stands still at 34 percent because no worker is alive" in the_finding(work.running_task)


def test_a_running_task_that_does_not_move_is_named() -> None:
    workers_are_alive()
    running(heartbeat_at=db_now() - timedelta(minutes=2))
    assert "has not moved since" in the_finding(work.running_task)


def test_a_running_task_that_waits_for_its_sources_says_until_when() -> None:
    workers_are_alive()
    now = db_now()
    running(heartbeat_at=now - timedelta(hours=1), waiting_until=now + timedelta(minutes=5))
    assert findings(work.running_task) == []
    assert "waits for its sources until" in facts(work.running_task)[0]


def test_a_running_task_that_waits_for_the_network_says_why() -> None:
    workers_are_alive()
    task = running()
    wait_for_network(task.pk, db_now() + timedelta(seconds=20), Text("No network."))
    assert "waits for the network: No network. The task waits" in the_finding(work.running_task)


def test_a_task_that_waits_for_another_names_it() -> None:
    workers_are_alive()
    before, after = running(), make_task()
    (text,) = facts(work.waiting_tasks)
    assert text.startswith(f"Waiting for task {before.pk}: 1 task; the next is {after.pk}")


def test_a_task_that_waits_for_workers_says_so() -> None:
    make_task()
    assert "Waiting because no worker is alive: 1 task; " in the_finding(work.waiting_tasks)


def test_a_task_that_should_have_started_is_named() -> None:
    workers_are_alive()
    task = make_task()
    assert findings(work.waiting_tasks) == []
    ImportTask.objects.filter(pk=task.pk).update(created_at=db_now() - timedelta(minutes=1))
    assert "should have started" in the_finding(work.waiting_tasks)


def test_a_paused_task_says_how_to_go_on() -> None:
    task = make_task(status=Status.PAUSED, progress=12)
    (text,) = facts(work.waiting_tasks)
    assert text.endswith(f"import_tasks resume {task.pk}")


def test_only_the_newest_failed_task_is_named() -> None:
    now = db_now()
    failed = make_task(status=Status.FAILED, finished_at=now, message_id="The disk is full.")
    assert "The disk is full. Go on with" in the_finding(work.last_task)
    assert str(failed.pk) in the_finding(work.last_task)
    make_task(status=Status.COMPLETED, progress=100, finished_at=now + timedelta(seconds=1))
    assert findings(work.last_task) == []


def test_a_source_that_rests_is_named_with_its_reason() -> None:
    SourceState.objects.create(
        source="eastmoney",
        breaker=Breaker.OPEN,
        open_until=db_now() + timedelta(minutes=5),
        reason_id="It refused 5 times",
    )
    SourceState.objects.create(source="sina")
    assert the_finding(work.sources) == "It refused 5 times."
    assert len(facts(work.sources)) == 1


def test_what_the_source_said_before_it_was_left_alone_follows_its_reason() -> None:
    for _time in range(5):
        error = SourceUnavailable(source=word("Eastmoney"), detail="is this machine online?")
        pacing.report_trouble("eastmoney", error)
    text = the_finding(work.sources)
    assert text.startswith("Eastmoney did not answer 5 requests in a row; next try at ")
    assert text.endswith(". Eastmoney did not answer (is this machine online?).")


def test_a_source_whose_last_requests_failed_is_not_said_to_answer() -> None:
    SourceState.objects.create(source="sina", refusals=2, requests=2)
    assert facts(work.sources) == ["Sina did not answer lately: 2 requests in a row. It is asked again."]


# Surroundings


@pytest.fixture
def nothing_listens() -> int:
    """Return a port on which nothing answers."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_proxy_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, nothing_listens: int
) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{nothing_listens}")
    text = the_finding(surroundings.proxy)
    assert f"http://127.0.0.1:{nothing_listens} (HTTPS_PROXY), which does not answer" in text
    assert "secret" not in text


def test_a_proxy_that_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert findings(surroundings.proxy) == []
        assert "(ALL_PROXY), which answers" in facts(surroundings.proxy)[0]


def test_a_proxy_that_cannot_be_used_is_named_though_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(gate_signs, "find_spec", lambda _name: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ALL_PROXY", f"socks5://me:secret@127.0.0.1:{server.getsockname()[1]}")
        text = the_finding(surroundings.proxy)
    assert "a SOCKS proxy cannot be used here" in text
    assert "secret" not in text


def test_a_proxy_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://:notaport")
    assert "not an address" in the_finding(surroundings.proxy)


def test_what_goes_past_a_proxy_is_told(monkeypatch: pytest.MonkeyPatch, nothing_listens: int) -> None:
    assert facts(surroundings.proxy) == []
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{nothing_listens}")
    assert "past the proxy" in facts(surroundings.proxy)[-1]


def test_the_order_of_auto_is_told(settings: Any) -> None:
    settings.AUTO_ORDER = ["sina", "eastmoney"]
    assert "sina, eastmoney, in this order" in facts(surroundings.order_of_sources)[0]


def test_an_order_of_auto_that_names_no_source_is_found(settings: Any) -> None:
    settings.AUTO_ORDER = ["bloomberg"]
    assert "BARVAULT_AUTO_ORDER names “bloomberg”" in the_finding(surroundings.order_of_sources)


def test_redis_that_does_not_answer_is_named_without_its_password(settings: Any, nothing_listens: int) -> None:
    settings.BROKER_URL = f"redis://:secret@127.0.0.1:{nothing_listens}/0"
    text = the_finding(surroundings.broker)
    assert "BARVAULT_BROKER_URL" in text
    assert "secret" not in text


def test_redis_that_answers_is_told(settings: Any, redis_url: str) -> None:
    settings.BROKER_URL = redis_url
    assert findings(surroundings.broker) == []


def test_a_page_that_others_reach_without_a_login_is_named(settings: Any) -> None:
    settings.HOST = "0.0.0.0"
    settings.LOGIN_REQUIRED = True
    assert "createsuperuser" in the_finding(surroundings.exposure)
    get_user_model()._default_manager.create_superuser("me", password="long enough for anybody")  # type: ignore[attr-defined]
    assert "BARVAULT_API_TOKEN" in the_finding(surroundings.exposure)


def test_a_calendar_that_ends_soon_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "last_known_day", lambda: timezone.localdate() + timedelta(days=3))
    assert "pip install -U exchange-calendars" in the_finding(surroundings.calendar)
    monkeypatch.setattr(surroundings, "last_known_day", lambda: timezone.localdate() + timedelta(days=40))
    (soon,) = surroundings.calendar()
    assert (soon.verdict, "only" in str(soon.text)) == (Verdict.FINE, True), "weeks ahead it is no finding yet"
    monkeypatch.setattr(surroundings, "last_known_day", lambda: date(2100, 1, 1))
    assert findings(surroundings.calendar) == []


# The command


def test_a_check_that_breaks_does_not_keep_the_others_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def sick() -> Iterator[Fact]:
        yield from installation.debug_mode()
        raise RuntimeError("out of order")

    monkeypatch.setattr(doctor, "WITHOUT_DATABASE", ())
    monkeypatch.setattr(doctor, "WITH_DATABASE", (sick, work.hosts))
    first, second = doctor.examine()
    assert first.verdict == Verdict.BROKEN
    assert "“sick” could not be made: RuntimeError: out of order." in str(first.text)
    assert second.verdict == Verdict.FINDING


@pytest.mark.django_db(transaction=True)
def test_findings_are_status_3_and_nothing_wrong_is_status_0(
    capsys: pytest.CaptureFixture[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "last_known_day", lambda: date(2100, 1, 1))
    settings.VAR_DIR.joinpath("secret_key").chmod(0o600)
    sick = give_command(capsys, "doctor")
    assert sick.status == 3
    assert [line for line in sick.out_lines if line.startswith("!!  No worker is alive")]
    workers_are_alive()
    healthy = give_command(capsys, "doctor")
    assert (healthy.status, healthy.out_lines[-1]) == (0, "Nothing is wrong."), healthy.out


def test_hash_prints_the_hash_of_all_bars_alone(capsys: pytest.CaptureFixture[str]) -> None:
    stored()
    call_command("doctor", hash=True)
    assert capsys.readouterr().out == f"{bars_hash()}\n"


def test_a_database_without_tables_is_status_2_after_what_can_be_examined(bare_installation: RealInstallation) -> None:
    shown = bare_installation.manage("doctor", check=False)
    assert shown.returncode == 2
    assert "ok  Python" in shown.stdout
    assert "!!  The database" in shown.stdout
    assert "python manage.py migrate" in shown.stdout


def test_nothing_is_changed_and_nothing_left_behind(installation: RealInstallation) -> None:
    installation.manage("doctor", check=False)
    before = sorted(str(path) for path in installation.var_dir.rglob("*") if path.is_file())
    tables = "SELECT COUNT(*) FROM importer_sourcestate", "SELECT COUNT(*) FROM importer_host"
    installation.manage("doctor", check=False)
    assert sorted(str(path) for path in installation.var_dir.rglob("*") if path.is_file()) == before
    assert [installation.sql(table) for table in tables] == [[(0,)], [(0,)]]
