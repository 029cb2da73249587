"""The pages without a browser: what they show in each state, and that every change works without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from importer.dbtime import db_now
from importer.models import Failure, Host, ImportTask, Kind, LaneSlot, SourceState, Status
from marketdata.models import Stock
from marketdata.store import claim_origin
from marketdata.texts import counted
from tests.importer.factories import make_chunk, make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=True, headers={"accept-language": "en"})


@pytest.fixture
def alive() -> Host:
    now = db_now()
    return Host.objects.create(name="here", workers=4, pid=1, started_at=now, seen_at=now)


def post(browser: Client, url: str, /, **values: str) -> tuple[int, str]:
    page = browser.get("/data/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token is not None
    response = browser.post(url, {"csrfmiddlewaretoken": token[1], **values})
    return response.status_code, response.headers.get("Location", response.content.decode())


def shown(browser: Client, path: str = "/data/") -> str:
    response = browser.get(path)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize("path", ["/", "/data/", "/data/live/", "/data/tasks/", "/data/estimate/"])
def test_every_page_is_shown_on_an_empty_database(browser: Client, path: str) -> None:
    shown(browser, path)


def test_a_first_visit_says_what_to_press_and_that_there_is_a_demo(browser: Client, alive: Host) -> None:
    page = shown(browser)
    assert "There are no bars yet" in page
    assert "Start full import" in page
    assert "make demo" in page


def test_without_a_worker_the_page_says_what_to_do(browser: Client) -> None:
    assert "manage.py serve" in shown(browser)


def test_pages_are_chinese_where_nothing_else_is_asked_for() -> None:
    page = Client().get("/data/").content.decode()
    assert '<html lang="zh-hans">' in page
    assert "开始全量导入" in page


def test_the_language_is_chosen_by_a_button_and_kept(browser: Client) -> None:
    status, location = post(browser, "/language/", language="zh-hans", next="/data/")
    assert (status, location) == (302, "/data/")
    assert "开始全量导入" in shown(browser)


def test_a_simulated_market_says_so_on_every_page(browser: Client) -> None:
    assert "Simulated data" not in shown(browser)
    claim_origin(True)
    task = make_task()
    for path in ("/data/", "/data/tasks/", f"/data/tasks/{task.pk}/", f"/data/tasks/{task.pk}/cancel/"):
        assert "Simulated data" in shown(browser, path)


def test_a_press_on_the_button_makes_a_task_and_comes_back_to_the_page(browser: Client) -> None:
    assert post(browser, "/data/import/", range="2021", source="simulated") == (302, "/data/")
    task = ImportTask.objects.get()
    assert (task.kind, task.parameters["start"], task.parameters["symbols"]) == (Kind.IMPORT, "2021-01-01", None)
    assert task.requested_by.startswith("page")


def test_a_second_press_makes_no_second_task(browser: Client) -> None:
    post(browser, "/data/import/", range="2021", source="simulated")
    post(browser, "/data/import/", range="2021", source="simulated")
    assert ImportTask.objects.count() == 1
    assert "already there" in shown(browser)


def test_a_form_of_another_site_starts_nothing() -> None:
    response = Client(enforce_csrf_checks=True).post("/data/import/", {"range": "2021"})
    assert response.status_code == 403
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"range": "own", "start_date": "2024-12-25", "end_date": "2024-01-01"}, "is before the start"),
        ({"range": "own", "start_date": "2999-01-01"}, "is in the future"),
        ({"range": "2021", "symbols": "600519, no-such"}, "is not a stock symbol"),
        ({"range": "2021", "source": "bloomberg"}, "There is no source"),
        ({"range": "2021", "source": "tdx", "path": "/etc"}, "BARVAULT_FILES_ROOT"),
    ],
)
def test_bad_input_shows_its_sentence_and_keeps_what_was_typed(
    browser: Client, typed: dict[str, str], sentence: str
) -> None:
    status, page = post(browser, "/data/import/", **typed)
    assert status == 422
    assert sentence in page
    assert not ImportTask.objects.exists()
    if "symbols" in typed:
        assert 'value="600519, no-such"' in page


def test_an_update_of_an_empty_database_says_to_import_first(browser: Client) -> None:
    status, page = post(browser, "/data/update/")
    assert status == 422
    assert "full import first" in page


def test_the_running_task_shows_all_that_people_ask_for(browser: Client, alive: Host) -> None:
    task = make_task(
        status=Status.RUNNING, progress=37, total=5412, done=2008, failed=3, stocks_per_second=4.9, started_at=db_now()
    )
    page = shown(browser, "/data/live/")
    for words in ('role="progressbar"', 'aria-valuenow="37"', "2,011 of 5,412 stocks", "3 failed", "4.9 stocks/s"):
        assert words in page
    assert "11 min 34 s" in page
    assert f"/data/tasks/{task.pk}/cancel/" in page


def test_the_polled_part_holds_no_inputs_to_lose(browser: Client, alive: Host) -> None:
    make_task(status=Status.RUNNING)
    make_task()
    part = shown(browser, "/data/live/")
    assert not re.search(r'<(select|textarea)|<input(?! type="hidden")', part)


def test_a_waiting_task_can_go_first(browser: Client) -> None:
    make_task(status=Status.RUNNING, priority=2)
    waiting = make_task()
    post(browser, f"/data/tasks/{waiting.pk}/first/")
    waiting.refresh_from_db()
    assert waiting.priority == 3


def test_pause_resume_cancel_and_retry_work_by_forms(browser: Client) -> None:
    task = make_task()
    for action, expected in (("pause", Status.PAUSED), ("resume", Status.PENDING), ("cancel", Status.CANCELLED)):
        post(browser, f"/data/tasks/{task.pk}/{action}/")
        task.refresh_from_db()
        assert task.status == expected
    failed = make_task(status=Status.COMPLETED, failed=1)
    Failure.objects.create(task=failed, symbol="600001.SH", code="banned")
    post(browser, f"/data/tasks/{failed.pk}/retry/")
    assert ImportTask.objects.get(retry_of=failed).parameters["symbols"] == ["600001.SH"]


def test_a_cancel_is_asked_once_more(browser: Client) -> None:
    task = make_task(status=Status.RUNNING)
    assert "Data already stored are kept" in shown(browser, f"/data/tasks/{task.pk}/cancel/")
    task.refresh_from_db()
    assert task.status == Status.RUNNING


def test_an_action_that_comes_too_late_says_why(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED)
    post(browser, f"/data/tasks/{task.pk}/pause/")
    assert "is not possible" in shown(browser)


@pytest.mark.parametrize("path", ["/data/tasks/{id}/", "/data/tasks/{id}/live/", "/data/tasks/{id}/cancel/"])
def test_an_unknown_task_is_not_found(browser: Client, path: str) -> None:
    assert browser.get(path.format(id="00000000-0000-0000-0000-000000000000")).status_code == 404


def test_the_end_of_a_task_is_news_until_the_next_day(browser: Client, alive: Host) -> None:
    task = make_task(
        status=Status.COMPLETED,
        message_id="Completed: nothing new, %(stocks)s up to date.",
        message_values={"stocks": counted(7, "%(count)s stock", "%(count)s stocks")},
        started_at=db_now(),
        finished_at=db_now(),
    )
    assert "nothing new, 7 stocks" in shown(browser, "/data/live/")
    ImportTask.objects.filter(pk=task.pk).update(finished_at=timezone.now() - timedelta(hours=25))
    assert "nothing new, 7 stocks" not in shown(browser, "/data/live/")


def test_a_resting_source_says_why_and_until_when(browser: Client, alive: Host) -> None:
    SourceState.objects.create(
        source="eastmoney",
        breaker="open",
        refusals=5,
        open_until=db_now() + timedelta(minutes=10),
        reason_id="refused 5 requests in a row",
    )
    page = shown(browser, "/data/live/")
    assert "refused 5 requests in a row" in page
    assert "resting" in page


def test_tasks_are_filtered_by_kind_state_and_day(browser: Client) -> None:
    update = make_task(kind=Kind.UPDATE, status=Status.COMPLETED)
    other = make_task(kind=Kind.IMPORT, status=Status.FAILED)
    today = timezone.localdate().isoformat()
    for query, has in (("kind=update", update), ("status=failed", other), (f"since={today}&status=failed", other)):
        page = shown(browser, f"/data/tasks/?{query}")
        assert str(has.pk) in page
        assert str((other if has == update else update).pk) not in page
    assert str(update.pk) not in shown(browser, "/data/tasks/?until=2020-01-01")


def test_a_task_s_page_shows_its_failures_with_reasons_and_its_history(browser: Client) -> None:
    task = make_task(status=Status.COMPLETED, failed=1)
    Failure.objects.create(
        task=task, symbol="600001.SH", code="unknown_symbol", source="eastmoney",
        reason_id="%(source)s does not know %(symbol)s. Check the symbol.",
        reason_values={"source": "eastmoney", "symbol": "600001.SH"},
    )  # fmt: skip
    page = shown(browser, f"/data/tasks/{task.pk}/")
    assert "eastmoney does not know 600001.SH" in page
    assert "Retry what failed" in page


@pytest.mark.parametrize("path", ["/data/live/", "/data/tasks/"])
def test_the_number_of_queries_does_not_grow_with_the_market(
    browser: Client, alive: Host, path: str, django_assert_max_num_queries: Callable[..., object]
) -> None:
    Stock.objects.bulk_create(
        Stock(
            symbol=f"{600000 + number}.SH", code=str(600000 + number), exchange="SH", bar_count=900,
            first_bar=date(2021, 1, 4), last_bar=date(2024, 12, 25), covered_until=date(2024, 12, 25),
        )
        for number in range(5400)
    )  # fmt: skip
    for number in range(1000):
        make_task(status=Status.COMPLETED if number % 2 else Status.FAILED, finished_at=db_now())
    running = make_task(status=Status.RUNNING)
    make_chunk(running, ["600001.SH"])
    LaneSlot.objects.create(task=running, number=0, token="x", leased_until=db_now())
    with django_assert_max_num_queries(14):  # type: ignore[attr-defined]
        shown(browser, path)


def test_pages_need_a_login_where_one_is_required(browser: Client, settings: object) -> None:
    settings.LOGIN_REQUIRED = True  # type: ignore[attr-defined]
    assert browser.get("/data/").status_code == 302
    User.objects.create_user("ada", password="a long enough one")
    logged_in = Client()
    assert logged_in.login(username="ada", password="a long enough one")
    assert logged_in.get("/data/").status_code == 200
