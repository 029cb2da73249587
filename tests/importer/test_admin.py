"""The admin of imports: everything can be looked at, tasks and sources can be steered, nothing is edited by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from importer import pacing
from importer.dbtime import db_now
from importer.models import (
    Breaker,
    Failure,
    Host,
    ImportChunk,
    ImportTask,
    Kind,
    LaneSlot,
    SourceState,
    Status,
    Transition,
)
from importer.notify.models import Delivery, Notice
from importer.sources.base import Banned
from marketdata.store import claim_origin
from tests.importer.factories import make_chunk, make_schedule, make_task

pytestmark = pytest.mark.django_db

OURS = [model for model in apps.get_app_config("importer").get_models() if admin.site.is_registered(model)]
LIST = "/admin/importer/importtask/"


@pytest.fixture
def client() -> Client:
    """Return a browser in which the superuser is logged in."""
    browser = Client(headers={"accept-language": "en"})
    browser.force_login(User.objects.create_superuser("ada"))
    return browser


@pytest.fixture
def rows() -> dict[str, Any]:
    """Return a row of each of our tables, by the model's name."""
    now = db_now()
    task = make_task(status=Status.RUNNING, progress=37, started_at=now)
    notice = Notice.objects.create(
        key="missing:2026-11-20", event="missing", created_at=now, lines=[{"msgid": "It is missing.", "values": {}}]
    )
    return {
        "importtask": task,
        "importchunk": make_chunk(task, ["600001.SH"]),
        "failure": Failure.objects.create(
            task=task, symbol="600001.SH", code="unknown_symbol", reason_id="Nobody knows %(symbol)s.",
            reason_values={"symbol": "600001.SH"},
        ),
        "transition": Transition.objects.create(
            task=task, old="pending", new="running", reason_id="Its turn has come."
        ),
        "laneslot": LaneSlot.objects.create(task=task, number=0, token="secret-token", leased_until=now),
        "host": Host.objects.create(name="home", workers=4, pid=1, started_at=now, seen_at=now),
        "sourcestate": SourceState.objects.create(
            source="sina", breaker=Breaker.OPEN, open_until=now + timedelta(hours=1), refusals=5,
            reason_id="It refused.",
        ),
        "taskschedule": make_schedule(7, last_task=task),
        "notice": notice,
        "delivery": Delivery.objects.create(
            notice=notice, receiver="0123abcd", label="1: mailtos", token="secret-token", next_try_at=now,
            give_up_at=now,
        ),
    }  # fmt: skip


def shown(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(response.content.decode().split())


def act(client: Client, action: str, *tasks: ImportTask) -> str:
    """Do an action with the selected tasks and return the page that follows."""
    data = {"action": action, "_selected_action": [str(task.pk) for task in tasks]}
    return client.post(LIST, data, follow=True).content.decode()


def status(task: ImportTask) -> str:
    task.refresh_from_db()
    return task.status


def test_the_admin_of_a_simulated_market_says_so_as_every_page_does(client: Client) -> None:
    assert "Simulated data" not in client.get(LIST).content.decode()
    claim_origin(True)
    for page in ("/admin/", LIST):
        assert "Simulated data" in client.get(page).content.decode()


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.model_name)
class TestEachTable:
    def path(self, model: type, rows: dict[str, Any]) -> tuple[str, str]:
        name = model._meta.model_name  # type: ignore[attr-defined]
        return f"/admin/importer/{name}/", f"/admin/importer/{name}/{rows[name].pk}/change/"

    def test_it_is_listed_and_each_row_has_a_page(self, client: Client, rows: dict[str, Any], model: type) -> None:
        for path in self.path(model, rows):
            shown(client, path)

    def test_nothing_is_added_by_a_form(self, client: Client, rows: dict[str, Any], model: type) -> None:
        before = model.objects.count()  # type: ignore[attr-defined]
        path = self.path(model, rows)[0] + "add/"
        assert client.get(path).status_code == 403
        assert client.post(path, {}).status_code == 403
        assert model.objects.count() == before  # type: ignore[attr-defined]

    def test_no_field_can_be_edited(self, client: Client, rows: dict[str, Any], model: type) -> None:
        path = self.path(model, rows)[1]
        page = shown(client, path)
        assert 'name="_save"' not in page
        assert "<textarea" not in page
        assert client.post(path, {"status": "completed", "priority": "9"}).status_code == 403

    def test_nothing_is_deleted(self, client: Client, rows: dict[str, Any], model: type) -> None:
        path = self.path(model, rows)[1].replace("/change/", "/delete/")
        assert client.post(path, {"post": "yes"}).status_code == 403
        assert "delete_selected" not in shown(client, self.path(model, rows)[0])

    def test_its_columns_have_chinese_names(self, rows: dict[str, Any], model: type) -> None:
        registered = admin.site.get_model_admin(model)  # type: ignore[type-var]
        hidden = set(registered.exclude or ())
        named = [
            field for field in model._meta.concrete_fields  # type: ignore[attr-defined]
            if field.name not in hidden and (registered.fields is None or field.name in registered.fields)
        ]  # fmt: skip
        for field in named:
            with translation.override("zh-hans"):
                label = str(field.verbose_name)
            assert label == "ID" or not label.isascii(), f"{field.name} is shown as {label}"


def test_a_task_is_listed_with_its_progress_its_state_and_links(client: Client, rows: dict[str, Any]) -> None:
    page = shown(client, LIST)
    task = rows["importtask"]
    assert '<progress max="100" value="37"' in page
    assert "Full import of all stocks" in page
    assert "Running" in page
    for path in ("failure", "importchunk"):
        link = f"/admin/importer/{path}/?task__id__exact={task.pk}"
        assert link in page
        assert "0 selected" not in shown(client, link) or path == "failure"


def test_tasks_are_filtered_by_state_kind_and_day(client: Client) -> None:
    failed, other = make_task(status=Status.FAILED), make_task(kind=Kind.UPDATE)
    page = shown(client, f"{LIST}?status__exact=failed")
    assert str(failed.pk) in page
    assert str(other.pk) not in page
    assert str(other.pk) in shown(client, f"{LIST}?kind__exact=update&created_at__year={db_now().year}")


def test_the_token_of_a_lane_is_shown_nowhere(client: Client, rows: dict[str, Any]) -> None:
    for path in ("/admin/importer/laneslot/", f"/admin/importer/laneslot/{rows['laneslot'].pk}/change/"):
        assert "secret-token" not in shown(client, path)


def test_reasons_are_sentences(client: Client, rows: dict[str, Any]) -> None:
    for name, sentence in (("failure", "Nobody knows 600001.SH."), ("transition", "Its turn has come.")):
        assert sentence in shown(client, f"/admin/importer/{name}/")
        page = shown(client, f"/admin/importer/{name}/{rows[name].pk}/change/")
        assert sentence in page
        assert "%(symbol)s" not in page


class TestSteering:
    def test_tasks_are_paused_resumed_and_cancelled(self, client: Client) -> None:
        task = make_task()
        for action, after in (("pause", "paused"), ("resume", "pending"), ("cancel", "cancelled")):
            assert "1 task: done." in act(client, action, task)
            assert status(task) == after
        assert list(task.transitions.values_list("by", flat=True)) == ["admin: ada"] * 3

    def test_a_running_task_is_asked_and_not_stopped_in_the_middle(self, client: Client) -> None:
        task = make_task(status=Status.RUNNING)
        LaneSlot.objects.create(task=task, number=0, token="x", pid=1, leased_until=db_now() + timedelta(hours=1))
        LaneSlot.objects.update(leased_until=db_now() + timedelta(seconds=8))
        act(client, "cancel", task)
        task.refresh_from_db()
        assert (task.status, task.requested_action) == ("running", "cancel")

    def test_what_failed_is_retried_as_a_new_task(self, client: Client) -> None:
        task = make_task(status=Status.COMPLETED, failed=1)
        Failure.objects.create(task=task, symbol="600001.SH", code="banned")
        act(client, "retry", task)
        assert ImportTask.objects.get(retry_of=task).parameters["symbols"] == ["600001.SH"]

    def test_priorities_are_raised_and_lowered_within_their_bounds(self, client: Client) -> None:
        task, highest = make_task(priority=2), make_task(priority=10)
        act(client, "raise_priority", task, highest)
        assert list(ImportTask.objects.order_by("priority").values_list("priority", flat=True)) == [3, 10]
        act(client, "lower_priority", task)
        task.refresh_from_db()
        assert task.priority == 2

    def test_of_several_tasks_those_that_cannot_say_why_and_the_others_go_on(self, client: Client) -> None:
        waiting, ended = make_task(), make_task(status=Status.COMPLETED)
        page = act(client, "pause", waiting, ended)
        assert "is not possible" in page
        assert "1 task: done." in page
        assert (status(waiting), status(ended)) == ("paused", "completed")

    def test_who_may_only_look_is_offered_no_action_and_can_do_none(self) -> None:
        user = User.objects.create_user("bob", is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename__in=["view_importtask", "view_sourcestate"]))
        browser = Client(headers={"accept-language": "en"})
        browser.force_login(user)
        task = make_task()
        assert 'value="cancel"' not in shown(browser, LIST)
        act(browser, "cancel", task)
        assert status(task) == "pending"

    def test_a_stranger_sees_nothing(self) -> None:
        assert Client().get(LIST).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_breaker_is_closed_at_once(client: Client, rows: dict[str, Any]) -> None:
    data = {"action": "close_breaker", "_selected_action": ["sina"]}
    client.post("/admin/importer/sourcestate/", data)
    state = SourceState.objects.get()
    assert state.breaker == Breaker.CLOSED
    assert "ada" in state.reason


@pytest.mark.django_db(transaction=True)
def test_a_source_that_has_rested_says_that_the_next_request_tries_it_again(client: Client) -> None:
    pacing.report_trouble("sina", Banned(source="sina", detail="429", retry_after=600))
    assert "next try at" in shown(client, "/admin/importer/sourcestate/")
    SourceState.objects.update(open_until=db_now() - timedelta(seconds=1))
    assert "the next request tries it again" in shown(client, "/admin/importer/sourcestate/")


@pytest.mark.django_db(transaction=True)
def test_what_waits_for_a_source_is_asked_for_when_its_breaker_is_closed(client: Client, rows: dict[str, Any]) -> None:
    later = db_now() + timedelta(hours=1)
    ImportTask.objects.filter(status=Status.RUNNING).update(waiting_until=later)
    chunk = make_chunk(rows["importtask"], ["430047.BJ"], not_before=later, number=90)
    client.post("/admin/importer/sourcestate/", {"action": "close_breaker", "_selected_action": ["sina"]})
    chunk.refresh_from_db()
    assert chunk.not_before <= db_now()
    assert not ImportTask.objects.exclude(waiting_until=None).exists()


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        shown(client, path)
    return len(captured)


@pytest.mark.parametrize(
    ("path", "grow"),
    [
        (LIST, lambda: _tasks(1000)),
        ("/admin/importer/importchunk/", lambda: _of_a_task(ImportChunk, symbols=[], size=0)),
        ("/admin/importer/failure/", lambda: _of_a_task(Failure, symbol="600001.SH", code="banned", numbered=False)),
        ("/admin/importer/transition/", lambda: _of_a_task(Transition, new="running", numbered=False)),
    ],
    ids=["tasks", "chunks", "failures", "transitions"],
)
def test_a_list_takes_as_many_queries_with_a_thousand_rows_as_with_one(
    client: Client, rows: dict[str, Any], path: str, grow: Callable[[], None]
) -> None:
    shown(client, path)
    few = queries(client, path)
    grow()
    assert queries(client, path) <= few
    assert few <= 12


def _tasks(number: int) -> None:
    parameters = make_task().parameters
    ImportTask.objects.bulk_create(
        ImportTask(kind=Kind.IMPORT, status=Status.COMPLETED, fingerprint=str(place), parameters=parameters)
        for place in range(number)
    )


def _of_a_task(model: Any, *, numbered: bool = True, **values: Any) -> None:
    for place in range(100):
        task = make_task()
        number = {"number": place} if numbered else {}
        model.objects.bulk_create(model(task=task, **number, **values) for _place in range(1 if numbered else 10))


class TestDjangoQ:
    """django-q2's own pages still work."""

    @pytest.mark.parametrize("name", ["success", "failure", "ormq", "schedule"])
    def test_its_lists_are_shown(self, client: Client, name: str) -> None:
        from django_q.models import OrmQ, Task
        from django_q.signing import SignedPackage

        now = db_now()
        for place, success in enumerate((True, False)):
            Task.objects.create(
                id=str(place), name=f"task-{place}", func="importer.lanes.run_lane", started=now, stopped=now,
                success=success,
            )  # fmt: skip
        payload = {"id": "1", "name": "bell", "func": "importer.lanes.run_lane", "args": (), "kwargs": {}}
        OrmQ.objects.create(key="barvault", payload=SignedPackage.dumps(payload), lock=now)
        shown(client, f"/admin/django_q/{name}/")


def test_figures_of_the_lists_have_separators_and_a_source_its_name(client: Client) -> None:
    make_task(total=5412, done=5388)
    SourceState.objects.create(source="eastmoney", requests=12480)
    tasks, sources = client.get(LIST).content.decode(), client.get("/admin/importer/sourcestate/").content.decode()
    assert ">5,412<" in tasks
    assert ">5,388<" in tasks
    assert ">12,480<" in sources
    assert ">Eastmoney<" in sources
