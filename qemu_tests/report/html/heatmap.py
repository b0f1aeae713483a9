"""The states of a replay by write and verdict: a column for a write or a few, a row for a verdict, a bar for how many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.report.html.markup import Markup, icon, join, tag
from qemu_tests.report.html.words import count

if TYPE_CHECKING:
    from qemu_tests.report.model import Replay, Run, Write

COLUMNS, ROW, AXIS = 160, 34, 20
_SHADES = 4


@dataclass(frozen=True)
class Bin:
    """Some writes that follow each other, and their states by verdict."""

    writes: tuple[Write, ...]

    @property
    def states(self) -> list[int]:
        """By verdict."""
        return [sum(counts) for counts in zip(*(write.states for write in self.writes), strict=True)]

    @property
    def name(self) -> str:
        """``write 7`` with its text, or ``writes 7 to 12``."""
        first, last = self.writes[0], self.writes[-1]
        if first is last:
            return f"write {first.number}: {first.text}"
        return f"writes {first.number} to {last.number}"


def sections(run: Run) -> Markup:
    """All replays."""
    return join(*(_section(replay) for replay in run.replays))


def bins(replay: Replay, columns: int = COLUMNS) -> list[Bin]:
    """The writes in at most ``columns`` bins of the same size, the last one smaller."""
    size = max(1, math.ceil(len(replay.writes) / columns))
    return [Bin(replay.writes[at : at + size]) for at in range(0, len(replay.writes), size)]


def _section(replay: Replay) -> Markup:
    bad = replay.bad_states
    found = (
        join(icon("failed"), tag("b", count(bad, "state")), " must not be")
        if bad
        else join(icon("healthy"), "each one as it must be")
    )
    summary = join(tag("b", count(replay.states, "state")), f" after {count(len(replay.writes), 'write')}: ", found)
    drawn = bins(replay)
    return tag(
        "section",
        tag("h2", replay.name, tag("small", "replay")),
        tag("p", summary),
        tag("p", replay.scope, class_="test"),
        _map(replay, drawn) if drawn else "",
        _numbers(replay, drawn),
        class_="replay",
    )


def _map(replay: Replay, drawn: list[Bin]) -> Markup:
    most = max(1, *(states for each in drawn for states in each.states))
    width = 100 / len(drawn)
    height = ROW * len(replay.verdicts) + AXIS
    parts = []
    for row, verdict in enumerate(replay.verdicts):
        base = (row + 1) * ROW
        parts.append(tag("line", x1=0, x2="100%", y1=base, y2=base, class_="rail"))
        for column, each in enumerate(drawn):
            states = each.states[row]
            if not states:
                continue
            level = math.log1p(states) / math.log1p(most)
            tall = max(3.0, level * (ROW - 6))
            shade = "bad" if verdict.bad else f"h{math.ceil(level * _SHADES)}"
            bar = tag(
                "rect",
                tag("title", f"{each.name}: {count(states, 'state')}: {verdict.name}"),
                x=f"{column * width:.3f}%",
                y=round(base - tall, 1),
                width=f"{width * 0.88:.3f}%",
                height=round(tall, 1),
                class_=f"heat {shade}",
            )
            parts.append(bar)
            if verdict.bad:
                cross = tag("use", href="#failed", x=-5, y=-5, width=10, height=10, class_="icon failed")
                x = f"{(column + 0.44) * width:.3f}%"
                parts.append(tag("svg", cross, class_="over", x=x, y=round(max(base - tall - 7, base - ROW + 6), 1)))
    parts += [
        tag("text", f"write {replay.writes[0].number}", x=0, y=height - 5, class_="tick"),
        tag("text", f"write {replay.writes[-1].number}", x="100%", y=height - 5, text_anchor="end", class_="tick"),
    ]
    words = f"States by write and verdict of {replay.name}; the same follows as a table"
    picture = tag("svg", *parts, class_="heatmap", height=height, width=560, role="img", aria_label=words)
    names = tag(
        "div",
        *(
            tag("span", icon("failed") if verdict.bad else "", verdict.name, class_="row", title=verdict.name)
            for verdict in replay.verdicts
        ),
        class_="names heat-names",
    )
    return tag(
        "div",
        names,
        tag("div", picture, class_="scroll", tabindex="0", role="region", aria_label=words),
        class_="lanes",
    )


def _numbers(replay: Replay, drawn: list[Bin]) -> Markup:
    head = tag("tr", tag("th", "", scope="col"), *(tag("th", verdict.name, scope="col") for verdict in replay.verdicts))
    rows = [
        tag(
            "tr",
            tag("th", each.name, scope="row"),
            *(
                tag("td", f"{states:,}", class_="changed" if verdict.bad and states else None)
                for states, verdict in zip(each.states, replay.verdicts, strict=True)
            ),
        )
        for each in drawn
    ]
    table = tag("table", tag("caption", "Number of states"), tag("thead", head), tag("tbody", *rows))
    return tag("details", tag("summary", "In numbers"), tag("div", table, class_="scroll", tabindex="0"))
