"""The pages about tasks without a browser: the list, one task, and acting on it by forms alone."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from importer.dbtime import db_now
from importer.models import Failure, ImportTask, Kind, LaneSlot, Status
from marketdata.models import Stock
from tests.importer.factories import make_chunk, make_task
from tests.importer.pages import english_browser, post, shown

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    return english_browser()


def fail(task: ImportTask, symbol: str = "600001.SH", **values: Any) -> Failure:
    return Failure.objects.create(task=task, symbol=symbol, **{"code": "banned", "source": "eastmoney", **values})


def test_pause_resume_cancel_and_retry_work_by_forms(browser: Client) -> None:
    task = make_task()
    for action, expected in (("pause", Status.PAUSED), ("resume", Status.PENDING), ("cancel", Status.CANCELLED)):
        assert post(browser, f"/data/tasks/{task.pk}/{action}/") == (302, "/data/")
        task.refresh_from_db()
        assert task.status == expected
    failed = make_task(status=Status.COMPLETED, failed=1)
    fail(failed)
    post(browser, f"/data/tasks/{failed.pk}/retry/")
    assert ImportTask.objects.get(retry_of=failed).parameters["symbols"] == ["600001.SH"]


def test_a_failure_names_its_stock_as_people_do(browser: Client) -> None:
    Stock.objects.create(symbol="600519.SH", code="600519", exchange="SH", name="贵州茅台")
    task = make_task(status=Status.COMPLETED, failed=2)
    fail(task, "600519.SH")
    fail(task, "600001.SH")
    page = shown(browser, f"/data/tasks/{task.pk}/")
    assert "<b>600519.SH</b> 贵州茅台</td>" in page
    assert "<b>600001.SH</b></td>" in page


def test_who_acts_is_kept_in_the_history(browser: Client) -> None:
    task = make_task()
    post(browser, f"/data/tasks/{task.pk}/pause/")
    assert task.transitions.get().by == "page: 127.0.0.1"


def test_whoever_acts_on_a_task_s_page_comes_back_to_it(browser: Client) -> None:
    task = make_task()
    assert post(browser, f"/data/tasks/{task.pk}/pause/", back="task")[1] == f"/data/tasks/{task.pk}/"
    assert post(browser, f"/data/tasks/{task.pk}/cancel/?back=task")[1] == f"/data/tasks/{task.pk}/"


def test_a_retry_on_a_task_s_page_leads_to_the_new_task(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED, failed=1)
    fail(task)
    location = post(browser, f"/data/tasks/{task.pk}/retry/", back="task")[1]
    assert location == f"/data/tasks/{ImportTask.objects.get(retry_of=task).pk}/"


def test_the_one_to_run_first_gets_the_highest_priority(browser: Client) -> None:
    make_task(status=Status.RUNNING, priority=2)
    make_task(priority=1)
    task = make_task()
    for _press in range(2):
        post(browser, f"/data/tasks/{task.pk}/first/")
        task.refresh_from_db()
        assert task.priority == 3


def test_where_nothing_goes_before_the_highest_priority_the_page_says_so(browser: Client) -> None:
    highest, task = make_task(priority=10), make_task()
    post(browser, f"/data/tasks/{task.pk}/first/")
    page = shown(browser)
    assert "highest priority already" in page
    assert f"import_tasks priority {highest.pk} 0" in page


def test_one_that_waits_alone_keeps_its_priority(browser: Client) -> None:
    task = make_task(priority=5)
    post(browser, f"/data/tasks/{task.pk}/first/")
    task.refresh_from_db()
    assert task.priority == 5


def test_an_unknown_action_is_not_found(browser: Client) -> None:
    assert post(browser, f"/data/tasks/{make_task().pk}/delete/")[0] == 404


def test_a_cancel_is_asked_once_more(browser: Client) -> None:
    task = make_task(status=Status.RUNNING)
    page = shown(browser, f"/data/tasks/{task.pk}/cancel/")
    assert "Data already stored are kept" in page
    assert "Go on importing" in page
    task.refresh_from_db()
    assert (task.status, task.requested_action) == (Status.RUNNING, "")


def test_a_task_that_ended_meanwhile_has_no_button_to_cancel_it(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED)
    page = shown(browser, f"/data/tasks/{task.pk}/cancel/")
    assert 'class="danger"' not in page
    assert "The task has ended: there is nothing to stop." in page


def test_a_way_to_ask_is_filtered_by_the_word_that_the_page_shows(browser: Client) -> None:
    make_task(requested_by="page: 127.0.0.1", parameters={"source": "sina"})
    make_task(requested_by="api: token 1, 127.0.0.1", parameters={"source": "tencent"})
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    _before, _filters, rows = shown(browser, "/data/tasks/?by=页面").partition('id="live-tasks"')
    assert "新浪" in rows
    assert "腾讯" not in rows


def test_a_task_that_has_not_begun_shows_no_figures(browser: Client) -> None:
    make_task(status=Status.PENDING)
    _before, _filters, rows = shown(browser, "/data/tasks/").partition('id="live-tasks"')
    assert rows.count(">–</td>") == 4


def test_an_action_that_comes_too_late_says_why(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED)
    post(browser, f"/data/tasks/{task.pk}/pause/")
    assert "is not possible" in shown(browser)


@pytest.mark.parametrize("path", ["/data/tasks/{id}/", "/data/tasks/{id}/live/", "/data/tasks/{id}/cancel/"])
def test_an_unknown_task_is_not_found(browser: Client, path: str) -> None:
    assert browser.get(path.format(id="00000000-0000-0000-0000-000000000000")).status_code == 404


@pytest.mark.parametrize("path", ["/data/tasks/", "/data/tasks/live/"])
def test_tasks_are_filtered_by_kind_state_and_day(browser: Client, path: str) -> None:
    update = make_task(kind=Kind.UPDATE, status=Status.COMPLETED)
    other = make_task(kind=Kind.IMPORT, status=Status.FAILED)
    today = timezone.localdate().isoformat()
    for query, has in (("kind=update", update), ("status=failed", other), (f"since={today}&status=failed", other)):
        page = shown(browser, f"{path}?{query}")
        assert str(has.pk) in page
        assert str((other if has == update else update).pk) not in page
    assert str(update.pk) not in shown(browser, f"{path}?until=2020-01-01")


def test_a_filter_that_makes_no_sense_is_left_out(browser: Client) -> None:
    task = make_task()
    assert str(task.pk) in shown(browser, "/data/tasks/?since=yesterday&kind=other&page=99")


def test_pages_of_the_list_keep_the_filter(browser: Client) -> None:
    for _number in range(51):
        make_task(status=Status.COMPLETED)
    assert "/data/tasks/?status=completed&amp;page=2" in shown(browser, "/data/tasks/?status=completed")


def test_a_task_s_page_shows_its_failures_with_reasons(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED, failed=1)
    fail(
        task, code="unknown_symbol", reason_id="%(source)s does not know %(symbol)s. Check the symbol.",
        reason_values={"source": {"msgid": "Eastmoney", "values": {}}, "symbol": "600001.SH"},
    )  # fmt: skip
    page = shown(browser, f"/data/tasks/{task.pk}/")
    assert "Eastmoney does not know 600001.SH" in page
    assert "Unknown stock <b>1</b>" in page
    assert "Retry what failed" in page


def test_a_filter_is_taken_off_with_one_press_and_an_empty_list_says_why_it_is_empty(browser: Client) -> None:
    page = shown(browser, "/data/tasks/")
    assert "There are no tasks yet." in page
    assert "Show all" not in page
    page = shown(browser, "/data/tasks/?kind=repair")
    assert "No task matches." in page
    assert '<a class="button" href="/data/tasks/">Show all</a>' in page


def test_failures_are_filtered_by_their_reason(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED, failed=2)
    fail(task, "600001.SH", code="banned")
    fail(task, "600002.SH", code="bad_data")
    page = shown(browser, f"/data/tasks/{task.pk}/?code=bad_data")
    assert "600002.SH" in page
    assert "600001.SH" not in page
    assert "The source refused <b>1</b>" in page


def test_many_failures_are_paged(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED, failed=101)
    Failure.objects.bulk_create(
        Failure(task=task, symbol=f"{600000 + number}.SH", code="banned") for number in range(101)
    )
    assert "600100.SH" not in shown(browser, f"/data/tasks/{task.pk}/")
    assert "600100.SH" in shown(browser, f"/data/tasks/{task.pk}/?page=2")


def test_each_source_s_share_of_the_work_is_counted(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED)
    make_chunk(task, ["600001.SH"], by_source={"sina": 3, "eastmoney": 1})
    make_chunk(task, ["600002.SH"], by_source={"sina": 2})
    fail(task, source="eastmoney, sina")
    fail(task, source="eastmoney", code="amount", finding=True)
    fail(task, source="", code="lane_died")
    page = shown(browser, f"/data/tasks/{task.pk}/")
    rows = re.findall(r"<tr><td>(.*?)</td>" + 3 * r"<td class=\"r\">(\d+)</td>" + "</tr>", page)
    assert rows == [("Sina", "5", "1", "0"), ("Eastmoney", "1", "1", "1")]


def test_places_of_files_are_not_told(browser: Client, tmp_path: Path, settings: Any) -> None:
    settings.FILES_ROOT = str(tmp_path)
    task = make_task(
        status=Status.FAILED, parameters={"path": str(tmp_path / "bars"), "source": "files"},
        message_id="Cannot read %(path)s.", message_values={"path": str(tmp_path / "bars" / "600519.csv")},
    )  # fmt: skip
    page = shown(browser, f"/data/tasks/{task.pk}/")
    assert "Cannot read bars/600519.csv" in page
    assert str(tmp_path) not in page


def test_the_history_says_what_changed_why_and_by_whom(browser: Client) -> None:
    task = make_task()
    post(browser, f"/data/tasks/{task.pk}/pause/")
    page = unescape(shown(browser, f"/data/tasks/{task.pk}/"))
    assert "Pending → paused" in page
    assert "Paused on request." in page


def test_the_lanes_of_a_running_task_say_what_they_do(browser: Client) -> None:
    task = make_task(status=Status.RUNNING)
    LaneSlot.objects.create(task=task, number=0, token="secret", leased_until=db_now(), doing="平安银行 000001.SZ")
    page = shown(browser, f"/data/tasks/{task.pk}/live/")
    assert "平安银行 000001.SZ" in page
    assert "secret" not in page


@pytest.mark.parametrize("status", Status)
def test_a_task_is_asked_after_until_it_has_ended_for_good(browser: Client, status: Status) -> None:
    task = make_task(status=status, finished_at=db_now() - timedelta(days=1))
    polled = status not in (Status.COMPLETED, Status.CANCELLED)
    assert ("data-poll" in shown(browser, f"/data/tasks/{task.pk}/")) is polled
    assert browser.get(f"/data/tasks/{task.pk}/live/").status_code == (200 if polled else 286)


def test_a_task_s_page_takes_few_queries(browser: Client, django_assert_max_num_queries: Any) -> None:
    task = make_task(status=Status.RUNNING)
    for number in range(108):
        make_chunk(task, [f"{600000 + number}.SH"], by_source={"sina": 1})
        fail(task, f"{600000 + number}.SH")
    with django_assert_max_num_queries(13):
        shown(browser, f"/data/tasks/{task.pk}/")
