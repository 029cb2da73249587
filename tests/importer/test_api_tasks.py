"""Tasks seen and steered through the API: every action in every state, lists, failures, languages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import HttpResponse
from django.utils import translation

from importer.dbtime import db_now
from importer.models import Action, Failure, Host, ImportTask, Kind, LaneSlot, Status, Transition
from importer.progress import Totals, running_text
from marketdata.texts import Text, moment
from tests.importer.api_caller import Caller, error_of
from tests.importer.factories import make_chunk, make_task
from tests.importer.test_lifecycle import TABLE

pytestmark = pytest.mark.django_db

UNKNOWN = ["6ba97c19-778a-4b84-a6d2-9cf96debcf3f", "no-id", "1", "x" * 300, "%00", "’"]
FIELDS = {
    "task_id", "kind", "status", "progress", "message", "total", "done", "failed", "skipped", "rows_written",
    "eta_seconds", "requested_action", "waiting_until", "priority", "parameters", "retry_of", "requested_by",
    "created_at", "started_at", "finished_at", "heartbeat_at",
}  # fmt: skip


@pytest.fixture
def api() -> Caller:
    return Caller()


def fail(task: ImportTask, symbol: str, **values: object) -> Failure:
    return Failure.objects.create(
        task=task,
        symbol=symbol,
        **{"source": "sina", "code": "bad_data", "reason_id": "The answer is empty.", **values},
    )


def ids(response: HttpResponse) -> list[str]:
    return [row["task_id"] for row in response.json()["data"]]


def test_a_tasks_data_has_every_field_that_is_promised(api: Caller) -> None:
    task = make_task(requested_by="api: 127.0.0.1", priority=3)
    content = api.get(f"/tasks/{task.pk}").json()
    assert content["success"] is True
    data = content["data"]
    assert set(data) == FIELDS
    assert (data["task_id"], data["kind"], data["status"], data["progress"]) == (str(task.pk), "import", "pending", 0)
    assert (data["priority"], data["requested_by"], data["retry_of"]) == (3, "api: 127.0.0.1", None)
    assert data["parameters"] == {
        "start_date": "2021-01-01", "end_date": "2024-12-25", "symbols": None,
        "source": "simulated", "path": None, "refresh": False,
    }  # fmt: skip


def test_times_are_exchange_time_with_their_offset(api: Caller) -> None:
    begun = datetime(2024, 12, 25, 23, 30, 15, 999, tzinfo=ZoneInfo("UTC"))
    task = make_task(status=Status.RUNNING, started_at=begun)
    assert api.get(f"/tasks/{task.pk}").json()["data"]["started_at"] == "2024-12-26T07:30:15+08:00"


def test_a_running_task_says_how_far_it_is_and_how_long_it_will_take(api: Caller) -> None:
    text = running_text(Totals(1000, 240, 3, 7, 200_000), 375.0, "600519.SH")
    task = make_task(
        status=Status.RUNNING, total=1000, done=240, failed=3, skipped=7, rows_written=200_000, progress=25,
        stocks_per_second=2.0, message_id=text.msgid, message_values=dict(text.values),
    )  # fmt: skip
    data = api.get(f"/tasks/{task.pk}").json()["data"]
    assert data["eta_seconds"] == 375
    assert data["progress"] == 25
    assert "250 of 1,000 stocks" in data["message"]
    assert "6 min 15 s" in data["message"]


def test_no_time_is_promised_while_every_source_rests(api: Caller) -> None:
    until = db_now() + timedelta(minutes=5)
    text = Text("Every source rests after refusing requests; next try at %(at)s.", {"at": moment(until)})
    task = make_task(
        status=Status.RUNNING, total=10, stocks_per_second=2.0, waiting_until=until,
        message_id=text.msgid, message_values=dict(text.values),
    )  # fmt: skip
    data = api.get(f"/tasks/{task.pk}").json()["data"]
    assert (data["status"], data["eta_seconds"]) == ("running", None)
    assert datetime.fromisoformat(data["waiting_until"]) == until.replace(microsecond=0)


@pytest.mark.parametrize("task_id", UNKNOWN)
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("get", ""),
        ("get", "/failures"),
        ("post", "/cancel"),
        ("post", "/pause"),
        ("post", "/resume"),
        ("post", "/retry"),
    ],
)
def test_an_unknown_task_is_a_404_in_the_one_shape(api: Caller, task_id: str, method: str, rest: str) -> None:
    call: Callable[..., HttpResponse] = getattr(api, method)
    assert error_of(call(f"/tasks/{task_id}{rest}")) == (404, "unknown_task", None)


@pytest.mark.parametrize(("status", "action"), [pair for pair in TABLE if pair[1] != "priority"])
def test_each_action_in_each_state(api: Caller, status: Status, action: str) -> None:
    task = make_task(status=status)
    response = api.post(f"/tasks/{task.pk}/{action}")
    expected = TABLE[status, action]
    if expected is None:
        assert error_of(response) == (409, "not_allowed_now", None)
        expected = status
    else:
        assert response.status_code == 200
        assert response.json()["data"]["status"] == expected
        if status != Status.RUNNING:
            assert Transition.objects.get(task=task).by == "api: 127.0.0.1"
    task.refresh_from_db()
    assert task.status == expected


@pytest.mark.parametrize("body", [None, {}])
def test_an_action_takes_no_body_or_an_empty_one(api: Caller, body: object) -> None:
    assert api.post(f"/tasks/{make_task().pk}/cancel", body).status_code == 200


def test_an_action_with_parameters_is_refused(api: Caller) -> None:
    task = make_task()
    assert error_of(api.post(f"/tasks/{task.pk}/cancel", {"force": True})) == (422, "unknown_field", "force")
    assert ImportTask.objects.get().status == Status.PENDING


@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_what_takes_a_moment_says_that_it_was_asked(api: Caller, action: str) -> None:
    task = make_task(status=Status.RUNNING)
    LaneSlot.objects.create(task=task, number=0, token="held", pid=1, leased_until=db_now() + timedelta(seconds=8))
    for _again in range(2):
        data = api.post(f"/tasks/{task.pk}/{action}").json()["data"]
        assert (data["status"], data["requested_action"]) == ("running", action)


def test_resuming_starts_the_task_when_a_worker_is_alive(api: Caller) -> None:
    Host.objects.create(name="here", workers=2, pid=1, started_at=db_now(), seen_at=db_now())
    task = make_task(status=Status.PAUSED)
    assert api.post(f"/tasks/{task.pk}/resume").json()["data"]["status"] == Status.RUNNING


def test_a_retry_is_a_new_task_for_exactly_what_failed(api: Caller) -> None:
    task = make_task(status=Status.COMPLETED, priority=2)
    for symbol in ("600003.SH", "000001.SZ", "600003.SH"):
        fail(task, symbol)
    fail(task, "600009.SH", finding=True)
    response = api.post(f"/tasks/{task.pk}/retry")
    assert (response.status_code, response.json()["existing"]) == (202, False)
    new = api.get(f"/tasks/{response.json()['task_id']}").json()["data"]
    assert new["retry_of"] == str(task.pk)
    assert new["parameters"]["symbols"] == ["000001.SZ", "600003.SH"]
    again = api.post(f"/tasks/{task.pk}/retry")
    assert (again.status_code, again.json()["task_id"]) == (200, new["task_id"])


def test_nothing_to_retry_is_a_conflict(api: Caller) -> None:
    task = make_task(status=Status.COMPLETED)
    assert error_of(api.post(f"/tasks/{task.pk}/retry")) == (409, "nothing_to_retry", None)


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.PAUSED])
def test_a_task_that_has_not_ended_cannot_be_retried(api: Caller, status: Status) -> None:
    task = make_task(status=status)
    fail(task, "600003.SH")
    assert error_of(api.post(f"/tasks/{task.pk}/retry")) == (409, "not_allowed_now", None)


def test_failures_are_listed_with_their_reasons_stocks_before_rows(api: Caller) -> None:
    task = make_task()
    fail(
        task, "600009.SH", finding=True, reason_id="%(symbol)s: high below low.", reason_values={"symbol": "600009.SH"}
    )
    fail(task, "600003.SH", attempts=3)
    fail(make_task(), "600001.SH")
    content = api.get(f"/tasks/{task.pk}/failures").json()
    assert content["total"] == 2
    first, second = content["data"]
    assert set(first) == {"symbol", "source", "code", "reason", "attempts", "finding", "at"}
    assert (first["symbol"], first["attempts"], first["finding"]) == ("600003.SH", 3, False)
    assert (second["reason"], second["finding"]) == ("600009.SH: high below low.", True)
    assert first["at"].endswith("+08:00")


@pytest.mark.parametrize(("wanted", "symbols"), [("true", ["600009.SH"]), ("false", ["600003.SH"])])
def test_failures_may_be_filtered(api: Caller, wanted: str, symbols: list[str]) -> None:
    task = make_task()
    fail(task, "600009.SH", finding=True)
    fail(task, "600003.SH")
    content = api.get(f"/tasks/{task.pk}/failures", finding=wanted).json()
    assert ([row["symbol"] for row in content["data"]], content["total"]) == (symbols, 1)


def test_a_reason_does_not_tell_where_files_lie(api: Caller) -> None:
    task = make_task(parameters={"path": "/somewhere/private/vipdoc"})
    values = {"file": "/somewhere/private/vipdoc/sh/lday/sh600003.day"}
    fail(task, "600003.SH", reason_id="The file %(file)s is cut off.", reason_values=values)
    reason = api.get(f"/tasks/{task.pk}/failures").json()["data"][0]["reason"]
    assert reason == "The file vipdoc/sh/lday/sh600003.day is cut off."


def test_tasks_are_listed_the_newest_first_a_page_at_a_time(api: Caller) -> None:
    made = [str(make_task().pk) for _number in range(5)][::-1]
    content = api.get("/tasks", limit=2, offset=1)
    assert ids(content) == made[1:3]
    assert content.json()["total"] == 5
    assert ids(api.get("/tasks", offset=5)) == []


def test_a_page_has_fifty_tasks_unless_asked_otherwise_and_five_hundred_at_most(api: Caller) -> None:
    for _number in range(52):
        make_task()
    assert len(ids(api.get("/tasks"))) == 50
    assert len(ids(api.get("/tasks", limit=500))) == 52


def test_tasks_may_be_filtered_by_state_kind_and_time(api: Caller) -> None:
    old = make_task(kind=Kind.UPDATE, status=Status.COMPLETED)
    ImportTask.objects.update(created_at=datetime(2024, 12, 24, 23, 0, tzinfo=ZoneInfo("Asia/Shanghai")))
    new = make_task(kind=Kind.IMPORT, status=Status.FAILED)
    assert ids(api.get("/tasks", status="completed")) == [str(old.pk)]
    assert ids(api.get("/tasks", kind="import")) == [str(new.pk)]
    assert ids(api.get("/tasks", status="failed", kind="update")) == []
    assert ids(api.get("/tasks", since="2024-12-25")) == [str(new.pk)]
    assert ids(api.get("/tasks", since="2024-12-24")) == [str(new.pk), str(old.pk)]
    assert ids(api.get("/tasks", since="2024-12-24T23:00:01")) == [str(new.pk)]
    assert ids(api.get("/tasks", since="2024-12-24T15:00:00Z")) == [str(new.pk), str(old.pk)]
    assert ids(api.get("/tasks", since="2024-12-24T23:00:00+08:00")) == [str(new.pk), str(old.pk)]
    assert ids(api.get("/tasks", since="2024-12-25T14:41:00+23:41")) == [str(new.pk), str(old.pk)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "1.0"}, "limit"),
        ({"limit": "１０"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"offset": "9" * 30}, "offset"),
        ({"status": "done"}, "status"),
        ({"status": ""}, "status"),
        ({"kind": "export"}, "kind"),
        ({"source": "null"}, "source"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2024-02-30"}, "since"),
        ({"since": "2024-12-24T25:00:00"}, "since"),
        ({"since": "20241224"}, "since"),
        ({"since": "0001-01-01"}, "since"),
        ({"since": "9999-12-31T23:00:00-08:00"}, "since"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(api: Caller, query: dict[str, str], field: str) -> None:
    assert error_of(api.get("/tasks", **query)) == (422, "bad_request", field)


def test_a_misspelt_filter_is_named_with_those_that_there_are(api: Caller) -> None:
    response = api.get("/tasks", stat="running")
    assert error_of(response) == (422, "unknown_field", "stat")
    assert "status" in response.json()["message"]
    assert error_of(api.get(f"/tasks/{make_task().pk}", limit="5")) == (422, "unknown_field", "limit")


def test_a_filter_that_is_given_twice_is_refused(api: Caller) -> None:
    assert error_of(api.get("/tasks?source=sina&source=tdx")) == (422, "bad_request", "source")


def test_a_list_takes_few_queries_however_long_it_is(api: Caller, django_assert_max_num_queries: Callable) -> None:  # type: ignore[type-arg]
    parent = make_task()
    for number in range(30):
        fail(make_task(retry_of=parent), f"60000{number % 10}.SH")
        make_chunk(parent, ["600001.SH"])
        fail(parent, "600001.SH")
    with django_assert_max_num_queries(3):
        assert api.get("/tasks", limit=500).json()["total"] == 31
    with django_assert_max_num_queries(3):
        assert api.get(f"/tasks/{parent.pk}/failures", limit=500).json()["total"] == 30


LANGUAGES = [
    (None, "zh-hans"), ("zh-CN,zh;q=0.9", "zh-hans"), ("zh", "zh-hans"), ("zh-TW", "zh-hans"), ("fr", "zh-hans"),
    ("*", "zh-hans"), ("en", "en"), ("en-US,en;q=0.9", "en"), ("de, en;q=0.5", "en"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "spoken"), LANGUAGES)
def test_messages_are_in_the_callers_language_chinese_where_none_is_asked_for(asked: str | None, spoken: str) -> None:
    api = Caller(asked)
    task = make_task(status=Status.COMPLETED, message_id="Waiting for its turn.")
    refused = api.post(f"/tasks/{task.pk}/pause").json()
    told = api.get(f"/tasks/{task.pk}").json()["data"]
    assert refused["error"] == "not_allowed_now"
    with translation.override(spoken):
        assert told["message"] == translation.gettext("Waiting for its turn.")
    assert refused["message"].startswith("任务" if spoken == "zh-hans" else "The task")


def test_the_actions_of_a_running_task_are_those_of_the_schema() -> None:
    assert set(Action.values) == {"", "pause", "cancel", "step_aside"}
