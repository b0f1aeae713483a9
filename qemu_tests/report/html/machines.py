"""A section for each machine: its boots one after the other, with tables, events, pictures and console."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from qemu_tests.report.html.markup import Markup, icon, join, lines, tag
from qemu_tests.report.html.words import ENDINGS, OUTCOMES, count, cut, seconds
from qemu_tests.report.model import CUT, DISK, ERROR, FAULTS, SCENE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qemu_tests.report.model import Boot, Event, Machine, Run, Screenshot, Slot, Table

_MARKS = {"up": "healthy", "failed": "failed", ERROR: "failed", CUT: "cut", DISK: "change"}


def sections(run: Run) -> Markup:
    """All machines."""
    return join(*(_section(number, machine) for number, machine in enumerate(run.machines)))


def _section(number: int, machine: Machine) -> Markup:
    failed = machine.verdict == "failed"
    verdict = tag("span", icon("failed" if failed else "healthy"), machine.verdict, class_="verdict")
    return tag(
        "section",
        tag("h2", machine.name, verdict if machine.verdict else "", tag("small", count(len(machine.boots), "boot"))),
        tag("p", machine.test, class_="test") if machine.test else "",
        tag("p", machine.error, class_="error") if machine.error else "",
        *_parts(number, machine),
        class_="machine",
        id=f"m{number}",
    )


def _parts(number: int, machine: Machine) -> Iterator[Markup]:
    """What was before the first boot, and each boot with what happened until the next."""
    begins = [boot.begin for boot in machine.boots]
    spans = zip([0.0, *begins], [*begins, float("inf")], [None, *machine.boots], strict=True)
    for begin, end, boot in spans:
        events = [event for event in machine.events if begin <= event.at < end]
        shots = [shot for shot in machine.screenshots if begin <= shot.at < end]
        trailing: list[Event] = []
        while boot is not None and events and events[-1].kind == SCENE:
            trailing.insert(0, events.pop())  # it announces the next boot
        if boot is not None:
            yield _boot(number, boot, events, shots)
        elif events or shots:
            yield tag("div", _events(events), *map(_shot, shots), class_="between")
        yield from (tag("p", event.text, class_="scene") for event in trailing)


def _boot(number: int, boot: Boot, events: Sequence[Event], shots: Sequence[Screenshot]) -> Markup:
    facts = [f"at {seconds(boot.begin)}"]
    if boot.up is not None:
        facts.append(f"up after {seconds(boot.up - boot.begin)}")
    if boot.end is not None:
        facts.append(f"{ENDINGS.get(boot.ending, boot.ending)} after {seconds(boot.end - boot.begin)}")
    else:
        facts.append(ENDINGS.get(boot.ending, boot.ending))
    head = tag(
        "header",
        tag(
            "h3", icon(boot.outcome), f"Boot {boot.number}", tag("span", boot.slot, class_="slot") if boot.slot else ""
        ),
        tag(
            "p", tag("b", OUTCOMES[boot.outcome]), f", version {boot.version}" if boot.version else "", class_="outcome"
        ),
        tag("p", icon("cut") if cut(boot) else "", ", ".join(facts), class_="facts"),
        tag("p", boot.reason, class_="reason"),
    )
    return tag(
        "article",
        head,
        _events(events),
        _tables(boot),
        *map(_shot, shots),
        _console(boot),
        class_=f"boot {boot.outcome}",
        id=f"m{number}b{boot.number}",
    )


def _events(events: Sequence[Event]) -> Markup:
    rows = []
    for event in events:
        if event.kind == SCENE:
            rows.append(tag("li", tag("b", event.text), class_="scene"))
            continue
        mark = _MARKS.get(event.kind, "fault" if event.kind in FAULTS else "")
        problems = event.table.problems if event.table else ()
        rows.append(
            tag(
                "li",
                tag("time", seconds(event.at)),
                icon(mark) if mark else tag("span"),
                tag(
                    "span",
                    tag("i", event.kind),
                    " ",
                    event.text,
                    *_bits(event.table),
                    *(tag("em", problem) for problem in problems),
                ),
            )
        )
    return tag("ol", *rows, class_="events") if rows else tag("p", "Nothing was told of it.", class_="events none")


def _bits(table: Table | None) -> Iterator[Markup]:
    for slot in table.slots if table else ():
        yield join(" ", tag("code", f"{slot.label} {slot.attributes}"))


def _tables(boot: Boot) -> Markup:
    if boot.before is None and boot.after is None:
        return tag("div")
    before = {slot.label: slot for slot in (boot.before.slots if boot.before else ())}
    after = {slot.label: slot for slot in (boot.after.slots if boot.after else ())}
    known = boot.before is not None and boot.after is not None
    rows = [
        tag(
            "tr",
            tag(
                "th",
                tag("span", "▶ ", aria_label="booted: ") if label == boot.slot else "",
                label,
                scope="row",
            ),
            *_cells(before.get(label), after.get(label), known=known),
        )
        for label in {**before, **after}
    ]
    caption = "before and after" if known else "before" if boot.after is None else "after"
    head = tag("tr", *(tag("th", name, scope="col") for name in ("slot", "priority", "tries", "successful")))
    problems = [
        tag("p", f"{when}: {problem}", class_="problem")
        for when, table in (("before", boot.before), ("after", boot.after))
        for problem in (table.problems if table else ())
    ]
    table = tag("table", tag("caption", f"Slots {caption} this boot"), tag("thead", head), tag("tbody", *rows))
    return tag("div", table if rows else tag("p", "No slots on this disk.", class_="none"), *problems, class_="slots")


def _cells(before: Slot | None, after: Slot | None, *, known: bool) -> Iterator[Markup]:
    for name in ("priority", "tries", "successful"):
        old = "none" if before is None else str(int(getattr(before, name)))
        new = "none" if after is None else str(int(getattr(after, name)))
        if not known:
            yield tag("td", new if before is None else old)
        elif old == new:
            yield tag("td", new)
        else:
            yield tag("td", old, tag("span", " → ", aria_label=" becomes "), tag("b", new), class_="changed")


def _shot(shot: Screenshot) -> Markup:
    picture = tag("img", src=f"data:image/png;base64,{base64.b64encode(shot.png).decode()}", alt=shot.text)
    return tag("figure", picture, tag("figcaption", f"{seconds(shot.at)}: {shot.text}"))


def _console(boot: Boot) -> Markup:
    if not boot.console:
        return tag("p", "Its console is empty.", class_="console none")
    text = lines(boot.console.strip("\r\n"))
    summary = tag("summary", "Console ", tag("small", count(text.count("\n") + 1, "line")), tag("small", class_="hits"))
    return tag("details", summary, tag("pre", text, tabindex="0"), class_="console")
