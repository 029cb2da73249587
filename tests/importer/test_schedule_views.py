"""The schedules page without scripts: forms in, redirects and sentences out."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from django.test import Client

from importer import schedules
from importer.models import ImportTask, Outcome, TaskSchedule
from importer.schedule_orders import order_of
from tests.importer.factories import make_schedule, make_task
from tests.importer.pages import english_browser, living_host, post, shown
from tests.importer.simulated_clusters import at, clock

pytestmark = pytest.mark.django_db

PAGE = "/data/schedules/"
# What a browser sends of the form as it is first shown: also the fields that are hidden.
FORM = {
    "kind": "update", "when": "trading_day", "time": "16:30", "weekday": "6", "date": "", "cron": "", "symbols": "",
    "source": "", "start_date": "", "end_date": "", "name": "", "priority": "0",
}  # fmt: skip


@pytest.fixture
def browser() -> Client:
    return english_browser()


def send(browser: Client, path: str = PAGE, /, **values: str) -> tuple[int, str]:
    return post(browser, path, **{**FORM, **values})


def only() -> TaskSchedule:
    return schedules.get_schedule(TaskSchedule.objects.get().pk)


def test_without_any_the_first_line_says_so_and_offers_the_usual_one(browser: Client) -> None:
    page = shown(browser, PAGE)
    assert "Nothing runs by itself yet" in page
    assert 'action="/data/schedules/daily/"' in page


def test_the_form_as_it_is_makes_the_usual_one(browser: Client) -> None:
    with clock(at("2024-02-29T12:00")):
        assert send(browser) == (302, PAGE)
        page = shown(browser, PAGE)
    assert "Added: every trading day at 16:30." in page
    assert "Next: 16:30, update of all stocks" in page
    assert only().created_by == "page: 127.0.0.1"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"when": "weekly", "kind": "repair", "time": "09:00"}, "Every Saturday at 09:00"),
        ({"when": "once", "kind": "import", "date": "2024-03-09"}, "Once on 2024-03-09 at 16:30"),
        ({"when": "cron", "cron": "0 17 * * 1-5"}, "By the cron expression 0 17 * * 1-5"),
        ({"kind": "import", "start_date": "2023-01-03", "refresh": "1"}, "from 2023-01-03 to the newest day"),
        ({"name": "<b>Evening</b>", "priority": "3"}, "&lt;b&gt;Evening&lt;/b&gt;"),
        ({"time": "18:15:00"}, "Every trading day at 18:15"),
    ],
)
def test_each_kind_is_made(browser: Client, values: dict[str, str], words: str) -> None:
    with clock(at("2024-02-29T12:00")):
        assert send(browser, **values) == (302, PAGE)
        assert words in re.sub("</?span[^>]*>", "", shown(browser, PAGE))


def test_parts_of_other_kinds_that_hidden_fields_send_do_not_count(browser: Client) -> None:
    send(browser, date="2020-01-02", cron="nonsense", start_date="2023-01-03", refresh="1", path="x")
    assert (only().day, only().cron, order_of(only()).start, order_of(only()).refresh) == (None, "", None, False)


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"time": ""}, "time", "Fill in the time"),
        ({"when": "once"}, "date", "Fill in the date"),
        ({"when": "cron"}, "cron", "Fill in the cron expression"),
        ({"time": "25:00"}, "time", "not a time of day"),
        ({"when": "once", "date": "2020-01-02"}, "date", "has passed"),
        ({"when": "once", "date": "x"}, "date", "not a date"),
        ({"when": "cron", "cron": "daily"}, "cron", "five parts"),
        ({"when": "weekly", "weekday": "9"}, "weekday", "between 1"),
        ({"symbols": "nonsense"}, "symbols", "not a stock symbol"),
        ({"priority": "x"}, "priority", "whole number"),
        ({"kind": "import", "start_date": "2099-01-01"}, "start_date", "future"),
    ],
)
def test_bad_input_shows_the_page_again_with_what_was_typed(
    browser: Client, values: dict[str, str], field: str, words: str
) -> None:
    status, page = send(browser, **values)
    assert status == 422
    assert words in page
    assert f'id="{field}"' in page
    assert 'aria-invalid="true"' in page.split(f'id="{field}"')[1].split(">")[0]
    if values.get(field):
        assert values[field] in page
    assert not TaskSchedule.objects.exists()


def test_a_kind_that_there_is_none_of_is_refused_above_the_form(browser: Client) -> None:
    status, page = send(browser, when="hourly")
    assert (status, 'class="notice bad"' in page) == (422, True)


def test_the_same_again_says_that_it_is_there(browser: Client) -> None:
    send(browser)
    send(browser)
    assert "The same schedule is there already." in shown(browser, PAGE)
    assert TaskSchedule.objects.count() == 1


def test_the_form_of_a_schedule_says_what_it_says_and_changes_it(browser: Client) -> None:
    make_schedule(7)
    schedules.change(7, {"when": "weekly", "weekday": 2, "kind": "repair", "symbols": ["600519"], "name": "Old"})
    page = shown(browser, f"{PAGE}7/")
    for words in ('value="weekly" checked', 'value="repair" checked', 'value="2" selected', "600519.SH", "Old"):
        assert words in page
    assert send(browser, f"{PAGE}7/", when="weekly", weekday="3", kind="repair", name="New") == (302, PAGE)
    changed = schedules.get_schedule(7)
    assert (changed.weekday, changed.name, order_of(changed).symbols) == (3, "New", None)


def test_saving_the_form_as_it_is_changes_nothing(browser: Client) -> None:
    made = make_schedule(7)
    schedules.change(7, {"kind": "import", "start_date": date(2023, 1, 3), "refresh": True, "priority": -4})
    before = TaskSchedule.objects.values().get()
    values = {"kind": "import", "start_date": "2023-01-03", "refresh": "1", "priority": "-4"}
    assert send(browser, f"{PAGE}{made.pk}/", **values)[0] == 302
    after = TaskSchedule.objects.values().get()
    assert {**after, "revision": 0} == {**before, "revision": 0}


def test_a_change_that_cannot_be_shows_the_form_again(browser: Client) -> None:
    make_schedule(7)
    status, page = send(browser, f"{PAGE}7/", when="cron", cron="daily", name="Typed")
    assert (status, "five parts" in page, "Typed" in page) == (422, True, True)


def test_buttons_pause_resume_and_run(browser: Client) -> None:
    make_schedule(7, kind="import")
    assert post(browser, f"{PAGE}7/pause/") == (302, PAGE)
    assert schedules.get_schedule(7).paused
    assert post(browser, f"{PAGE}7/resume/") == (302, PAGE)
    assert not schedules.get_schedule(7).paused
    assert post(browser, f"{PAGE}7/run/") == (302, PAGE)
    assert "Started: full import" in shown(browser, PAGE)
    assert ImportTask.objects.get().requested_by == "page: 127.0.0.1"
    post(browser, f"{PAGE}7/run/")
    assert "still goes on" in shown(browser, PAGE)


def test_a_deletion_is_asked_for_once_more(browser: Client) -> None:
    make_schedule(7)
    assert "Delete the schedule?" in shown(browser, f"{PAGE}7/delete/")
    assert TaskSchedule.objects.exists()
    assert post(browser, f"{PAGE}7/delete/") == (302, PAGE)
    assert not TaskSchedule.objects.exists()


@pytest.mark.parametrize("path", ["9/", "9/delete/", f"{'9' * 30}/"])
def test_a_schedule_that_is_not_there_is_a_404(browser: Client, path: str) -> None:
    assert browser.get(PAGE + path).status_code == 404
    assert post(browser, PAGE + path)[0] == 404
    assert post(browser, PAGE + "9/run/")[0] == 404
    assert post(browser, PAGE + "9/explode/")[0] == 404


def test_nothing_is_changed_without_the_token_of_a_form(browser: Client) -> None:
    make_schedule(7)
    for path in ("", "7/", "7/pause/", "7/delete/", "daily/"):
        assert browser.post(PAGE + path, FORM).status_code == 403
    assert browser.get(PAGE + "7/pause/").status_code == 405
    assert not schedules.get_schedule(7).paused


def test_the_parts_that_are_fetched_again_hold_no_inputs_but_buttons(browser: Client) -> None:
    make_schedule(7)
    page = shown(browser, PAGE + "live/")
    assert "Every trading day at 16:30" in page
    assert page.count("<input") == page.count('<input type="hidden"')


def test_what_became_of_the_last_run_is_told_and_linked(browser: Client) -> None:
    task = make_task(status="completed", failed=2)
    moment = at("2024-02-28T16:30")
    make_schedule(7, last_task=task, last_outcome=Outcome.STARTED, last_run_at=moment, last_meant_at=moment)
    page = shown(browser, PAGE)
    assert "16:30: completed, 2 failed" in page
    assert f'href="/data/tasks/{task.pk}/"' in page


class TestTheDailyUpdate:
    def test_it_is_off_until_it_is_asked_for(self, browser: Client) -> None:
        page = shown(browser)
        assert "Update every trading day at 16:30" in page
        assert not TaskSchedule.objects.exists()

    def test_one_press_switches_it_on_and_shows_the_next_run(self, browser: Client) -> None:
        living_host()
        with clock(at("2024-02-29T12:00")):
            assert post(browser, "/data/schedules/daily/") == (302, "/data/")
            page = shown(browser)
        assert "<dt>Next run</dt><dd>16:30</dd>" in page
        assert "Update every trading day at 16:30" not in page

    def test_two_presses_make_one(self, browser: Client) -> None:
        for _press in range(2):
            post(browser, "/data/schedules/daily/")
        assert TaskSchedule.objects.count() == 1

    def test_a_paused_one_is_offered_to_be_resumed(self, browser: Client) -> None:
        make_schedule(7)
        schedules.pause(7)
        assert 'action="/data/schedules/7/resume/"' in shown(browser)
        assert post(browser, "/data/schedules/7/resume/", back="data") == (302, "/data/")
        assert not schedules.get_schedule(7).paused

    def test_one_for_a_few_stocks_is_not_it(self, browser: Client) -> None:
        schedules.create({**_wish(), "symbols": ["600519"]})
        assert "Update every trading day at 16:30" in shown(browser)

    def test_a_day_that_is_only_assumed_to_be_open_says_so(self, browser: Client) -> None:
        with clock(at("2031-06-02T12:00")):
            make_schedule(7)
            assert "assumed: the exchange" in shown(browser)


def _wish() -> dict[str, Any]:
    return {"when": "trading_day", "time": at("2024-01-01T16:30").time(), "kind": "update"}
