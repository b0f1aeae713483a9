"""The page as text: nothing becomes markup, nothing is fetched, the same run gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from qemu_tests.report.html.heatmap import bins
from qemu_tests.report.html.markup import ICONS, Markup, join, tag
from qemu_tests.report.html.page import render
from qemu_tests.report.html.timeline import Scale
from tests.qemu_tests.report import sample
from tests.qemu_tests.report.test_codec import RUNS

if TYPE_CHECKING:
    from qemu_tests.report.model import Run

VOID = {"br", "col", "img", "input", "link", "meta"}
FETCHING = {"src", "action", "formaction", "data", "poster", "background", "srcset", "ping", "manifest"}


class Reader(HTMLParser):
    """Every element and attribute of a page, and whether all that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def check_harmless(page: str) -> Reader:
    found = read(page)
    assert len([name for name, _, _ in found.attributes if name == "svg"]) > 1
    assert page.count("<script") == page.count("<style") == 1
    for element, name, value in found.attributes:
        assert not name.startswith("on"), f"{element} {name}={value!r}"
        assert name != "style"
        if name in {"href", "src"}:
            assert re.match(r"#|data:(image/png;base64,[\w+/=]+|,)$", value), f"{element} {name}={value!r}"
        elif name in FETCHING:
            pytest.fail(f"{element} {name}={value!r}")
    assert not found.names & {"iframe", "object", "embed", "base", "video", "audio", "foreignobject", "image"}
    return found


def test_hostile_text_is_shown_and_never_becomes_markup() -> None:
    found = check_harmless(render(sample.hostile()))
    shown = "".join(found.texts)
    assert "<script>fetch('http://192.0.2.1/probe')" in shown
    assert "<U+202E>evil<U+2066>" in shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)


@settings(max_examples=60)
@given(RUNS)
def test_any_run_can_be_drawn(run: Run) -> None:
    page = render(run)
    page.encode()
    assert "</html>" in page
    assert read(page).names >= {"html", "body"}


def test_the_policy_knows_style_and_script_by_their_hashes_and_allows_nothing_else() -> None:
    page = render(sample.full())
    (policy,) = (value for _, name, value in read(page).attributes if name == "content" and "default-src" in value)

    def hashed(element: str) -> str:
        match = re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
        assert match is not None
        return f"'sha256-{base64.b64encode(hashlib.sha256(match.group(1).encode()).digest()).decode()}'"

    assert policy == (
        f"default-src 'none'; style-src {hashed('style')}; script-src {hashed('script')}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_same_run_gives_the_same_page_and_every_reference_has_its_target() -> None:
    page = render(sample.full())
    assert render(sample.full()) == page
    found = read(page).attributes
    ids = [value for _, name, value in found if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, name, value in found if name == "href" and value.startswith("#")}
    assert targets
    assert targets <= set(ids)
    assert set(re.findall(r"url\(#(\w+)\)", page)) <= set(ids)


def test_what_happened_is_on_the_page_in_words() -> None:
    found = read(render(sample.full()))
    shown = " ".join("".join(found.texts).split())
    for words in (
        "3 failed",
        "1 power cut",
        "panic: boot 2 of USR-B, version 3: failed, rebooted, 10.0\u00a0s",
        "version 3 is broken: the kernel panics",
        "half of version 3 is written",
        "sgdisk: Identified 1 problems",
        "Kernel panic - not syncing: sysrq triggered crash",
        "3 → 2",
        "the last lines of a kernel that panics",
        "51,271 states",
        "all subsets of each flush epoch of up to 8 writes",
    ):
        assert words in shown or any(words in value for _, _, value in found.attributes), words


@pytest.mark.parametrize("colour", ["var\\(--healthy\\)", "var\\(--failed\\)"])
def test_outcomes_differ_in_more_than_colour(colour: str) -> None:
    assert re.search(colour, render(sample.full()))
    assert len(set(ICONS.values())) == len(ICONS)
    silhouettes = {shape.split("/>")[0] for shape in ICONS.values()}
    assert len(silhouettes) == len(ICONS)


def test_states_of_many_writes_are_put_together_and_none_is_lost() -> None:
    replay = sample.replay(1000)
    drawn = bins(replay)
    assert len(drawn) <= 160
    assert [write for each in drawn for write in each.writes] == list(replay.writes)
    assert sum(sum(each.states) for each in drawn) == replay.states
    assert sum(each.states[2] for each in drawn) == 1


def test_places_stay_on_the_line() -> None:
    scale = Scale(10, 1000)
    assert [scale.place(time) for time in (-1, 0, 5, 10, 1e300)] == [
        "0.000%",
        "0.000%",
        "50.000%",
        "100.000%",
        "100.000%",
    ]


def test_markup_is_only_what_was_made_as_markup() -> None:
    assert tag("p", "<b>", Markup("<i>"), title='"&') == '<p title="&quot;&amp;">&lt;b&gt;<i></p>'
    assert tag("input", hidden=True, class_="a", aria_label=None, checked=False) == '<input hidden class="a">'
    assert isinstance(join("a", "b"), Markup)
