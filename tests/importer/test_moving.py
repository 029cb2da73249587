"""Everything from one database into another: complete, verified, and all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django_q.models import Schedule

from importer import moving
from importer.dbtime import db_now
from importer.hosts import Trouble, say_alive
from importer.models import Failure, ImportTask, SnapshotPart, Status
from importer.moving import TARGET, CannotMove, check_target, move, target_database
from marketdata.integrity import bars_hash
from marketdata.models import Bar, CorporateAction, IndexDay, Stock, TradingDay
from marketdata.store import ensure_stocks, store_bars
from tests.importer.command_line import give_command
from tests.importer.factories import make_chunk, make_task
from tests.sources.made_bars import bars

pytestmark = pytest.mark.django_db(transaction=True)
SYMBOLS = ["600519.SH", "000001.SZ"]


@pytest.fixture(autouse=True)
def other_databases(django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    # Django's test cases know only the databases that were there when the tests began.
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", django_db_blocker._real_ensure_connection)


@pytest.fixture(params=["PostgreSQL", "SQLite"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database of each kind."""
    if request.param == "PostgreSQL":
        url: str = request.getfixturevalue("postgresql_url")
        return url
    return f"sqlite:///{tmp_path / 'moved.sqlite3'}"


@pytest.fixture
def filled() -> None:
    """Put something into every kind of table."""
    for seed, stock_id in enumerate(ensure_stocks(SYMBOLS).values()):
        store_bars(stock_id, bars(50, seed=seed), source="sina", simulated=False, covered=None)
    stock = Stock.objects.get(symbol=SYMBOLS[0])
    CorporateAction.objects.create(stock=stock, ex_date=date(2024, 6, 19), cash_per_share=0.1 + 0.2)
    TradingDay.objects.create(date=date(2027, 1, 4))
    IndexDay.objects.create(index="000001.SH", date=date(2024, 6, 19), close=3018.05, amount=5.3e11, source="tdx")
    task = make_task(status=Status.PAUSED, message_id="%(done)s 只", message_values={"done": 3}, requested_by="页面")
    make_chunk(task, SYMBOLS, cursor=1, by_source={"sina": 1})
    make_task(status=Status.COMPLETED, retry_of=task)
    Failure.objects.create(task=task, symbol=SYMBOLS[1], code="bad_data", reason_values={"tab": "a\tb\\c\nd"})
    SnapshotPart.objects.create(source="sina", day=date(2024, 12, 25), rows=[[1.5, None]], taken_at=db_now())
    Schedule.objects.create(func="importer.nothing", schedule_type=Schedule.DAILY)
    user = get_user_model().objects.create_user("reader", password="a long password")
    user.user_permissions.add(Permission.objects.get(codename="change_importtask"))
    user.groups.add(Group.objects.create(name="team"))


def everything(using: str) -> dict[str, list[dict[str, Any]]]:
    models = [model for model in moving._all_models() if model._meta.db_table not in moving._NOT_COPIED]
    return {
        model._meta.db_table: sorted(model._base_manager.using(using).order_by().values(), key=str) for model in models
    }


def move_quietly() -> moving.Moved:
    return move(on_table=lambda _table, _rows: None)


@pytest.fixture
def target(address: str) -> Iterator[None]:
    with target_database(address):
        yield


def test_every_row_of_every_table_arrives_as_it_was(filled: None, target: None) -> None:
    moved = move_quietly()
    assert everything(TARGET) == everything("default")
    assert moved.hash == bars_hash(TARGET) == bars_hash()
    assert moved.rows["marketdata_bar"] == Bar.objects.count() == 100


def test_an_account_keeps_its_password_and_its_rights(filled: None, target: None) -> None:
    move_quietly()
    user = get_user_model().objects.using(TARGET).get(username="reader")
    assert user.check_password("a long password")
    assert user.user_permissions.using(TARGET).get().codename == "change_importtask"


def test_new_rows_get_numbers_after_those_that_were_moved(filled: None, target: None) -> None:
    move_quietly()
    highest = Stock.objects.order_by("-pk").first()
    assert highest is not None
    added = Stock.objects.using(TARGET).create(symbol="600000.SH", code="600000", exchange="SH")
    assert added.pk > highest.pk


def test_what_fails_leaves_nothing_and_can_be_done_again(
    filled: None, target: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(moving, "bars_hash", lambda using: using)
        with pytest.raises(CannotMove, match="Nothing was kept"):
            move_quietly()
    assert not Stock.objects.using(TARGET).exists()
    assert not Bar.objects.using(TARGET).exists()
    move_quietly()
    assert everything(TARGET) == everything("default")


def test_a_row_that_the_other_database_does_not_take_is_named(filled: None, postgresql_url: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite alone takes texts that are too long.")
    Stock.objects.update(board="b" * 300)
    with target_database(postgresql_url):
        with pytest.raises(CannotMove, match="marketdata_stock could not be copied"):
            move_quietly()
        assert not Stock.objects.using(TARGET).exists()


def test_a_database_that_holds_something_is_left_alone(filled: None, target: None) -> None:
    move_quietly()
    ImportTask.objects.using(TARGET).update(priority=7)
    with pytest.raises(CannotMove, match="not empty"):
        move_quietly()
    assert set(ImportTask.objects.using(TARGET).values_list("priority", flat=True)) == {7}


def test_a_database_with_an_account_is_left_alone(target: None) -> None:
    move_quietly()
    get_user_model().objects.db_manager(TARGET).create_user("somebody")
    with pytest.raises(CannotMove, match="auth_user has rows"):
        move_quietly()


def test_a_database_of_another_program_is_left_alone(target: None) -> None:
    with connections[TARGET].cursor() as cursor:
        cursor.execute("CREATE TABLE invoices (id integer)")
    with pytest.raises(CannotMove, match="invoices"):
        check_target()


def test_nothing_is_moved_while_workers_run(target: None) -> None:
    say_alive("north", pid=1, workers=2, restarts=0, trouble=Trouble.NONE)
    with pytest.raises(CannotMove, match="north"):
        move_quietly()
    assert connections[TARGET].introspection.table_names() == []


def test_nobody_writes_into_the_old_database_meanwhile(filled: None, target: None) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL gives the move a view of its own.")
    refused = []

    def write(_table: str, _rows: int) -> None:
        other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0)
        try:
            other.execute("UPDATE marketdata_stock SET name = 'late'")
        except sqlite3.OperationalError as error:
            refused.append(str(error))
        finally:
            other.close()

    move(on_table=write)
    assert set(refused) == {"database is locked"}


def test_the_database_in_use_is_no_target() -> None:
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        address = f"sqlite:///{settings['NAME']}"
    else:
        user, host = settings["USER"], settings["HOST"]
        address = f"postgres://{user}@{host}:{settings['PORT'] or 5432}/{settings['NAME']}"
    with target_database(address), pytest.raises(CannotMove, match="in use now"):
        check_target()


@pytest.mark.parametrize("address", ["somewhere", "mysql://root@127.0.0.1/bars", "postgres//bars"])
def test_what_is_no_address_is_refused_in_a_sentence(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = give_command(capsys, "move_database", "--to", address)
    assert outcome.status == 2
    assert "postgres://" in outcome.err


def test_a_server_that_does_not_answer_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = give_command(capsys, "move_database", "--to", "postgres://user:secret-word@127.0.0.1:1/bars")
    assert outcome.status == 2
    assert "does not answer" in outcome.err
    assert "secret-word" not in outcome.err


def test_the_command_says_what_it_moved_and_what_comes_next(
    filled: None, postgresql_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = give_command(capsys, "move_database", "--to", postgresql_url)
    assert outcome.status == 0, outcome.err
    assert "marketdata_bar: 100 rows" in outcome.out
    assert bars_hash() in outcome.out
    assert "DATABASE_URL" in outcome.out
    with psycopg.connect(postgresql_url) as server:
        assert server.execute("SELECT count(*) FROM marketdata_bar").fetchone() == (100,)
