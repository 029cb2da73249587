"""The schedules in a real browser, with scripts and without: made, changed, run, deleted; narrow, dark, in Chinese."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, Watch, new_context
from tests.browser.test_live_page import CONTRAST

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def test_the_daily_update_is_switched_on_and_a_repair_is_added_changed_and_run(page: Page, server: Server) -> None:
    page.get_by_role("button", name="Update every trading day at 16:30").click()
    daily = page.get_by_role("region", name="Automatic update")
    expect(daily).to_contain_text("16:30")
    expect(daily).to_contain_text("Next run")
    daily.get_by_role("link", name="Schedules").click()

    expect(page.get_by_label("Weekday", exact=True)).to_be_hidden()
    page.get_by_label("Every week").check()
    page.get_by_label("Full import").check()
    expect(page.get_by_label("Weekday", exact=True)).to_be_visible()
    expect(page.get_by_label("Date", exact=True)).to_be_hidden()
    page.get_by_label("Time", exact=True).fill("09:15")
    page.get_by_role("textbox", name="Stocks").fill("600000, 600001")
    # What was typed stays while the list is fetched again.
    with page.expect_response("**/data/schedules/live/"):
        pass
    expect(page.get_by_role("textbox", name="Stocks")).to_have_value("600000, 600001")
    page.get_by_role("button", name="Add", exact=True).click()

    added = page.locator(".schedules > li").nth(1)
    expect(added).to_contain_text("Every Saturday at 09:15")
    added.get_by_role("link", name="Change").click()
    page.get_by_label("Cron expression").check()
    page.get_by_label("Minute, hour, day, month, weekday").fill("0 3 * * *")
    page.get_by_role("button", name="Save").click()
    expect(added).to_contain_text("By the cron expression 0 3 * * *")

    added.get_by_role("button", name="Run now").click()
    # The list follows the task by itself.
    expect(added).to_contain_text("completed")
    added.get_by_role("button", name="Pause").click()
    expect(added.get_by_role("button", name="Resume")).to_be_visible()
    added.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".schedules > li")).to_have_count(1)


def test_without_scripts_on_a_narrow_dark_screen_in_chinese(browser: Browser, server: Server, watch: Watch) -> None:
    # The answer to bad input is a page, and a browser tells of its status.
    watch.forgiven.append("422")
    context = new_context(
        browser, watch, java_script_enabled=False, locale="zh-CN", color_scheme="dark",
        viewport={"width": 360, "height": 740},
    )  # fmt: skip
    page = context.new_page()
    page.goto(f"{server.url}/data/schedules/")
    page.get_by_label("一次").check()
    page.get_by_label("补缺").check()
    page.get_by_label("日期", exact=True).fill("2020-01-06")
    page.get_by_role("button", name="添加").click()
    expect(page.locator("#problem")).to_have_text("2020-01-06 16:30 已过，请填写更晚的时间。")
    page.get_by_label("日期", exact=True).fill("2031-01-06")
    page.get_by_role("button", name="添加").click()
    added = page.locator(".schedules > li").filter(has_text="2031-01-06")
    expect(added).to_contain_text("补缺：全部股票")
    page_with_scripts = new_context(browser, watch, locale="zh-CN", color_scheme="dark", viewport=page.viewport_size)
    looked_at = page_with_scripts.new_page()
    looked_at.goto(page.url)
    assert looked_at.evaluate(WIDE) is False
    assert looked_at.evaluate(CONTRAST) == []
    page_with_scripts.close()
    added.get_by_role("link", name="删除").click()
    page.get_by_role("button", name="删除").click()
    expect(page.get_by_text("2031-01-06")).to_have_count(0)
    context.close()
