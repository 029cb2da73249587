"""An import in a real browser on a real server: started, watched, left alone, paused, cancelled, retried."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import Server, Watch, new_context
from tests.importer.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def start(page: Page, symbols: str = "") -> None:
    if symbols:
        page.get_by_role("textbox", name="Stocks").fill(symbols)
    with page.expect_navigation():
        page.get_by_role("button", name="Start full import").click()


def bar(page: Page) -> Locator:
    return page.get_by_role("progressbar")


def percent(page: Page) -> int:
    return int(bar(page).get_attribute("aria-valuenow") or 0)


def wait_for_progress(page: Page, above: int = 0) -> int:
    return wait_until(lambda: percent(page) if percent(page) > above else 0, f"the bar is beyond {above} percent")


def chip(page: Page, words: str) -> Locator:
    return page.locator("#live-main, #live-task").locator(".chip", has_text=re.compile(words))


def test_a_press_starts_an_import_and_its_progress_moves_by_itself(page: Page, server: Server) -> None:
    start(page)
    expect(page.get_by_role("heading", name="Full import of all stocks")).to_be_visible()
    first = wait_for_progress(page)
    later = wait_for_progress(page, first)
    assert later > first
    expect(page.locator("#leading")).to_contain_text(re.compile(r"\d+ of 6\d\d stocks|\d+ of 5\d\d stocks"))
    expect(page.locator("#leading")).to_contain_text("left")
    assert page.locator(".progress > i").get_attribute("style") == f"width: {percent(page)}%"


def test_a_reload_a_second_tab_and_another_browser_show_the_same_task(
    page: Page, context: BrowserContext, browser: Browser, server: Server, watch: Watch
) -> None:
    start(page)
    seen = wait_for_progress(page)
    page.reload()
    assert percent(page) >= seen
    tab = context.new_page()
    tab.goto(f"{server.url}/data/")
    assert percent(tab) >= seen
    page.close()
    tab.close()
    other = new_context(browser, watch)
    reopened = other.new_page()
    reopened.goto(f"{server.url}/data/")
    assert wait_for_progress(reopened, seen) > seen
    assert len(server.active()) == 1
    other.close()


def test_two_presses_start_one_task(page: Page, server: Server) -> None:
    start(page)
    wait_for_progress(page)
    start(page)
    expect(page.get_by_role("status").filter(has_text="already there")).to_be_visible()
    assert len(server.active()) == 1


def test_a_cancel_is_asked_once_more_and_keeps_what_is_stored(page: Page, server: Server) -> None:
    start(page)
    wait_for_progress(page)
    page.get_by_role("link", name="Stop the import").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Data already stored are kept")
    expect(dialog.get_by_role("button", name="Go on importing")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert len(server.active()) == 1
    page.get_by_role("link", name="Stop the import").click()
    dialog.get_by_role("button", name="Stop the import").click()
    expect(chip(page, "^Cancelled$")).to_be_visible()
    expect(page.locator("#news")).to_contain_text("What was stored stays")
    assert server.installation.sql("SELECT COUNT(*) FROM marketdata_bar")[0][0] > 0


def test_a_pause_holds_the_import_and_resume_goes_on_where_it_was(page: Page) -> None:
    start(page)
    seen = wait_for_progress(page)
    page.get_by_role("button", name="Pause").click()
    expect(chip(page, "^Paused$")).to_be_visible()
    assert percent(page) >= seen
    page.get_by_role("button", name="Resume").click()
    expect(chip(page, "^Running$")).to_be_visible()
    assert wait_for_progress(page, seen) > seen


def test_failures_are_listed_with_their_reasons_and_retried(page: Page, server: Server) -> None:
    known = server.api("GET", "stocks?limit=1")["data"]
    symbol = known[0]["symbol"] if known else "600519.SH"  # type: ignore[index]
    start(page, f"{symbol}, 688998, 688999")
    news = page.locator("#news")
    expect(news).to_contain_text("2 failed")
    news.get_by_role("link", name="Details").click()
    failures = page.get_by_role("region", name="Failures and findings")
    expect(failures.get_by_role("row", name=re.compile("688998.SH"))).to_contain_text("does not know")
    first = page.url
    page.get_by_role("button", name="Retry what failed").click()
    page.wait_for_url(lambda url: url != first)
    expect(page.get_by_role("link", name="retries an earlier task")).to_be_visible()
    expect(chip(page, "^Failed$")).to_be_visible()
    expect(page.locator("#live-failures")).to_contain_text("688999.SH")


def test_the_end_is_told_to_whoever_comes_back_until_it_is_dismissed(
    page: Page, context: BrowserContext, server: Server
) -> None:
    start(page, "600000")
    page.close()
    wait_until(lambda: not server.active(), "the import is over")
    later = context.new_page()
    later.goto(f"{server.url}/data/")
    expect(later.locator("#news")).to_be_visible()
    later.get_by_role("button", name="Dismiss").click()
    expect(later.locator("#news")).to_have_count(0)
    later.reload()
    expect(later.locator("#news")).to_have_count(0)


def test_waiting_tasks_have_a_place_and_one_may_run_first(page: Page, server: Server) -> None:
    start(page)
    wait_for_progress(page)
    for symbols in ("600001", "600002"):
        start(page, symbols)
    waiting = page.get_by_role("region", name="Waiting").get_by_role("listitem")
    expect(waiting).to_have_count(2)
    expect(waiting.nth(1)).to_contain_text("2.")
    waiting.nth(1).get_by_role("button", name="Run first").click()
    wait_until(lambda: len(server.active()) < 3, "the one that was to run first has ended")


def test_without_scripts_everything_works_but_the_live_figures(browser: Browser, server: Server, watch: Watch) -> None:
    context = new_context(browser, watch, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.url}/data/")
    page.get_by_role("textbox", name="Stocks").fill("600519")
    page.get_by_role("button", name="Estimate anew").click()
    expect(page.locator("#estimate")).to_contain_text(re.compile(r"Full import\s+(1 stock|nothing)"))
    page.get_by_role("textbox", name="Stocks").fill("")
    start(page)
    expect(page.get_by_role("heading", name="Full import of all stocks")).to_be_visible()
    expect(page.get_by_text("refreshed every 3 seconds")).to_be_hidden()
    with page.expect_navigation():
        page.get_by_role("link", name="Load the newest figures").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Pause").click()
    wait_until(lambda: [page.reload(), chip(page, "^Paused$").count()][1], "it is paused")
    page.get_by_role("link", name="Stop the import").click()
    page.wait_for_url("**/cancel/")
    page.get_by_role("button", name="Stop the import").click()
    expect(page.locator("#news")).to_contain_text("Cancelled")
    context.close()


def test_the_history_is_filtered_shows_its_course_and_is_taken_along(page: Page, server: Server) -> None:
    for symbol in ("600000", "600001"):
        server.api("POST", "import", symbols=[symbol], source="simulated", refresh=True)
    wait_until(lambda: not server.active(), "both have ended")
    page.goto(f"{server.url}/data/tasks/")
    page.get_by_label("Asked for by").fill("api")
    page.get_by_label("Kind").select_option("import")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("by=api"))
    expect(page.get_by_role("img", name=re.compile("^Duration of the last"))).to_be_visible()
    expect(page.locator("svg.chart rect").first).to_have_css("fill", "rgb(36, 87, 214)")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download as CSV").click()
    lines = started.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("task_id,kind,status,source")
    assert len(lines) == 1 + page.locator("tr[id^=task-]").count()
