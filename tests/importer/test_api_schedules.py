"""Schedules through the API."""

from __future__ import annotations

from typing import Any

import pytest
from django_q.models import Schedule

from importer.models import ImportTask, Outcome, Status
from tests.importer.api_caller import Caller, error_of
from tests.importer.factories import make_schedule, make_task
from tests.importer.simulated_clusters import at, clock

pytestmark = pytest.mark.django_db

DAILY = {"when": "trading_day", "time": "16:30", "kind": "update"}
NOW = at("2024-02-29T12:00")


@pytest.fixture
def api() -> Caller:
    return Caller()


def made(api: Caller, **more: Any) -> dict[str, Any]:
    response = api.post("/schedules", {**DAILY, **more})
    assert response.status_code == 201, response.content
    row: dict[str, Any] = response.json()["data"]
    return row


def test_a_schedule_is_made_with_its_next_run(api: Caller) -> None:
    with clock(NOW):
        row = made(api, symbols=["600519"], priority=2, name="Evening")
    assert row["next_run_at"] == "2024-02-29T16:30:00+08:00"
    assert row["description"] == "every trading day at 16:30: update of 600519.SH"
    assert (row["name"], row["symbols"], row["priority"], row["paused"]) == ("Evening", ["600519.SH"], 2, False)
    assert row["created_by"] == "api: 127.0.0.1"
    assert (row["last_result"], row["last_run"]) == ("", "has not run yet")


def test_the_same_again_is_the_one_that_is_there(api: Caller) -> None:
    first = made(api)
    again = api.post("/schedules", DAILY)
    assert (again.status_code, again.json()["data"]["schedule_id"]) == (200, first["schedule_id"])


def test_all_of_them_are_listed_by_page(api: Caller) -> None:
    ids = [made(api, time=f"1{hour}:00")["schedule_id"] for hour in range(6, 9)]
    page = api.get("/schedules", limit="2", offset="1").json()
    assert ([row["schedule_id"] for row in page["data"]], page["total"]) == (ids[1:], 3)


def test_one_is_shown_in_the_callers_language(api: Caller) -> None:
    number = made(api)["schedule_id"]
    chinese = Caller(language="zh-CN").get(f"/schedules/{number}").json()["data"]
    assert chinese["description"] == "每个交易日 16:30，增量更新：全部股票"
    assert chinese["last_run"] == "尚未运行"


def test_only_the_fields_that_are_sent_are_changed(api: Caller) -> None:
    with clock(NOW):
        number = made(api, symbols=["600519"], source="sina")["schedule_id"]
        response = api.patch(f"/schedules/{number}", {"when": "weekly", "weekday": 6, "symbols": None})
    row = response.json()["data"]
    assert (row["when"], row["time"], row["weekday"]) == ("weekly", "16:30", 6)
    assert (row["symbols"], row["source"]) == (None, "sina")
    assert row["next_run_at"] == "2024-03-02T16:30:00+08:00"


def test_a_change_that_makes_two_the_same_is_refused(api: Caller) -> None:
    made(api)
    other = made(api, time="18:00")
    response = api.patch(f"/schedules/{other['schedule_id']}", {"time": "16:30"})
    assert error_of(response) == (409, "not_allowed_now", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"when": "trading_day", "kind": "update"}, "time"),
        ({"time": "16:30", "kind": "update"}, "when"),
        ({**DAILY, "time": "24:00"}, "time"),
        ({**DAILY, "time": "9:00"}, "time"),
        ({**DAILY, "time": 1630}, "time"),
        ({**DAILY, "weekday": 3}, "weekday"),
        ({**DAILY, "when": "weekly", "weekday": 8}, "weekday"),
        ({**DAILY, "when": "weekly", "weekday": "6"}, "weekday"),
        ({**DAILY, "when": "once", "date": "2020-01-02"}, "date"),
        ({**DAILY, "when": "once", "date": "2 Jan"}, "date"),
        ({**DAILY, "kind": "delete"}, "kind"),
        ({**DAILY, "symbols": ["nonsense"]}, "symbols"),
        ({**DAILY, "refresh": True}, "refresh"),
        ({**DAILY, "priority": None}, "priority"),
        ({**DAILY, "hour": 16}, "hour"),
        ({"when": "cron", "kind": "update", "cron": "every day"}, "cron"),
    ],
)
def test_bad_input_is_refused_with_its_field(api: Caller, body: dict[str, Any], field: str) -> None:
    status, _code, named = error_of(api.post("/schedules", body))
    assert (status, named) == (422, field)
    assert Schedule.objects.count() == 0


@pytest.mark.parametrize("edit", [{"when": None}, {"kind": None}, {"refresh": None}, {"paused": True}, {"weekday": 2}])
def test_an_edit_that_cannot_be_changes_nothing(api: Caller, edit: dict[str, Any]) -> None:
    row = made(api)
    status, _code, named = error_of(api.patch(f"/schedules/{row['schedule_id']}", edit))
    assert (status, named) == (422, next(iter(edit)))
    assert api.get(f"/schedules/{row['schedule_id']}").json()["data"] == row


def test_it_is_paused_and_resumed(api: Caller) -> None:
    number = made(api)["schedule_id"]
    paused = api.post(f"/schedules/{number}/pause").json()["data"]
    assert (paused["paused"], paused["next_run_at"], paused["next_run"]) == (True, None, "paused")
    assert api.post(f"/schedules/{number}/resume").json()["data"]["next_run_at"] is not None


def test_it_runs_on_request_and_not_again_while_that_goes_on(api: Caller) -> None:
    number = made(api, kind="import")["schedule_id"]
    answered = api.post(f"/schedules/{number}/run", {})
    assert answered.status_code == 202
    task = ImportTask.objects.get(pk=answered.json()["task_id"])
    assert task.requested_by == "api: 127.0.0.1"
    assert error_of(api.post(f"/schedules/{number}/run"))[:2] == (409, "not_allowed_now")
    row = api.get(f"/schedules/{number}").json()["data"]
    assert (row["last_task_id"], row["last_task_status"]) == (str(task.pk), "pending")


def test_an_update_of_nothing_is_refused_as_it_is_by_hand(api: Caller) -> None:
    number = made(api)["schedule_id"]
    assert error_of(api.post(f"/schedules/{number}/run"))[:2] == (409, "empty_database")


def test_what_is_deleted_is_unknown(api: Caller) -> None:
    number = made(api)["schedule_id"]
    assert api.delete(f"/schedules/{number}").json() == {"success": True}
    for answered in (
        api.get(f"/schedules/{number}"),
        api.patch(f"/schedules/{number}", {"name": "x"}),
        api.delete(f"/schedules/{number}"),
        api.post(f"/schedules/{number}/run"),
        api.post(f"/schedules/{number}/pause"),
        api.post(f"/schedules/{number}/resume"),
        api.get("/schedules/nonsense"),
    ):
        assert error_of(answered) == (404, "unknown_schedule", None)


def test_a_form_from_elsewhere_makes_nothing(api: Caller) -> None:
    response = api._client.post("/api/data/schedules", {"when": "cron"})
    assert error_of(response)[:2] == (415, "not_json")


def test_a_run_that_could_not_start_tells_why(api: Caller) -> None:
    make_schedule(
        5, last_run_at=NOW, last_meant_at=NOW, last_outcome=Outcome.REFUSED, reason_id="Start a full import first."
    )
    row = api.get("/schedules/5").json()["data"]
    assert row["last_result"] == "refused"
    assert row["last_run"] == "2024-02-29 12:00: could not start. Start a full import first."


def test_a_run_that_came_late_says_for_when_it_was_meant(api: Caller) -> None:
    task = make_task(status=Status.COMPLETED)
    meant = at("2024-02-27T16:30")
    make_schedule(5, last_task=task, last_run_at=NOW, last_meant_at=meant, last_outcome=Outcome.STARTED)
    row = api.get("/schedules/5").json()["data"]
    assert row["last_run"] == "2024-02-29 12:00 (meant for 2024-02-27 16:30): completed"
    assert row["last_run_meant_for"] == "2024-02-27T16:30:00+08:00"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "due since 2024-02-28 16:30; starts as soon as a worker is alive"),
        (Status.RUNNING, "due since 2024-02-28 16:30; starts when the last run has ended"),
        (Status.PAUSED, "due since 2024-02-28 16:30; waits for the last run, which is paused"),
    ],
)
def test_a_run_that_is_due_says_what_it_waits_for(api: Caller, status: Status | None, words: str) -> None:
    task = make_task(status=status) if status else None
    make_schedule(5, due_at=at("2024-02-28T16:30"), last_task=task)
    assert api.get("/schedules/5").json()["data"]["next_run"] == words


def test_a_day_that_is_only_assumed_to_be_open_says_so(api: Caller) -> None:
    with clock(at("2031-06-02T12:00")):
        row = made(api)
    assert row["next_run_assumed"]
    assert "assumed" in row["next_run"]


def test_an_update_before_the_close_is_told_what_it_brings(api: Caller) -> None:
    assert "16:00" in made(api, time="09:30")["note"]
    assert made(api, time="16:00")["note"] == ""


def test_the_path_is_named_below_the_folder_for_files(api: Caller, settings: Any, tmp_path: Any) -> None:
    settings.FILES_ROOT = str(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "600519.SH.csv").write_text("date,open,high,low,close,volume,amount\n")
    row = made(api, kind="import", source="files", path=str(tmp_path / "mine"))
    assert row["path"] == "mine"
    assert api.patch(f"/schedules/{row['schedule_id']}", {"name": "Mine"}).json()["data"]["path"] == "mine"
