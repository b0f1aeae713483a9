"""Drawing disks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from gptlib import Disk
from image_builder.cli.main import main
from image_builder.show import draw, examine, without_boxes
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage


def bar(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("┌", "│", "└"))]


def empty_disk(folder: Path, mebibytes: int) -> Path:
    image = folder / "empty.img"
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    run_tool("cgpt", "create", image)
    return image


def test_the_boxes_fill_the_width_and_line_up(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    for width in (60, 100, 200):
        rows = bar(draw(examine(image.path), width))
        assert len(rows) == 5
        assert len({len(row) for row in rows}) == 1
        assert width - 4 <= len(rows[0]) <= width
        edges = {tuple(place for place, character in enumerate(row) if character in "┌┬┐│└┴┘") for row in rows}
        assert len(edges) == 1


def test_a_narrow_terminal_still_shows_every_word(slot_image: Callable[..., SlotImage]) -> None:
    text = "\n".join(bar(draw(examine(slot_image((1, 0, 1), (2, 3, 0)).path), 5)))
    assert all(word in text for word in ("3 USR-A", "4 USR-B", "1/0/1", "2/3/0", "1 MiB"))


def test_what_is_free_at_the_end_is_drawn(tmp_path: Path) -> None:
    image = empty_disk(tmp_path, 64)
    run_tool("cgpt", "add", "-i", "1", "-b", "2048", "-s", "32768", "-t", "data", "-l", "DATA", image)
    drawn = bar(draw(examine(image), 80))
    assert "free" in drawn[1]
    assert "47 MiB" in drawn[3]


def test_partitions_are_drawn_in_the_order_of_their_places(tmp_path: Path) -> None:
    image = empty_disk(tmp_path, 8)
    for number, start in (("7", "8192"), ("9", "2048")):
        run_tool("cgpt", "add", "-i", number, "-b", start, "-s", "2048", "-t", "data", image)
    assert [partition.number for partition in examine(image).partitions] == [9, 7]


def test_an_empty_table_and_a_damaged_one_are_drawn_too(slot_image: Callable[..., SlotImage], tmp_path: Path) -> None:
    assert "(no partitions)" in draw(examine(empty_disk(tmp_path, 8)), 80)
    damaged = slot_image((1, 0, 1))
    damaged.zero(1)
    text = draw(examine(damaged.path), 80)
    assert "3 USR-A" in text
    assert "! error: primary: " in text


def test_attributes_are_words(tmp_path: Path) -> None:
    image = empty_disk(tmp_path, 8)
    bits = [word for bit in (0, 2, 59, 60, 63) for word in ("-A", f"1:set:{bit}")]
    run_tool("sgdisk", "-n", "1:2048:+1M", *bits, image)
    assert examine(image).partitions[0].flags == ("required", "legacy-boot", "grow", "read-only", "no-auto")


def test_a_label_fakes_no_line_and_stays_itself_in_json(slot_image: Callable[..., SlotImage]) -> None:
    label = "x\n4  USR-B\x1b[2J\ud800"
    image = slot_image((1, 0, 1), (2, 3, 0))
    plain = draw(examine(image.path), 120)
    with Disk.open(image.path, write=True) as disk:
        table = disk.table()
        disk.write(table.change(3, table.partition(3)._replace(name=label)))
    text = draw(examine(image.path), 120)
    assert text.count("\n") == plain.count("\n")
    assert all(line.isprintable() for line in text.split("\n"))
    assert r"x\n4  USR-B\x1b[2J\ud800" in text
    shown = CliRunner().invoke(main, ["show", str(image.path), "--json"])
    assert json.loads(shown.stdout)["partitions"][0]["label"] == label
    assert CliRunner().invoke(main, ["show", str(image.path)]).exit_code == 0


def test_the_drawing_can_do_without_boxes(slot_image: Callable[..., SlotImage]) -> None:
    text = without_boxes(draw(examine(slot_image((1, 0, 1)).path), 80))
    assert text.isascii()
    assert "+--" in text
