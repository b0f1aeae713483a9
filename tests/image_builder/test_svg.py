"""The drawing for documents: XML that says what the table of the disk says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from gptlib import Disk
from image_builder.cli.main import main
from image_builder.show import examine
from image_builder.svg import draw_svg
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

SVG = "{http://www.w3.org/2000/svg}"
BAR_TOP = "64.0"


def drawn(image: Path) -> ET.Element:
    return ET.fromstring(draw_svg(examine(image)))  # noqa: S314


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def boxes(root: ET.Element) -> list[ET.Element]:
    """The boxes of the bar, from left to right."""
    return [rect for rect in root.iter(f"{SVG}rect") if rect.get("y") == BAR_TOP]


def kinds(root: ET.Element) -> list[str]:
    return [(box.get("class") or "").removeprefix("box ") for box in boxes(root)]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An ESP, 8 MiB free, two slots of which the second is the larger, and 21 MiB to the end."""
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    esp, slot = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
    table = [
        "-n",
        "1:1M:+4M",
        "-t",
        f"1:{esp}",
        "-n",
        "2:13M:+4M",
        "-t",
        f"2:{slot}",
        "-n",
        "3:17M:+26M",
        "-t",
        f"3:{slot}",
    ]
    run_tool("sgdisk", *table, "-c", "1:EFI", "-c", "2:USR-A", "-c", "3:USR-B", path)
    run_tool("cgpt", "add", "-i", "3", "-P", "2", "-T", "3", "-S", "1", path)
    return path


@pytest.mark.slow
def test_partitions_and_free_space_stand_in_the_order_of_the_disk(image: Path) -> None:
    root = drawn(image)
    assert kinds(root) == ["esp", "free", "slot", "slot", "free"]
    assert [line for line in texts(root) if line in {"1 EFI", "2 USR-A", "3 USR-B"}] == ["1 EFI", "2 USR-A", "3 USR-B"]
    assert texts(root).count("free") == 2
    for words in ("8 MiB", "21 MiB", "P/T/S 0/0/0", "P/T/S 2/3/1", "26 MiB", "coreos-usr"):
        assert words in texts(root)


def test_boxes_stand_side_by_side_within_the_drawing_and_a_larger_partition_is_wider(image: Path) -> None:
    root = drawn(image)
    places = [(float(box.get("x", "")), float(box.get("width", ""))) for box in boxes(root)]
    ends = [x + width for x, width in places]
    assert all(end < x for end, (x, _) in zip(ends, places[1:], strict=False))
    assert places[0][0] > 0
    assert ends[-1] < float(root.get("width", ""))
    assert places[3][1] > places[2][1]


def test_each_row_of_the_table_has_the_colour_of_its_box(image: Path) -> None:
    root = drawn(image)
    patches = [(r.get("class") or "").removeprefix("box ") for r in root.iter(f"{SVG}rect") if r.get("width") == "11.0"]
    assert patches == ["esp", "slot", "slot"]


def test_every_line_fits_where_it_stands(image: Path) -> None:
    with Disk.open(image, write=True) as disk:
        table = disk.table()
        disk.write(table.change(2, table.partition(2)._replace(name="狼" * 36)))
    root = drawn(image)
    box = boxes(root)[2]
    assert float(box.get("width", "")) >= 72 * 7.2
    assert float(root.get("width", "")) > 960


@pytest.mark.slow
@pytest.mark.parametrize("label", ["<script>&amp;</text>", "a\"b'c", "x\n\x1b[2J\ud800\ufffe\x00y"[:30]])
def test_a_label_is_shown_and_makes_no_elements(image: Path, label: str) -> None:
    with Disk.open(image, write=True) as disk:
        table = disk.table()
        disk.write(table.change(2, table.partition(2)._replace(name=label.replace("\0", ""))))
    plain = {element.tag for element in drawn(image).iter()}
    assert plain == {f"{SVG}{name}" for name in ("svg", "title", "style", "rect", "text", "line")}
    shown = [text for text in texts(drawn(image)) if text.startswith("2 ")]
    assert len(shown) == 1
    assert shown[0].isprintable()
    if label.isprintable():
        assert shown == [f"2 {label}"]


def test_what_is_wrong_is_said(slot_image: Callable[..., SlotImage]) -> None:
    damaged = slot_image((1, 0, 1))
    damaged.zero(1)
    root = drawn(damaged.path)
    assert [text for text in texts(root) if text.startswith("! error: primary: ")]
    lowest = max(float(element.get("y", "")) for element in root.iter(f"{SVG}text"))
    assert lowest < float(root.get("height", ""))


def test_an_empty_table_has_no_boxes(tmp_path: Path) -> None:
    path = tmp_path / "empty.img"
    with path.open("wb") as file:
        file.truncate(1 << 20)
    run_tool("sgdisk", "-o", path)
    root = drawn(path)
    assert boxes(root) == []
    assert "(no partitions)" in texts(root)


def test_light_and_dark_pages_have_each_their_colours(image: Path) -> None:
    style = drawn(image).findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("prefers-color-scheme: dark")
    for kind in ("slot", "esp", "other", "free", "paper", "soft"):
        assert f".{kind} {{" in light
        assert f".{kind} {{" in dark


def test_the_command_prints_it_and_nothing_else_whatever_the_locale(image: Path) -> None:
    result = CliRunner(charset="ascii").invoke(main, ["show", "--svg", str(image)])
    assert result.exit_code == 0
    assert result.stdout_bytes.decode() == draw_svg(examine(image))


def test_two_forms_at_once_are_a_wrong_usage(image: Path) -> None:
    assert CliRunner().invoke(main, ["show", "--svg", "--json", str(image)]).exit_code == 2
