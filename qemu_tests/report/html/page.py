"""The whole page."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from importlib.resources import files
from typing import TYPE_CHECKING

from qemu_tests.report.html import heatmap, machines, timeline
from qemu_tests.report.html.markup import Markup, definitions, icon, tag
from qemu_tests.report.html.words import count, cut, seconds
from qemu_tests.report.model import FAILED, HEALTHY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qemu_tests.report.model import Run


def render(run: Run) -> str:
    """One HTML document that needs nothing else. The same run gives the same bytes."""
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),
        tag("title", run.title),
        tag("style", style),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, _body(run, script), lang='en')}\n"


def _asset(name: str) -> Markup:
    return Markup((files("qemu_tests.report.html") / "assets" / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _body(run: Run, script: Markup) -> Markup:
    return tag(
        "body",
        definitions(),
        tag("a", "To the boots", href="#boots", class_="skip"),
        _header(run),
        tag("main", *_main(run)),
        tag("script", script),
    )


def _header(run: Run) -> Markup:
    notes = [run.began[:16].replace("T", " ") + " UTC" * run.began.endswith("+00:00"), *run.notes]
    return tag(
        "header",
        tag("h1", run.title),
        tag("p", *_totals(run), class_="totals"),
        tag("ul", *(tag("li", note) for note in notes), class_="notes"),
        class_="top",
    )


def _totals(run: Run) -> Iterator[Markup]:
    boots = [boot for machine in run.machines for boot in machine.boots]
    outcomes = Counter(boot.outcome for boot in boots)
    failed = sum(machine.verdict == "failed" for machine in run.machines)
    if failed:
        yield tag("span", icon("failed"), f"{count(failed, 'machine')} not as promised", class_="chip bad")
    yield tag("span", f"{count(len(run.machines), 'machine')}, {count(len(boots), 'boot')}", class_="chip")
    for name, kind, words in (
        (HEALTHY, HEALTHY, "healthy"),
        (FAILED, FAILED, "failed"),
        ("unknown", "unknown", "unknown"),
    ):
        if outcomes[kind]:
            yield tag("span", icon(name), f"{outcomes[kind]} {words}", class_="chip")
    if cuts := sum(cut(boot) for boot in boots):
        yield tag("span", icon("cut"), count(cuts, "power cut"), class_="chip")
    if run.replays:
        yield tag("span", count(sum(replay.states for replay in run.replays), "replayed state"), class_="chip")
    yield tag("span", seconds(run.seconds), class_="chip")


def _main(run: Run) -> Iterator[Markup]:
    if run.machines:
        zoom = tag(
            "div",
            tag("button", "-", type="button", id="narrower", aria_label="Draw the time line narrower"),
            tag("button", "+", type="button", id="wider", aria_label="Draw the time line wider"),
            class_="zoom",
            hidden=True,
        )
        yield tag("section", tag("h2", "Time line", zoom), timeline.draw(run), timeline.legend(), class_="picture")
    yield heatmap.sections(run)
    yield tag("div", _tools() if run.machines else "", machines.sections(run), id="boots")


def _tools() -> Markup:
    return tag(
        "form",
        tag("label", "Search the consoles", for_="search"),
        tag(
            "input",
            type="search",
            id="search",
            placeholder="text in a console",
            autocomplete="off",
            spellcheck="false",
            enterkeyhint="search",
        ),
        tag("output", "", id="found", for_="search", aria_live="polite"),
        tag("button", "Previous", type="button", id="previous"),
        tag("button", "Next", type="button", id="next"),
        tag("button", "Open all", type="button", id="all", aria_pressed="false"),
        class_="tools",
        role="search",
        hidden=True,
    )
