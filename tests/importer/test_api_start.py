"""POST /api/data/import, /update and /repair: what they answer, what they make, and what they refuse."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse
from pytest_django import Settings

from importer.dbtime import db_now
from importer.models import Host, ImportTask, Kind, LaneSlot, Status, Transition
from importer.status import Space
from marketdata.models import Stock
from marketdata.origin import claim_origin
from marketdata.trading_days import newest_finished_day
from tests.importer.api_caller import Caller, error_of
from tests.importer.factories import make_task

pytestmark = pytest.mark.django_db

STARTS = ("/import", "/update", "/repair")


@pytest.fixture
def api() -> Caller:
    return Caller()


@pytest.fixture
def stored() -> None:
    """A database that holds something, so that there is something to update."""
    Stock.objects.create(
        symbol="600001.SH", code="600001", exchange="SH", bar_count=3,
        first_bar=date(2024, 1, 2), last_bar=date(2024, 1, 4),
    )  # fmt: skip


@pytest.fixture
def worker() -> None:
    Host.objects.create(name="here", workers=2, pid=1, started_at=db_now(), seen_at=db_now())


@pytest.fixture
def files_root(tmp_path: Path, settings: Settings) -> Path:
    """A folder with a TDX file that may be read on request, beside one that may not."""
    folder = tmp_path / "shared" / "vipdoc" / "sh" / "lday"
    folder.mkdir(parents=True)
    (folder / "sh600001.day").write_bytes(bytes(64))
    (tmp_path / "secret").mkdir()
    settings.FILES_ROOT = str(tmp_path / "shared")
    return tmp_path / "shared"


def task_of(response: HttpResponse) -> ImportTask:
    return ImportTask.objects.get(pk=response.json()["task_id"])


@pytest.mark.usefixtures("worker")
def test_an_import_is_accepted_and_answers_with_its_id(api: Caller) -> None:
    response = api.post("/import", {"start_date": "2021-01-01", "end_date": "2024-12-25"})
    content = response.json()
    assert response.status_code == 202
    assert set(content) == {"success", "task_id", "message", "existing"}
    assert (content["success"], content["existing"]) == (True, False)
    task = ImportTask.objects.get(pk=UUID(content["task_id"]))
    assert (task.kind, task.parameters["start"], task.parameters["end"]) == (Kind.IMPORT, "2021-01-01", "2024-12-25")
    assert Transition.objects.get(task=task, old="").by == task.requested_by == "api: 127.0.0.1"


def test_an_import_without_a_body_means_everything_since_2021(api: Caller) -> None:
    response = api.post("/import")
    assert response.status_code == 202
    assert task_of(response).parameters["start"] == "2021-01-01"
    assert task_of(response).parameters["end"] == newest_finished_day(db_now()).isoformat()
    assert task_of(response).parameters["symbols"] is None


def test_every_field_reaches_the_task(api: Caller) -> None:
    body = {
        "start_date": "2024-01-02", "end_date": "2024-06-28", "symbols": ["sh600519", "000001"],
        "source": "simulated", "refresh": True, "priority": -3,
    }  # fmt: skip
    task = task_of(api.post("/import", body))
    assert task.priority == -3
    assert task.parameters | {"lanes": None} == {
        "start": "2024-01-02", "end": "2024-06-28", "symbols": ["000001.SZ", "600519.SH"],
        "source": "simulated", "path": None, "refresh": True, "lanes": None,
    }  # fmt: skip


def test_null_is_the_same_as_leaving_a_field_out(api: Caller) -> None:
    body = dict.fromkeys(["start_date", "end_date", "symbols", "source", "path"])
    assert api.post("/import", body).json()["task_id"] == api.post("/import", {}).json()["task_id"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(("address", "kind"), [("/update", Kind.UPDATE), ("/repair", Kind.REPAIR)])
def test_an_update_and_a_repair_answer_the_same_way(api: Caller, address: str, kind: Kind) -> None:
    response = api.post(address, {"symbols": ["600001"], "priority": 2})
    assert response.status_code == 202
    assert (task_of(response).kind, task_of(response).priority) == (kind, 2)


@pytest.mark.parametrize("address", ["/update", "/repair"])
def test_an_empty_database_cannot_be_updated_or_repaired(api: Caller, address: str) -> None:
    assert error_of(api.post(address)) == (409, "empty_database", None)
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.PAUSED])
def test_the_same_request_again_answers_with_the_same_task(api: Caller, status: Status) -> None:
    first = api.post("/import", {"symbols": ["600519", "000001"]})
    ImportTask.objects.update(status=status)
    again = api.post("/import", {"symbols": ["000001.SZ", "SH600519"], "start_date": "2021-01-01"})
    assert again.status_code == 200
    assert again.json()["existing"] is True
    assert again.json()["task_id"] == first.json()["task_id"]
    assert again.json()["message"] != first.json()["message"]
    assert ImportTask.objects.count() == 1


def test_a_request_like_one_that_has_ended_is_a_new_task(api: Caller) -> None:
    first = api.post("/import").json()["task_id"]
    ImportTask.objects.update(status=Status.COMPLETED)
    response = api.post("/import")
    assert (response.status_code, response.json()["existing"]) == (202, False)
    assert response.json()["task_id"] != first


def test_a_higher_priority_raises_the_one_that_waits(api: Caller) -> None:
    first = task_of(api.post("/import", {"priority": 1}))
    api.post("/import", {"priority": -5})
    first.refresh_from_db()
    assert first.priority == 1
    assert api.post("/import", {"priority": 7}).json()["existing"] is True
    first.refresh_from_db()
    assert first.priority == 7


def test_without_a_worker_the_answer_warns_and_says_how_to_start_one(api: Caller) -> None:
    response = api.post("/import")
    assert response.status_code == 202
    assert "manage.py serve" in response.json()["warning"]
    assert not LaneSlot.objects.exists()


@pytest.mark.usefixtures("worker")
def test_with_a_worker_the_bell_is_rung_at_once(api: Caller) -> None:
    task = task_of(api.post("/import"))
    assert task.status == Status.RUNNING
    assert LaneSlot.objects.filter(task=task).count() == 1


def test_today_before_its_end_is_the_newest_finished_day_and_the_message_says_so(
    api: Caller, time_machine: Any
) -> None:
    time_machine.move_to("2024-12-25T15:00:00+08:00", tick=False)
    response = api.post("/import", {"end_date": "2024-12-25"})
    assert response.status_code == 202
    assert "2024-12-24" in response.json()["message"]
    assert task_of(response).parameters["end"] == "2024-12-24"


TODAY = date.today()
BAD: list[tuple[Any, str]] = [
    ({"start_date": "2024-13-01"}, "start_date"),
    ({"start_date": "2024-1-1"}, "start_date"),
    ({"start_date": "20240101"}, "start_date"),
    ({"start_date": "2024-01-01T00:00:00"}, "start_date"),
    ({"start_date": "2024-01-01 "}, "start_date"),
    ({"start_date": "２０２４-01-01"}, "start_date"),
    ({"start_date": "2024-W01-1"}, "start_date"),
    ({"start_date": 1704067200}, "start_date"),
    ({"start_date": ["2024-01-01"]}, "start_date"),
    ({"start_date": ""}, "start_date"),
    ({"start_date": "1989-12-31"}, "start_date"),
    ({"start_date": (TODAY + timedelta(days=3)).isoformat()}, "start_date"),
    ({"end_date": (TODAY + timedelta(days=3)).isoformat()}, "end_date"),
    ({"end_date": "2024-02-30"}, "end_date"),
    ({"start_date": "2024-06-03", "end_date": "2024-06-02"}, "end_date"),
    ({"end_date": "2020-12-31"}, "end_date"),
    ({"symbols": "600519"}, "symbols"),
    ({"symbols": []}, "symbols"),
    ({"symbols": [600519]}, "symbols"),
    ({"symbols": ["600519", "AAPL"]}, "symbols"),
    ({"symbols": ["600519.SZ"]}, "symbols"),
    ({"symbols": ["6" * 21]}, "symbols"),
    ({"symbols": ["600519\x00"]}, "symbols"),
    ({"symbols": ["600519"] * 10_001}, "symbols"),
    ({"source": "yahoo"}, "source"),
    ({"source": ""}, "source"),
    ({"path": ""}, "path"),
    ({"source": 1}, "source"),
    ({"source": "tdx"}, "path"),
    ({"path": "somewhere"}, "path"),
    ({"path": 5, "source": "tdx"}, "path"),
    ({"refresh": "yes"}, "refresh"),
    ({"refresh": 1}, "refresh"),
    ({"refresh": None}, "refresh"),
    ({"priority": 11}, "priority"),
    ({"priority": -11}, "priority"),
    ({"priority": 1.0}, "priority"),
    ({"priority": "1"}, "priority"),
    ({"priority": True}, "priority"),
    ({"priority": 10**30}, "priority"),
    ([], "body"),
    ("import", "body"),
    (5, "body"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=lambda value: str(value)[:60])
def test_bad_input_names_the_field_and_changes_nothing(api: Caller, body: Any, field: str) -> None:
    assert error_of(api.post("/import", body)) == (422, "bad_request", field)
    assert not ImportTask.objects.exists()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("address", "field"),
    [("/import", "lanes"), ("/import", "startdate"), ("/update", "refresh"), ("/update", "start_date"),
     ("/repair", "path"), ("/import", "trusted_path")],
)  # fmt: skip
def test_an_unknown_field_is_named(api: Caller, address: str, field: str) -> None:
    response = api.post(address, {field: None})
    assert error_of(response) == (422, "unknown_field", field)
    assert "symbols" in response.json()["message"]
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"{", b"{'a': 1}", b"\xff\xfe", b'{"priority": NaN}', b'{"priority": Infinity}', b"[" * 100_000,
     b'{"source": "\\ud800"}', b"\xef\xbb\xbf{}", b"null null", b"9" * 5000],
    ids=lambda body: str(body[:20]),
)  # fmt: skip
def test_broken_json_is_said_to_be_broken(api: Caller, body: bytes) -> None:
    assert error_of(api.post("/import", body)) == (422, "bad_json", "body")
    assert not ImportTask.objects.exists()


def test_null_is_no_body(api: Caller) -> None:
    assert error_of(api.post("/import", b"null")) == (422, "bad_request", "body")


def test_a_parameter_in_the_url_is_refused_since_nobody_reads_it(api: Caller) -> None:
    assert error_of(api.post("/import?start_date=2024-01-01", {})) == (422, "unknown_field", "start_date")
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize("address", STARTS)
def test_a_body_that_is_too_large_is_refused(api: Caller, address: str) -> None:
    assert error_of(api.post(address, b" " * 3_000_000)) == (413, "too_large", None)


def test_a_symbol_in_no_list_is_the_tasks_affair(api: Caller) -> None:
    assert api.post("/import", {"symbols": ["600999"]}).status_code == 202


def test_a_database_of_the_other_kind_is_a_conflict(api: Caller) -> None:
    claim_origin(simulated=False)
    assert error_of(api.post("/import", {"source": "simulated"})) == (409, "mixed_origins", None)
    assert api.post("/import").status_code == 202


def test_a_folder_below_the_one_that_is_named_may_be_read(api: Caller, files_root: Path) -> None:
    response = api.post("/import", {"source": "tdx", "path": "vipdoc"})
    assert response.status_code == 202, response.json()
    shown = api.get(f"/tasks/{response.json()['task_id']}").json()["data"]["parameters"]
    assert shown["path"] == "vipdoc"
    assert shown["start_date"] is None
    absolute = api.post("/import", {"source": "tdx", "path": str(files_root / "vipdoc")})
    assert absolute.json()["existing"] is True


@pytest.mark.parametrize(
    "path", ["../secret", "/etc", "vipdoc/../../secret", "..", "link", "~", "x" * 400, "no/such", "empty"]
)
def test_no_other_folder_may_be_read_and_none_is_told_of(api: Caller, files_root: Path, path: str) -> None:
    (files_root / "link").symlink_to(files_root.parent / "secret")
    (files_root / "empty").mkdir()
    response = api.post("/import", {"source": "tdx", "path": path})
    assert error_of(response) == (422, "bad_request", "path")
    assert str(files_root.parent) not in response.json()["message"]
    assert not ImportTask.objects.exists()


def test_without_a_folder_that_is_named_none_may_be_read(api: Caller, tmp_path: Path, settings: Settings) -> None:
    settings.FILES_ROOT = ""
    response = api.post("/import", {"source": "tdx", "path": str(tmp_path)})
    assert error_of(response) == (422, "bad_request", "path")
    assert "BARVAULT_FILES_ROOT" in response.json()["message"]


def test_a_path_that_the_command_line_was_given_is_not_told(api: Caller) -> None:
    task = make_task(parameters={"path": "/somewhere/private/vipdoc", "source": "tdx"})
    assert api.get(f"/tasks/{task.pk}").json()["data"]["parameters"]["path"] == "vipdoc"


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.estimate.space", lambda: Space(used=300_000, free=500_000_000))


@pytest.mark.usefixtures("full_disk")
def test_too_little_room_on_the_disk_is_refused_before_anything_starts(api: Caller) -> None:
    response = api.post("/import")
    assert error_of(response) == (409, "disk_space", None)
    assert "0.5 GB" in response.json()["message"]
    assert not ImportTask.objects.exists()


@pytest.mark.usefixtures("full_disk", "stored")
def test_what_needs_little_room_is_accepted_on_a_nearly_full_disk(api: Caller) -> None:
    assert api.post("/import", {"symbols": ["600519"]}).status_code == 202
    assert api.post("/update", {}).status_code == 202
