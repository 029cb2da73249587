"""The data page without a browser: what it shows in each state, and that its buttons work without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from importer import lifecycle, page_data
from importer.dbtime import db_now
from importer.models import Host, ImportTask, Kind, LaneSlot, SourceState, Status
from marketdata.index_days import forget_sums, save_index_days
from marketdata.market_index import IndexDayBar
from marketdata.models import Stock
from marketdata.store import claim_origin
from marketdata.texts import counted
from marketdata.trading_days import newest_finished_day
from tests.importer.factories import make_chunk, make_task
from tests.importer.pages import english_browser, living_host, post, shown

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    return english_browser()


@pytest.fixture
def alive() -> Host:
    return living_host()


def stored(number: int = 1, covered_until: date = date(2024, 12, 25)) -> None:
    """Make stocks with bars, as far as their summaries are concerned."""
    Stock.objects.bulk_create(
        Stock(
            symbol=f"{600000 + place}.SH", code=str(600000 + place), exchange="SH", bar_count=900,
            first_bar=date(2021, 1, 4), last_bar=covered_until, covered_until=covered_until,
        )
        for place in range(number)
    )  # fmt: skip


def ended(**values: Any) -> ImportTask:
    values = {"status": Status.COMPLETED, "started_at": db_now(), "finished_at": db_now(), **values}
    return make_task(**values)


@pytest.mark.parametrize("path", ["/", "/data/", "/data/live/", "/data/tasks/", "/data/tasks/live/", "/data/estimate/"])
def test_every_page_is_shown_on_an_empty_database(browser: Client, path: str) -> None:
    shown(browser, path)


def test_a_first_visit_says_what_to_press_and_that_there_is_a_demo(browser: Client, alive: Host) -> None:
    page = shown(browser)
    assert "There are no bars yet" in page
    assert "Start full import" in page
    assert "make demo" in page


def test_what_the_newest_day_lacks_stands_under_the_verdict(browser: Client, alive: Host) -> None:
    newest = newest_finished_day(db_now())
    stored(3, covered_until=newest)
    assert "day-figures" not in shown(browser)
    Stock.objects.filter(code="600000").update(covered_until=date(2024, 12, 25), last_bar=date(2024, 12, 25))
    assert "3 expected, 2 there, 1 missing" in shown(browser)


def test_a_newest_day_whose_index_differs_is_not_called_complete(browser: Client, alive: Host) -> None:
    newest = newest_finished_day(db_now())
    stored(3, covered_until=newest)
    forget_sums()
    save_index_days("000001.SH", [IndexDayBar(newest, 3000.0, 5e11)], source="eastmoney")
    page = shown(browser)
    assert ", but the bars of that day do not add up to the index" in page
    assert "turnover is 0.00 hundred million yuan, the index" in page


def test_a_whole_market_that_was_never_fetched_to_its_end_is_not_called_complete(browser: Client, alive: Host) -> None:
    stored(2, covered_until=newest_finished_day(db_now()))
    Stock.objects.create(symbol="000001.SZ", code="000001", exchange="SZ")
    make_task(status=Status.CANCELLED, parameters={"symbols": None})
    assert "1 stock is not imported yet" in shown(browser)


def test_who_asked_for_some_stocks_only_does_not_miss_the_others(browser: Client, alive: Host) -> None:
    stored(2, covered_until=newest_finished_day(db_now()))
    Stock.objects.create(symbol="000001.SZ", code="000001", exchange="SZ")
    make_task(status=Status.COMPLETED, parameters={"symbols": ["600000.SH", "600001.SH"]})
    assert "not imported yet" not in shown(browser)


def test_a_calendar_that_ends_soon_is_said_on_the_page(
    browser: Client, alive: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = timezone.localdate()
    monkeypatch.setattr(page_data, "last_known_day", lambda: today + timedelta(days=59))
    assert "pip install -U exchange-calendars" in shown(browser)
    monkeypatch.setattr(page_data, "last_known_day", lambda: today + timedelta(days=61))
    assert "exchange-calendars" not in shown(browser)


def test_without_a_worker_the_page_says_what_to_do(browser: Client) -> None:
    assert "manage.py serve" in shown(browser)


def test_how_many_workers_are_alive_stands_at_the_top(browser: Client, alive: Host) -> None:
    assert "4 download lanes online" in shown(browser)
    living_host("there", 2)
    page = shown(browser)
    assert "6 download lanes online" in page
    assert "<b>there</b>" in page


def test_a_host_that_is_missed_stands_beside_those_that_work_with_their_lanes(browser: Client, alive: Host) -> None:
    living_host("gone", 3)
    Host.objects.filter(name="gone").update(seen_at=db_now() - timedelta(minutes=5))
    task = make_task(status=Status.RUNNING)
    LaneSlot.objects.create(task=task, number=0, token="t", pid=1, host=alive.name, leased_until=db_now())
    page = shown(browser)
    assert "1 of 4 download lanes at work" in page
    assert "<b>gone</b>" in page
    assert "last sign of life" in page
    assert "4 download lanes online" in page


def test_a_host_in_trouble_says_so(browser: Client, alive: Host) -> None:
    Host.objects.update(trouble="This host cannot hand out work because of an error in the program; its log has the details.")  # fmt: skip  # noqa: E501
    assert "cannot hand out work" in shown(browser)


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


def test_a_market_that_is_to_be_simulated_says_so_before_its_first_bar(browser: Client, settings: Any) -> None:
    settings.SOURCE = "simulated"
    assert "Simulated data" in shown(browser)
    claim_origin(False)
    assert "Simulated data" not in shown(browser)


def test_a_simulated_market_offers_no_real_source(browser: Client) -> None:
    assert "Eastmoney" in shown(browser)
    claim_origin(True)
    assert "Eastmoney" not in shown(browser)


def test_on_a_simulated_market_the_first_estimate_is_of_that_market(browser: Client) -> None:
    claim_origin(simulated=True)
    assert "real data are not stored beside it" not in shown(browser, "/data/")


def test_a_press_on_the_button_makes_a_task_and_comes_back_to_the_page(browser: Client) -> None:
    assert post(browser, "/data/import/", range="2021", source="simulated") == (302, "/data/")
    task = ImportTask.objects.get()
    assert (task.kind, task.parameters["start"], task.parameters["symbols"]) == (Kind.IMPORT, "2021-01-01", None)
    assert task.requested_by.startswith("page")


@pytest.mark.parametrize(
    ("chosen", "start"),
    [("2021", "2021-01-01"), ("year", (timezone.localdate() - timedelta(days=365)).isoformat()), ("all", "1990-01-01")],
)
def test_each_range_begins_where_it_says(browser: Client, chosen: str, start: str) -> None:
    post(browser, "/data/import/", range=chosen, source="simulated")
    assert ImportTask.objects.get().parameters["start"] == start


def test_a_folder_below_the_root_is_imported_from_its_beginning(browser: Client, settings: Any, tmp_path: Path) -> None:
    settings.FILES_ROOT = str(tmp_path)
    folder = tmp_path / "bars"
    folder.mkdir()
    (folder / "600977.SH.csv").write_text("date,open,high,low,close,volume,amount\n")
    assert post(browser, "/data/import/", range="all", source="files", path="bars") == (302, "/data/")
    parameters = ImportTask.objects.get().parameters
    assert (parameters["start"], parameters["path"]) == (None, str(folder.resolve()))


def test_a_folder_is_left_out_where_the_source_reads_none(browser: Client) -> None:
    assert post(browser, "/data/import/", range="2021", source="simulated", path="bars")[0] == 302
    assert ImportTask.objects.get().parameters["path"] is None


def test_a_second_press_makes_no_second_task(browser: Client) -> None:
    post(browser, "/data/import/", range="2021", source="simulated")
    post(browser, "/data/import/", range="2021", source="simulated")
    assert ImportTask.objects.count() == 1
    assert "already there" in shown(browser)


def test_a_form_of_another_site_starts_nothing() -> None:
    response = Client(enforce_csrf_checks=True).post("/data/import/", {"range": "2021"})
    assert response.status_code == 403
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize("path", ["/data/import/", "/data/update/"])
def test_the_address_of_a_refused_form_can_be_loaded_anew(browser: Client, path: str) -> None:
    response = browser.get(path)
    assert (response.status_code, response.headers["Location"]) == (302, "/data/")
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"range": "own", "start_date": "2024-12-25", "end_date": "2024-01-01"}, "end_date", "is before the start"),
        ({"range": "own", "start_date": "2999-01-01"}, "start_date", "is in the future"),
        ({"range": "2021", "symbols": "600519, no-such"}, "symbols", "is not a stock symbol"),
        ({"range": "2021", "source": "bloomberg"}, "source", "There is no source"),
        ({"range": "2021", "source": "tdx", "path": "/etc"}, "path", "BARVAULT_FILES_ROOT"),
    ],
)
def test_bad_input_shows_its_sentence_at_its_field_and_keeps_what_was_typed(
    browser: Client, typed: dict[str, str], field: str, sentence: str
) -> None:
    status, page = post(browser, "/data/import/", **typed)
    assert status == 422
    _before, _found, rest = page.partition(f'id="{field}"')
    assert 'aria-describedby="problem" autofocus' in rest.partition(">")[0]
    assert sentence in unescape(rest.partition('id="problem"')[2].partition("</span>")[0])
    assert all(f'value="{value}"' in page for name, value in typed.items() if name != "source")
    assert not ImportTask.objects.exists()


def test_an_update_of_an_empty_database_says_to_import_first(browser: Client) -> None:
    status, page = post(browser, "/data/update/")
    assert status == 422
    assert "full import first" in page


def test_the_running_task_shows_all_that_people_ask_for(browser: Client, alive: Host) -> None:
    task = make_task(
        status=Status.RUNNING, progress=37, total=5412, done=2008, failed=3, stocks_per_second=4.9, started_at=db_now(),
        message_id="Importing %(doing)s: %(finished)s of %(total)s stocks.",
        message_values={"doing": "平安银行 000001.SZ", "finished": 2011, "total": 5412},
    )  # fmt: skip
    page = shown(browser, "/data/live/")
    for words in ('role="progressbar"', 'aria-valuenow="37"', "2,011 of 5,412 stocks", "3 failed", "4.9 stocks/s"):
        assert words in page
    assert "11 min 34 s" in page
    assert "Importing 平安银行 000001.SZ<" in page
    assert f"/data/tasks/{task.pk}/cancel/" in page


def test_a_task_that_is_being_stopped_has_no_time_left(browser: Client, alive: Host) -> None:
    make_task(
        status=Status.RUNNING, total=5412, done=2008, stocks_per_second=4.9, started_at=db_now(),
        requested_action="cancel",
    )  # fmt: skip
    page = shown(browser, "/data/live/")
    assert "2,008 of 5,412 stocks" in page
    assert "left" not in page


def test_a_task_whose_turn_has_just_come_does_not_say_that_it_waits(browser: Client, alive: Host) -> None:
    make_task(status=Status.RUNNING, message_id=lifecycle.WAITING_TEXT.msgid)
    assert "Waiting for its turn" not in shown(browser, "/data/live/")


def test_a_task_is_named_by_what_it_does_and_its_source_s_label(browser: Client) -> None:
    make_task()
    page = re.sub(r"</?span[^>]*>", "", shown(browser))
    assert "Full import of all stocks from 2021-01-01 to 2024-12-25, source: Simulated market" in page


def test_a_waiting_task_leads_where_none_runs_so_that_a_press_is_seen(browser: Client) -> None:
    make_task()
    page = shown(browser, "/data/live/")
    assert 'id="leading"' in page
    assert "waiting-title" not in page


def test_waiting_tasks_say_which_place_they_have_and_when_their_turn_comes(browser: Client, alive: Host) -> None:
    make_task(status=Status.RUNNING, total=100, done=40, stocks_per_second=1.0, started_at=db_now())
    later, sooner = make_task(kind=Kind.REPAIR), make_task(kind=Kind.UPDATE, priority=3)
    paused = make_task(status=Status.PAUSED)
    page = shown(browser, "/data/live/")
    places = [page.index(f"waits-{task.pk}") for task in (sooner, later, paused)]
    assert places == sorted(places)
    first, second, third = page[places[0] : places[1]], page[places[1] : places[2]], page[places[2] :]
    assert ">1.<" in first
    assert "its turn comes in about 1 min 0 s" in first
    assert "priority 3" in first
    assert ">2.<" in second
    assert "its turn" not in second
    assert "Paused" in third
    assert ">3.<" not in third


def test_the_end_of_a_task_is_news_until_the_next_day(browser: Client, alive: Host) -> None:
    task = ended(
        message_id="Completed: nothing new, %(stocks)s up to date.",
        message_values={"stocks": counted(7, "%(count)s stock", "%(count)s stocks")},
    )
    assert "nothing new, 7 stocks" in shown(browser, "/data/live/")
    ImportTask.objects.filter(pk=task.pk).update(finished_at=timezone.now() - timedelta(hours=25))
    assert 'id="news"' not in shown(browser, "/data/live/")


def test_news_that_were_dismissed_stay_away_from_this_browser(browser: Client, alive: Host) -> None:
    first = ended()
    assert post(browser, f"/data/tasks/{first.pk}/seen/") == (302, "/data/")
    assert 'id="news"' not in shown(browser)
    assert 'id="news"' in shown(english_browser())
    ended()
    assert 'id="news"' in shown(browser)


def test_who_asked_for_more_is_not_told_what_ended_before(browser: Client, alive: Host) -> None:
    task = ended()
    make_task(status=Status.RUNNING)
    assert 'id="news"' not in shown(browser)
    ImportTask.objects.filter(pk=task.pk).update(finished_at=timezone.now() + timedelta(seconds=1))
    assert 'id="news"' in shown(browser)


def test_a_screen_reader_is_told_in_steps_of_ten_percent(browser: Client, alive: Host) -> None:
    task = make_task(status=Status.RUNNING)
    said = set()
    for progress in range(30, 40):
        ImportTask.objects.filter(pk=task.pk).update(progress=progress)
        said.add(shown(browser, "/data/live/").partition('id="spoken">')[2].partition("<")[0])
    assert said == {"Full import: 30 percent"}


def test_a_resting_source_says_why_and_until_when(browser: Client, alive: Host) -> None:
    SourceState.objects.create(
        source="eastmoney",
        breaker="open",
        refusals=5,
        open_until=db_now() + timedelta(minutes=10),
        reason_id="refused 5 requests in a row",
    )
    page = shown(browser, "/data/live/")
    assert "Refused 5 requests in a row" in page
    assert "Resting" in page


def test_sources_that_were_never_asked_are_named_too(browser: Client) -> None:
    page = shown(browser, "/data/live/")
    for name in ("Eastmoney", "Sina", "Tencent"):
        assert f"<b>{name}</b>" in page


class TestEstimate:
    def test_it_says_what_an_import_will_take_before_it_starts(self, browser: Client) -> None:
        page = shown(browser)
        assert "<strong>5,400</strong> stocks" in page
        assert "requests" in page
        assert "at today's pace" in unescape(page)
        assert "on disk" in page

    def test_it_follows_what_is_typed(self, browser: Client) -> None:
        page = shown(browser, "/data/estimate/?range=2021&symbols=600519&source=sina")
        assert "<strong>1</strong> stock," in page

    def test_with_it_comes_the_button_that_updates_what_is_there_by_now(self, browser: Client) -> None:
        assert re.search(r'id="start-update"[^>]*><button[^>]* disabled', shown(browser, "/data/estimate/"))
        stored()
        assert not re.search(r'id="start-update"[^>]*><button[^>]* disabled', shown(browser, "/data/estimate/"))

    def test_it_tells_what_is_wrong_with_what_is_typed(self, browser: Client) -> None:
        assert "is not a stock symbol" in shown(browser, "/data/estimate/?symbols=no-such")

    def test_without_scripts_a_button_shows_it_on_the_page(self, browser: Client) -> None:
        status, page = post(browser, "/data/estimate/", range="2021", symbols="600519", source="sina")
        assert status == 200
        assert "<strong>1</strong> stock," in page
        assert 'value="600519"' in page

    def test_an_update_has_one_as_soon_as_there_is_something_to_update(self, browser: Client) -> None:
        assert "<b>Update</b>" not in shown(browser)
        stored()
        page = shown(browser)
        assert "<b>Update</b> <strong>1</strong> stock" in page

    def test_a_request_that_is_there_already_says_so(self, browser: Client) -> None:
        post(browser, "/data/import/", range="2021", source="simulated")
        page = shown(browser, "/data/estimate/?range=2021&source=simulated")
        assert "is under way already" in page

    def test_an_update_is_not_said_to_have_nothing_to_do_while_an_import_fetches_it(self, browser: Client) -> None:
        stored(covered_until=newest_finished_day(db_now()))
        assert "<b>Update</b> nothing is missing" in shown(browser)
        post(browser, "/data/import/", range="2021", source="simulated")
        assert "<b>Update</b>" not in shown(browser, "/data/estimate/?range=2021&source=simulated")

    def test_a_wrong_setting_is_a_sentence(self, browser: Client, settings: Any) -> None:
        settings.AUTO_ORDER = ["bloomberg"]
        assert "BARVAULT_AUTO_ORDER names “bloomberg”" in shown(browser)


def test_too_little_space_is_refused_and_said(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from importer import estimate
    from importer.status import Space

    monkeypatch.setattr(estimate, "space", lambda: Space(0, 1_000))
    assert "Too little: make room" in shown(browser)
    status, page = post(browser, "/data/import/", range="2021", source="simulated")
    assert status == 422
    assert "Make room" in page
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize("path", ["/data/live/", "/data/tasks/live/"])
def test_the_number_of_queries_does_not_grow_with_the_market(
    browser: Client, alive: Host, path: str, django_assert_max_num_queries: Callable[..., object]
) -> None:
    stored(5400)
    ImportTask.objects.bulk_create(
        ImportTask(
            kind=Kind.IMPORT, status=Status.COMPLETED if number % 2 else Status.FAILED, finished_at=db_now(),
            fingerprint=str(number), parameters={"symbols": None, "source": "auto", "start": None, "end": "2024-12-25"},
        )
        for number in range(1000)
    )  # fmt: skip
    running = make_task(status=Status.RUNNING)
    make_chunk(running, ["600001.SH"])
    LaneSlot.objects.create(task=running, number=0, token="x", leased_until=db_now())
    # Three more once today is past the exchange's known calendar, and the page says so.
    with django_assert_max_num_queries(17):  # type: ignore[attr-defined]
        shown(browser, path)


def test_pages_need_a_login_where_one_is_required(browser: Client, settings: Any) -> None:
    settings.LOGIN_REQUIRED = True
    assert browser.get("/data/").status_code == 302
    User.objects.create_user("ada", password="a long enough one")
    logged_in = Client()
    assert logged_in.login(username="ada", password="a long enough one")
    page = shown(logged_in)
    assert "ada" in page


def test_the_page_to_log_in_says_in_its_own_words_what_was_wrong(settings: Any) -> None:
    settings.LOGIN_REQUIRED = True
    page = Client(headers={"accept-language": "en"}).post("/login/", {"username": "ada", "password": "wrong"})
    assert "Please enter a correct username and password" in page.content.decode()


@pytest.mark.parametrize(
    "path", ["/", "/data/", "/data/tasks/", "/data/tasks.csv", "/data/schedules/", "/data/notifications/"]
)
def test_a_page_can_be_asked_whether_it_is_there(browser: Client, path: str) -> None:
    assert browser.head(path).status_code == 200


def test_who_types_the_address_of_a_button_is_told_what_is_wrong(browser: Client) -> None:
    response = browser.get("/logout/")
    assert response.status_code == 405
    assert "GET is not possible at this address." in response.content.decode()


def test_a_page_of_an_error_needs_no_database(django_assert_num_queries: Callable[..., object]) -> None:
    from config.error_pages import refusal_page

    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        page = refusal_page(403, "No.").content.decode()
    assert "/static/barvault.css" in page
    assert "<h1>No.</h1>" in page


def test_the_description_of_a_simulated_market_s_api_says_so_too(browser: Client) -> None:
    assert "Simulated data" not in shown(browser, "/api/docs")
    claim_origin(True)
    assert "Simulated data" in shown(browser, "/api/docs")


def test_the_description_of_the_api_names_its_language_and_leads_back_to_the_pages(browser: Client) -> None:
    page = shown(browser, "/api/docs")
    assert '<html lang="en">' in page
    assert '<a href="/data/"' in page
