"""The page in Chromium: no line on its console, no request, nothing wider than a phone, and the keys work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.report.files import write_page
from qemu_tests.report.model import Run
from qemu_tests.story.browser import Browser, BrowserError
from tests.qemu_tests.report import sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    runs = {"full": sample.full(), "hostile": sample.hostile(), "empty": Run("nothing", "", 0)}
    for name, run in runs.items():
        write_page(run, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in runs}


@pytest.fixture(autouse=True)
def desktop(browser: Browser) -> None:
    browser.size(*DESKTOP)
    browser.colours("light")


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["full", "hostile", "empty"])
def test_a_page_says_nothing_asks_for_nothing_and_fits(
    browser: Browser, pages: dict[str, Path], name: str, size: tuple[int, int]
) -> None:
    browser.size(*size, phone=size == PHONE)
    browser.open(pages[name])
    for details in (False, True):
        browser.evaluate(
            f"document.querySelectorAll('details').forEach(each => {{ each.open = {str(details).lower()}; }})"
        )
        browser.settle()
        assert browser.evaluate("document.documentElement.scrollWidth") == size[0]
        assert browser.evaluate("innerWidth") == size[0]
    assert browser.evaluate("window.struck") is None
    assert browser.seen.messages == []
    assert browser.seen.requests == []


def test_the_watch_over_pages_sees_what_it_must(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """The proof before this one can fail: the same page with a hole in it is noticed."""
    page = pages["full"].read_text()
    leaky = tmp_path / "leaky.html"
    hole = "<img src='http://127.0.0.1:9/probe.png' onerror='window.struck=1'>"
    leaky.write_text(page.replace("</h1>", f"</h1>{hole}"))
    browser.open(leaky)
    assert browser.evaluate("window.struck") is None
    assert any("Content Security Policy" in message for message in browser.seen.messages)
    leaky.write_text(
        page.replace('http-equiv="Content-Security-Policy"', "").replace("</h1>", f"</h1>{hole}<script>no()</script>")
    )
    browser.open(leaky)
    assert browser.seen.requests == ["http://127.0.0.1:9/probe.png"]
    assert any("no is not defined" in message for message in browser.seen.messages)
    leaky.write_text(page.replace("</h1>", f"</h1><pre style>{'wide ' * 400}</pre>").replace("overflow: auto", ""))
    browser.open(leaky)
    assert browser.evaluate("document.documentElement.scrollWidth") > DESKTOP[0]


def found(browser: Browser) -> str:
    return str(browser.evaluate("document.getElementById('found').textContent"))


def test_consoles_are_searched_from_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"])
    assert browser.evaluate("document.querySelectorAll('details.console[open]').length") == 0
    browser.press("/", text="/")
    assert browser.evaluate("document.activeElement.id") == "search"
    browser.type("KERNEL PANIC")
    assert found(browser) == "3 found"
    for expected in ("1 of 3", "2 of 3", "3 of 3", "1 of 3"):
        browser.press("Enter")
        assert found(browser) == expected
    browser.press("Enter", shift=True)
    assert found(browser) == "3 of 3"
    current = "document.querySelector('mark.current')"
    assert browser.evaluate(f"{current}.textContent") == "Kernel panic"
    assert browser.evaluate(f"{current}.closest('article').id") == "m0b3"
    top = browser.evaluate(f"{current}.getBoundingClientRect().top")
    assert 0 <= top < DESKTOP[1]
    assert browser.evaluate("[...document.querySelectorAll('.hits')].map(each => each.textContent.trim())") == (
        ["1 found"] * 3 + [""] * 3
    )
    browser.press("Escape")
    assert found(browser) == ""
    assert browser.evaluate("document.querySelectorAll('mark').length") == 0


def test_a_search_finds_markup_and_letters_that_change_their_length(browser: Browser, tmp_path: Path) -> None:
    run = sample.hostile()
    write_page(run, tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    before = browser.evaluate("document.querySelector('pre').textContent")
    browser.evaluate("document.getElementById('search').focus()")
    browser.type("<script>fetch(")
    assert found(browser) == "6 found"
    assert browser.evaluate("document.querySelectorAll('pre script, pre img').length") == 0
    assert browser.evaluate("document.querySelector('pre').textContent") == before
    assert browser.evaluate("document.querySelector('mark').textContent") == "<script>fetch("
    browser.evaluate("document.getElementById('search').select()")
    browser.type("nowhere")
    assert found(browser) == "not found"
    assert browser.seen.messages == []


@pytest.mark.slow
def test_everything_can_be_reached_and_told_without_a_mouse(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"])
    reached = []
    for _ in range(60):
        browser.press("Tab")
        reached.append(
            browser.evaluate(
                "(e => e.getAttribute('aria-label') || e.textContent.trim() || e.id || e.tagName)(document.activeElement)"
            )
        )
    for name in (
        "To the boots",
        "Draw the time line wider",
        "Time line",
        "panic: boot 2 of USR-B, version 3: failed, rebooted, 10.0\u00a0s",
        "In numbers",
        "search",
        "Open all",
    ):
        assert name in reached
    assert any(name.startswith("Console") for name in reached)


def test_the_time_line_leads_to_the_boots_and_can_be_stretched(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"])
    browser.evaluate("document.querySelector('svg.timeline a[aria-label*=\"boot 2 of USR-B\"]').focus()")
    browser.press("Enter")
    assert browser.evaluate("location.hash") == "#m0b2"
    width = "document.querySelector('svg.timeline').getBoundingClientRect().width"
    before = browser.evaluate(width)
    browser.evaluate("document.getElementById('wider').click()")
    assert browser.evaluate(width) == pytest.approx(before * 1.5, rel=0.01)
    assert browser.evaluate("document.documentElement.scrollWidth") == DESKTOP[0]
    browser.evaluate("document.getElementById('narrower').click()")
    assert browser.evaluate(width) == before


def test_all_consoles_can_be_opened_at_once(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"])
    count = "document.querySelectorAll('details.console[open]').length"
    browser.evaluate("document.getElementById('all').click()")
    assert (browser.evaluate(count), browser.evaluate("document.getElementById('all').textContent")) == (6, "Close all")
    browser.evaluate("document.getElementById('all').click()")
    assert browser.evaluate(count) == 0


CONTRAST = """
(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const rgba = parse(getComputedStyle(e).backgroundColor);
      if (rgba.length === 3 || rgba[3] === 1) return rgba.slice(0, 3);
    }
    return [255, 255, 255];
  };
  let least = [99, ""];
  for (const element of document.querySelectorAll("h1,h2,h3,p,small,span,time,code,td,th,caption,button,li,b,i,em,summary,pre,label")) {
    if (!element.textContent.trim() || element.closest("svg")) continue;
    const values = [light(parse(getComputedStyle(element).color).slice(0, 3)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (values[0] + 0.05) / (values[1] + 0.05);
    if (ratio < least[0]) least = [ratio, element.outerHTML.slice(0, 90)];
  }
  return least;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_in_dark(browser: Browser, pages: dict[str, Path], scheme: str) -> None:
    browser.colours(scheme)
    browser.open(pages["full"])
    ratio, element = browser.evaluate(CONTRAST)
    assert ratio >= 4.5, element  # WCAG 2.2, 1.4.3
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(246, 247, 249)") is (scheme == "light")


def test_on_paper_it_is_light_whole_and_without_buttons(browser: Browser, pages: dict[str, Path]) -> None:
    browser.colours("dark", "print")
    browser.open(pages["full"])
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.querySelector('.tools')).display") == "none"
    assert browser.pages().startswith(b"%PDF")


def test_a_script_that_throws_and_a_command_that_is_refused_are_errors(browser: Browser) -> None:
    with pytest.raises(BrowserError, match="nowhere"):
        browser.evaluate("nowhere.at.all")
    with pytest.raises(BrowserError, match="was refused"):
        browser.size(-1, -1)


def test_pictures_are_of_the_size_that_was_asked_for(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["full"])
    picture = browser.picture(height=500)
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1280, 500)
