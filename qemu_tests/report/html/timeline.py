"""The time line: a lane for each machine, a row for each slot, boots as blocks, attributes where they change. SVG.

Everything is placed in per cent of the width, so that the drawing can be stretched without its letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.report.html.markup import Markup, join, tag
from qemu_tests.report.html.words import cut, headline, seconds, slot_labels
from qemu_tests.report.model import FAILED, FAULTS, HEALTHY, SCENE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qemu_tests.report.model import Boot, Event, Machine, Run, Table

AXIS, HEAD, MARKS, ROW, BLOCK, GAP = 22, 24, 20, 46, 22, 16
"""Heights in pixels: time axis, scenes of a lane, its faults, a slot with its block, and the room below a lane."""
PIXELS_PER_SECOND, NARROWEST = 4.0, 700
_STEPS = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600)
_LETTER = 6.4
"""About the width of a letter, in pixels."""


@dataclass(frozen=True)
class Scale:
    """From seconds to places; ``width`` is the least one in pixels."""

    seconds: float
    width: float

    def place(self, time: float) -> str:
        """In per cent."""
        return f"{self.part(time) * 100:.3f}%"

    def part(self, time: float) -> float:
        """From 0 to 1."""
        return min(max(time / self.seconds, 0.0), 1.0)

    def pixels(self, time: float) -> float:
        """At the least width."""
        return self.part(time) * self.width


def draw(run: Run) -> Markup:
    """The time line, with the names of machines and slots in a column of its own that stays while the rest scrolls."""
    scale = _scale(run)
    lanes = [_Lane(number, machine, scale) for number, machine in enumerate(run.machines)]
    height = AXIS + sum(lane.height + GAP for lane in lanes)
    at, drawn = AXIS, [_axis(scale, height)]
    for lane in lanes:
        drawn.append(lane.draw(at))
        at += lane.height + GAP
    picture = tag(
        "svg",
        *drawn,
        class_="timeline",
        width=round(scale.width),
        height=height,
        role="group",
        aria_label="Time line of all boots; the same follows in words below",
    )
    names = tag("div", *(lane.names() for lane in lanes), class_="names")
    scroll = tag("div", picture, class_="scroll", tabindex="0", role="region", aria_label="Time line")
    return tag("div", names, scroll, class_="lanes")


def _scale(run: Run) -> Scale:
    last = [run.seconds, *(event.at for machine in run.machines for event in machine.events)]
    last += [boot.end or boot.begin for machine in run.machines for boot in machine.boots]
    length = max(*last, 0.1) * 1.01
    return Scale(length, min(max(NARROWEST, PIXELS_PER_SECOND * length), 20_000))


def _axis(scale: Scale, height: float) -> Markup:
    step = next((step for step in _STEPS if scale.seconds / step <= scale.width / 80), scale.seconds / 8)
    parts = []
    for number in range(int(scale.seconds / step) + 1):
        x = scale.place(number * step)
        parts.append(tag("line", x1=x, x2=x, y1=AXIS - 4, y2=height, class_="grid"))
        if scale.pixels(number * step) < scale.width - 40:
            parts.append(tag("text", _clock(number * step), x=x, y=12, dx=3, class_="tick"))
    return tag("g", *parts, aria_hidden="true")


def _clock(time: float) -> str:
    if time < 60 and time != int(time):
        return f"{time:.1f} s"
    return f"{int(time)} s" if time < 600 else f"{int(time) // 60}:{int(time) % 60:02}"


class _Lane:
    def __init__(self, number: int, machine: Machine, scale: Scale) -> None:
        self._number, self._machine, self._scale = number, machine, scale
        self._labels = slot_labels(machine)
        self._faults = [event for event in machine.events if event.kind in FAULTS]
        self._marks = MARKS if self._faults else 0
        self.height = HEAD + self._marks + ROW * len(self._labels)

    def names(self) -> Markup:
        """The column on the left, in the same heights."""
        rows = [tag("b", self._machine.name, class_="head", title=self._machine.name)]
        if self._marks:
            rows.append(tag("span", "faults", class_="marks"))
        rows += [tag("span", label or "slot unknown", class_="row", title=label or None) for label in self._labels]
        return tag("div", *rows, class_="lane")

    def draw(self, top: float) -> Markup:
        """All of the lane, from ``top`` on."""
        rows = top + HEAD + self._marks
        parts = [tag("rect", x=0, y=top, width="100%", height=self.height, class_="ground")]
        for at, label in enumerate(self._labels):
            y = rows + at * ROW
            parts.append(tag("line", x1=0, x2="100%", y1=y + BLOCK, y2=y + BLOCK, class_="rail"))
            parts += _attributes(self._machine, label, y + BLOCK + 15, self._scale)
            parts += [self._block(boot, y) for boot in self._machine.boots if boot.slot == label]
        scenes = [event for event in self._machine.events if event.kind == SCENE]
        parts += _words(scenes, top + 16, self._scale, "scene")
        parts += _words(self._faults, top + HEAD + 14, self._scale, "fault")
        parts += [self._strike(event, top + HEAD + 17, rows + ROW * len(self._labels) - 20) for event in self._faults]
        return tag("g", *parts)

    def _strike(self, event: Event, y1: float, y2: float) -> Markup:
        x = self._scale.place(event.at)
        return tag("line", x1=x, x2=x, y1=y1, y2=y2, class_="strike")

    def _block(self, boot: Boot, y: float) -> Markup:
        end = self._scale.seconds if boot.end is None else boot.end
        left, right = self._scale.part(boot.begin), self._scale.part(end)
        width = max(right - left, 0.0015)
        inside = [tag("rect", width="100%", height=BLOCK, class_=f"b {boot.outcome}")]
        if boot.outcome == HEALTHY and boot.up is not None:
            up = (self._scale.part(boot.up) - left) / width * 100
            inside = [
                tag("rect", width="100%", height=BLOCK, class_="b starting"),
                tag("rect", x=f"{up:.3f}%", width=f"{100 - up:.3f}%", height=BLOCK, class_="b healthy"),
                tag("line", x1=f"{up:.3f}%", x2=f"{up:.3f}%", y2=BLOCK, class_="up"),
            ]
        inside.append(_badge(boot, width * self._scale.width))
        block = tag("svg", *inside, x=f"{left * 100:.3f}%", y=y, width=f"{width * 100:.3f}%", height=BLOCK)
        if cut(boot):
            tear = tag("path", d=f"M-4 0l8 {BLOCK / 4}-8 {BLOCK / 4} 8 {BLOCK / 4}-8 {BLOCK / 4}", class_="tear")
            block = join(block, tag("svg", tear, x=f"{(left + width) * 100:.3f}%", y=y, class_="over"))
        words = headline(boot)
        return tag(
            "a",
            tag("title", f"{words}. {boot.reason}"),
            block,
            href=f"#m{self._number}b{boot.number}",
            aria_label=f"{self._machine.name}: {words}",
        )


def _badge(boot: Boot, pixels: float) -> Markup:
    """The number of the boot and the shape of its outcome, as much as there is room for."""
    text = str(boot.number)
    room = len(text) * _LETTER + 8
    parts = []
    if pixels >= room + 18:
        parts.append(tag("rect", x=3, y=3, width=room + 16, height=BLOCK - 6, rx=8, class_="badge"))
        parts.append(tag("use", href=f"#{boot.outcome}", x=6, y=5, width=12, height=12, class_=f"icon {boot.outcome}"))
        parts.append(tag("text", text, x=22, y=15, class_="number"))
    elif pixels >= 14:
        parts.append(tag("use", href=f"#{boot.outcome}", x=1, y=5, width=12, height=12, class_=f"icon {boot.outcome}"))
    return join(*parts)


def _words(events: Sequence[Event], y: float, scale: Scale, kind: str) -> Iterator[Markup]:
    """The texts of events on one line, each cut where the next one begins."""
    for at, event in enumerate(events):
        after = events[at + 1].at if at + 1 < len(events) else scale.seconds
        room = scale.part(after) - scale.part(event.at)
        text = [tag("title", f"{seconds(event.at)}: {event.text}")]
        if kind == "fault":
            name = "cut" if event.kind == "power cut" else "fault"
            text.append(tag("use", href=f"#{name}", x=0, y=2, width=12, height=12, class_=f"icon {name}"))
        else:
            text.append(tag("path", d="M0 0V18", class_="scene-edge"))
        text.append(tag("text", event.text, x=15 if kind == "fault" else 5, y=13, class_=kind))
        yield tag(
            "svg",
            *text,
            x=scale.place(event.at),
            y=y - 13,
            width=f"{max(room * 100 - 0.3, 0.1):.3f}%",
            height=18,
        )


def _attributes(machine: Machine, label: str, y: float, scale: Scale) -> Iterator[Markup]:
    """``P/T/S`` of a slot wherever it changes; where there is no room for the text, the shape alone."""
    former, free = "", -1.0
    for time, table in _readings(machine):
        found = next((slot.attributes for slot in table.slots if slot.label == label), "")
        if found == former or not found:
            continue
        x, former = scale.place(time), found
        place = scale.pixels(time)
        shape = tag("use", href="#change", x=-4, y=-9, width=8, height=8, class_="icon change")
        words = tag("title", f"{seconds(time)}: {label} {found}")
        last = place > scale.width - 60
        text = tag("text", found, x=-6 if last else 6, class_="bits", text_anchor="end" if last else None)
        wide = place >= free
        if wide:
            free = place + (len(found) + 2) * _LETTER
        yield tag("svg", words, shape, text if wide else "", x=x, y=y, class_="over")


def _readings(machine: Machine) -> list[tuple[float, Table]]:
    """When the disk was read and what stood there, in order."""
    found = [(event.at, event.table) for event in machine.events if event.table is not None]
    for boot in machine.boots:
        if boot.before is not None:
            found.append((boot.begin, boot.before))
        if boot.after is not None and boot.end is not None:
            found.append((boot.end, boot.after))
    return sorted(found, key=lambda reading: reading[0])


def legend() -> Markup:
    """What shapes, fillings and colours mean."""
    entries = [
        ("starting", "starting"),
        (HEALTHY, "healthy: up and marked good"),
        (FAILED, "failed"),
        ("unknown", "no greeting seen"),
    ]
    blocks = [
        tag(
            "li",
            tag("svg", tag("rect", width=26, height=14, class_=f"b {kind}"), width=26, height=14, aria_hidden="true"),
            words,
        )
        for kind, words in entries
    ]
    shapes = [
        tag(
            "li",
            tag("svg", tag("use", href=f"#{name}"), class_=f"icon {name}", viewBox="0 0 16 16", aria_hidden="true"),
            words,
        )
        for name, words in (
            ("cut", "power cut; the block is torn"),
            ("fault", "fault injected"),
            ("change", "priority/tries/successful changed"),
        )
    ]
    return tag("ul", *blocks, *shapes, class_="legend")
