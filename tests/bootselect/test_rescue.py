"""The ``bootselect`` of the rescue shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.errors import NotASlotError
from bootselect.initramfs import rescue
from bootselect.initramfs.disks import Candidate
from bootselect.slots import slot_type
from gptlib import Disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

USR = slot_type("coreos-usr")


def run(monkeypatch: pytest.MonkeyPatch, images: list[SlotImage], *words: str) -> tuple[int, list[str]]:
    found = [Candidate(str(image.path), removable=False, slots=frozenset(), partuuids=frozenset()) for image in images]

    def scan(_: object, passed_over: dict[str, str]) -> list[Candidate]:
        passed_over["/dev/sdz"] = "it is\x1b[2J odd"
        return found

    monkeypatch.setattr(rescue, "scan", scan)
    said: list[str] = []
    return rescue.run(words, USR, said.append), said


def test_status_names_every_slot(slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch) -> None:
    image = slot_image((1, 0, 0), (0, 0, 0))
    assert run(monkeypatch, [image], "status") == (
        0,
        [f"{image.path}: USR-A 1/0/0, USR-B 0/0/0", r"/dev/sdz: not used: it is\x1b[2J odd"],
    )


def test_mark_good_makes_a_slot_boot_from_now_on(
    slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = slot_image((3, 0, 0), (0, 0, 0))
    assert run(monkeypatch, [image], "mark-good", "USR-B")[0] == 0
    assert image.attributes() == [(1, 0, 0), (2, 0, 1)]
    assert "No problems found" in image.verify()


def test_with_two_disks_nothing_is_guessed(
    slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [slot_image((1, 0, 0), name="one"), slot_image((1, 0, 0), name="two")]
    with pytest.raises(NotASlotError, match="on more than one disk"):
        run(monkeypatch, images, "mark-good", "USR-A")
    assert [image.attributes() for image in images] == [[(1, 0, 0)], [(1, 0, 0)]]


def test_a_label_fakes_no_line(slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch) -> None:
    image = slot_image((1, 0, 0))
    with Disk.open(image.path, write=True) as disk:
        table = disk.table()
        disk.write(table.change(3, table.partition(3)._replace(name="x\n/dev/sdb: USR-A 1/0/1\ud800")))
    assert run(monkeypatch, [image], "status")[1][0] == rf"{image.path}: x\n/dev/sdb: USR-A 1/0/1\ud800 1/0/0"
    assert run(monkeypatch, [image], "mark-good", "3")[1] == [rf"{image.path}: x\n/dev/sdb: USR-A 1/0/1\ud800 1/0/1"]


@pytest.mark.parametrize(
    "fault",
    [
        "raise MemoryError",
        "raise RecursionError('too deep')",
        "import no_such_module",
        "raise KeyboardInterrupt",
        "return passed_over.update(sda='cannot be shown') or []",
    ],
)
def test_whatever_goes_wrong_is_one_line(fault: str) -> None:
    program = (
        "import sys; from bootselect.initramfs import rescue\n"
        f"def scan(type_guid, passed_over):\n    {fault}\n"
        "rescue.scan = scan; sys.argv = ['bootselect', 'status']; rescue.main()"
    )
    with Path("/dev/full").open("w") as out:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("bootselect: ")
    assert "Traceback" not in done.stderr


def test_anything_else_shows_the_two_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run(monkeypatch, [], "help")
    assert code == 2
    assert "mark-good SLOT" in said[0]
