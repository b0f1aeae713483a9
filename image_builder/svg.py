"""Draws a disk as SVG, for documents: a bar of its partitions, a table of them, and what is wrong.

One file without scripts or fonts of its own; it is readable on light and on dark pages (``prefers-color-scheme``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import east_asian_width
from xml.etree import ElementTree as ET

from gptlib.printable import printable
from gptlib.table.attributes import short_form
from image_builder.definition.size import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from image_builder.show import ShownDisk, ShownPartition

_MIB = 1 << 20
_ESP = "esp"
_WIDTH, _MARGIN = 960, 24
_BAR_TOP, _BAR_HEIGHT, _GAP = 64, 96, 6
_ROW = 24
_COLUMN = 7.3
"""Width of a letter of 12 pixels in a font of equal widths, with a little to spare."""
_PADDING = 12
_HEADINGS = ("", "PART", "LABEL", "TYPE", "START", "SIZE", "P/T/S", "FLAGS")
_STYLE = """
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2328; direction: ltr; unicode-bidi: isolate; white-space: pre }
.paper { fill: #ffffff }
.name { font-size: 15px; font-weight: 600 }
.strong { font-weight: 600 }
.soft { fill: #59636e }
.problem { fill: #b42318 }
.line { stroke: #d0d7de }
.box { stroke-width: 1.5 }
.slot { fill: #dbeafe; stroke: #2563eb }
.esp { fill: #fef3c7; stroke: #b45309 }
.other { fill: #dcfce7; stroke: #15803d }
.free { fill: #f6f8fa; stroke: #8c959f; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .paper { fill: #0d1117 }
  .soft { fill: #9198a1 }
  .problem { fill: #ff8f85 }
  .line { stroke: #3d444d }
  .slot { fill: #12304f; stroke: #58a6ff }
  .esp { fill: #3d2c0a; stroke: #e3a008 }
  .other { fill: #11331c; stroke: #3fb950 }
  .free { fill: #151b23; stroke: #656c76 }
}
"""


@dataclass(frozen=True, slots=True)
class _Box:
    """A piece of the bar: ``kind`` is a class of the style, ``lines`` stand in it, ``about`` is shown by a pointer on it."""

    kind: str
    size: int
    lines: tuple[str, ...]
    about: str

    @property
    def least(self) -> float:
        """The width that the lines need, in pixels."""
        return max(_columns(line) for line in self.lines) * _COLUMN + 2 * _PADDING


def draw_svg(disk: ShownDisk) -> str:
    """The disk as an SVG document."""
    boxes = list(_boxes(disk))
    table = _table(disk)
    widths = [max((_columns(cell) for cell in column), default=0) * _COLUMN + 20 for column in zip(*table, strict=True)]
    problems = [f"! {printable(problem)}" for problem in disk.problems]
    head = f"{format_size(disk.size)}, sectors of {disk.sector_size} bytes, disk {disk.uuid}"
    inside = max(
        _WIDTH - 2 * _MARGIN,
        sum(box.least + _GAP for box in boxes),
        sum(widths),
        *(_columns(line) * _COLUMN for line in (head, *problems)),
        _columns(printable(disk.path)) * _COLUMN * 1.25,
    )
    width = math.ceil(inside + 2 * _MARGIN)
    table_top = _BAR_TOP + _BAR_HEIGHT + 36
    height = table_top + _ROW * (len(table) + len(problems)) + (12 if problems else 0)
    drawing = _Drawing(width, height, f"Partitions of {printable(disk.path)}")
    drawing.text(_MARGIN, 28, printable(disk.path), "name")
    drawing.text(_MARGIN, 48, head, "soft")
    drawing.bar(boxes, inside)
    drawing.table(table, widths, table_top, [box.kind for box in boxes if box.kind != "free"], inside)
    for row, problem in enumerate(problems):
        drawing.text(_MARGIN, table_top + _ROW * (len(table) + row) + 12, problem, "problem")
    return drawing.document()


def _boxes(disk: ShownDisk) -> Iterator[_Box]:
    """The partitions, and the free space between and behind them; not the pieces that tables and rounding leave."""
    at = 0
    for partition in disk.partitions:
        yield from _free(at, partition.start)
        title = f"{partition.number} {printable(partition.label)}".rstrip()
        lines = (
            title,
            partition.type,
            f"P/T/S {_pts(partition)}" if _pts(partition) else "",
            format_size(partition.size),
        )
        about = f"partition {title}: {partition.type}, {format_size(partition.size)} from byte {partition.start}"
        yield _Box(_kind(partition), partition.size, lines, about)
        at = partition.start + partition.size
    yield from _free(at, disk.size)


def _free(start: int, end: int) -> Iterator[_Box]:
    if end - start > _MIB:
        size = (end - start) // _MIB * _MIB
        yield _Box("free", size, ("free", "", "", format_size(size)), f"free: {end - start} bytes from byte {start}")


def _kind(partition: ShownPartition) -> str:
    if partition.priority is not None:
        return "slot"
    return "esp" if partition.type == _ESP else "other"


def _pts(partition: ShownPartition) -> str:
    if partition.priority is None:
        return ""
    return short_form(partition.priority, partition.tries or 0, partition.successful or 0)


def _table(disk: ShownDisk) -> list[tuple[str, ...]]:
    rows = [
        (
            "",
            str(partition.number),
            printable(partition.label),
            partition.type,
            format_size(partition.start),
            format_size(partition.size),
            _pts(partition),
            ", ".join(partition.flags),
        )
        for partition in disk.partitions
    ]
    return [_HEADINGS, *rows]


def _columns(text: str) -> int:
    """Letters of the scripts of East Asia are as wide as two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


class _Drawing:
    """The document while it grows."""

    def __init__(self, width: int, height: int, title: str) -> None:
        attributes = {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": f"{width}",
            "height": f"{height}",
            "role": "img",
        }
        self._root = ET.Element("svg", attributes)
        ET.SubElement(self._root, "title").text = title
        ET.SubElement(self._root, "style").text = _STYLE
        self._rect(self._root, "paper", 0, 0, width, height, 8)

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """A line whose letters stand on ``y``."""
        attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, **({"class": kind} if kind else {})}
        ET.SubElement(self._root, "text", attributes).text = text

    def bar(self, boxes: Sequence[_Box], room: float) -> None:
        """Boxes with their lines; what they do not need of ``room`` is shared out by the logarithms of their sizes."""
        if not boxes:
            self.text(_MARGIN, _BAR_TOP + 24, "(no partitions)", "soft")
            return
        spare = room - sum(box.least for box in boxes) - _GAP * (len(boxes) - 1)
        weights = [math.log2(2 + box.size / _MIB) for box in boxes]
        x = float(_MARGIN)
        for box, weight in zip(boxes, weights, strict=True):
            width = box.least + spare * weight / sum(weights)
            rect = self._rect(self._root, f"box {box.kind}", x, _BAR_TOP, width, _BAR_HEIGHT, 6)
            ET.SubElement(rect, "title").text = box.about
            for row, line in enumerate(box.lines):
                if line:
                    kind = "strong" if row == 0 else "soft" if row == 1 else ""
                    self.text(x + width / 2, _BAR_TOP + 26 + row * 19, line, kind, "middle")
            x += width + _GAP

    def table(
        self, rows: Sequence[Sequence[str]], widths: Sequence[float], top: int, kinds: Sequence[str], room: float
    ) -> None:
        """The rows, ``room`` wide, each but the first with a patch of the colour that its partition has in the bar."""
        for number, row in enumerate(rows):
            y = top + number * _ROW
            x = float(_MARGIN)
            for cell, width in zip(row, widths, strict=True):
                if cell:
                    self.text(x, y, cell, "soft" if number == 0 else "")
                x += width
            if number:
                self._rect(self._root, f"box {kinds[number - 1]}", _MARGIN, y - 10, 11, 11, 2)
                ends = {"x1": f"{_MARGIN}", "x2": f"{_MARGIN + room:.1f}", "y1": f"{y - 17}", "y2": f"{y - 17}"}
                ET.SubElement(self._root, "line", {**ends, "class": "line"})

    @staticmethod
    def _rect(
        parent: ET.Element, kind: str, x: float, y: float, width: float, height: float, radius: int
    ) -> ET.Element:
        places = {"x": x, "y": y, "width": width, "height": height, "rx": radius}
        return ET.SubElement(parent, "rect", {name: f"{place:.1f}" for name, place in places.items()} | {"class": kind})

    def document(self) -> str:
        """The text of the file."""
        ET.indent(self._root)
        return f"{ET.tostring(self._root, encoding='unicode')}\n"
