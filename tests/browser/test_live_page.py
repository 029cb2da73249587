"""How the data page behaves in a real browser: polling, focus, estimates, languages, widths, keyboard, contrast."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Server, Watch, new_context
from tests.importer.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIVE = "**/data/live/"
PAGES = ("/data/", "/data/notifications/", "/data/tasks/", "/login/", "/none/")
# Makes the tab hidden as far as scripts can tell.
HIDDEN = "Object.defineProperty(document, 'hidden', {get: () => window.tabIsHidden === true})"
# Walks over every text that is shown and returns those whose contrast is below what WCAG AA asks for.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(each).backgroundColor);
      if (a > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest("script, noscript, :disabled")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(ground(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


def polled(page: Page) -> None:
    """Wait until the page has asked again, and has shown the answer."""
    with page.expect_response(LIVE):
        pass
    with page.expect_request(LIVE):
        pass


def test_the_page_asks_again_every_three_seconds_and_rests_while_nobody_looks(page: Page, server: Server) -> None:
    page.add_init_script(HIDDEN)
    page.reload()
    polled(page)
    asked: list[str] = []
    page.evaluate("window.tabIsHidden = true")
    page.wait_for_timeout(500)
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(7000)
    assert asked == []
    with page.expect_response(LIVE):
        page.evaluate("window.tabIsHidden = false; document.dispatchEvent(new Event('visibilitychange'))")


def test_what_is_focused_selected_and_scrolled_stays_while_the_figures_change(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    page.get_by_role("button", name="Start full import").click()
    link = page.locator("#leading-details")
    link.focus()
    page.evaluate("window.focusedBefore = document.activeElement; window.scrollTo(0, 120)")
    before = page.locator("#leading .line").inner_text()
    wait_until(lambda: page.locator("#leading .line").inner_text() != before, "the figures have changed")
    expect(link).to_be_focused()
    assert page.evaluate("window.focusedBefore === document.activeElement")
    assert page.evaluate("window.scrollY") == 120
    page.evaluate("getSelection().selectAllChildren(document.getElementById('verdict'))")
    chosen = page.evaluate("getSelection().toString()")
    polled(page)
    assert page.evaluate("getSelection().toString()") == chosen


def test_what_is_typed_stays_and_the_estimate_follows_it(page: Page, server: Server) -> None:
    estimate = page.locator("#estimate")
    expect(estimate).to_contain_text(re.compile(r"\d{3} stocks|is under way already|nothing is missing"))
    page.get_by_role("textbox", name="Stocks").press_sequentially("688997")
    expect(estimate).to_contain_text(re.compile(r"Full import\s+1 stock,"))
    page.get_by_role("textbox", name="Stocks").fill("nonsense")
    expect(estimate).to_contain_text("is not a stock symbol")
    polled(page)
    expect(page.get_by_role("textbox", name="Stocks")).to_have_value("nonsense")
    page.get_by_role("textbox", name="Stocks").fill("")
    page.get_by_label("Other dates").check()
    page.get_by_label("First day").fill("2024-12-25")
    page.get_by_label("Last day").fill("2024-01-01")
    expect(estimate).to_contain_text("is before the start")


def test_the_form_follows_the_task_that_begins_or_ends(context: BrowserContext, server: Server) -> None:
    # The form is also asked anew twice a minute: not here.
    context.add_init_script(
        "const later = window.setTimeout;"
        "window.setTimeout = (act, ms, ...more) => (ms >= 20000 ? 0 : later(act, ms, ...more));"
    )
    page = context.new_page()
    page.goto(f"{server.url}/data/")
    estimate = page.locator("#estimate")
    expect(estimate).not_to_contain_text("is under way already")
    task = server.api("POST", "import")["task_id"]
    expect(estimate).to_contain_text("is under way already")
    server.api("POST", f"tasks/{task}/cancel")
    expect(estimate).not_to_contain_text("is under way already")
    expect(page.get_by_role("button", name="Start update")).to_be_enabled()


def test_bad_input_is_told_at_its_field_which_has_the_focus(page: Page, server: Server, watch: Watch) -> None:
    watch.forgiven.append("422")
    page.get_by_role("textbox", name="Stocks").fill("600519, nonsense")
    page.get_by_role("button", name="Start full import").click()
    field = page.get_by_role("textbox", name="Stocks")
    expect(field).to_be_focused()
    expect(field).to_have_value("600519, nonsense")
    expect(field).to_have_accessible_description(re.compile("is not a stock symbol"))
    assert not server.active()


def test_the_page_speaks_chinese_and_english_and_remembers_which(
    browser: Browser, server: Server, watch: Watch
) -> None:
    context = new_context(browser, watch, locale="zh-CN")
    page = context.new_page()
    page.goto(f"{server.url}/data/")
    expect(page.get_by_role("button", name="开始全量导入")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Start full import")).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("button", name="开始增量更新")).to_be_visible()
    context.close()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_nothing_scrolls_sideways_on_a_narrow_screen(
    browser: Browser, server: Server, watch: Watch, language: str
) -> None:
    server.api("POST", "import", start_date="2024-01-02")
    task = server.newest_task()
    watch.forgiven.append("404")
    context = new_context(browser, watch, locale=language, viewport={"width": 360, "height": 740})
    page = context.new_page()
    for path in (*PAGES, f"/data/tasks/{task}/", f"/data/tasks/{task}/cancel/"):
        page.goto(server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_in_both_themes(browser: Browser, server: Server, watch: Watch, theme: str) -> None:
    server.api("POST", "import", symbols=["688999"])
    wait_until(lambda: not server.active(), "a failure is listed")
    task = server.newest_task()
    server.api("POST", "import", start_date="2024-01-03")
    watch.forgiven.append("404")
    context = new_context(browser, watch, color_scheme=theme)
    page = context.new_page()
    for path in (*PAGES, f"/data/tasks/{task}/", f"/data/tasks/{task}/cancel/"):
        page.goto(server.url + path)
        assert page.evaluate(CONTRAST) == [], path
    context.close()


def test_the_keyboard_alone_is_enough(page: Page, server: Server) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    button = page.get_by_role("button", name="Start full import")
    for _press in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("link", name="Stop the import").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Shift+Tab")
    expect(dialog.get_by_role("button", name="Stop the import")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#news")).to_contain_text("Cancelled")


def test_a_screen_reader_finds_its_way_and_is_told_only_what_matters(page: Page, server: Server) -> None:
    for role in ("banner", "navigation", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    unnamed = page.evaluate(
        "() => [...document.querySelectorAll('input:not([type=hidden]), select')]"
        ".filter((field) => !field.labels.length && !field.ariaLabel).map((field) => field.name)"
    )
    assert unnamed == []
    page.get_by_role("button", name="Start full import").click()
    expect(page.get_by_role("progressbar", name="Progress of the import")).to_be_visible()
    expect(page.locator("#spoken")).to_have_text(re.compile(r"^Full import: (\d|\d0) percent$"))
    loud = page.locator("#live-main [aria-live], #live-main [role=status], #live-main [role=alert]")
    expect(loud).to_have_count(1)
    server.be_quiet()
    expect(page.locator("#spoken")).to_have_text(re.compile("cancelled", re.IGNORECASE))
