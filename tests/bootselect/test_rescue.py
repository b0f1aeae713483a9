"""The ``bootselect`` of the rescue shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.errors import NotASlotError
from bootselect.initramfs import rescue
from bootselect.initramfs.disks import Candidate
from bootselect.slots import slot_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

USR = slot_type("coreos-usr")


def run(monkeypatch: pytest.MonkeyPatch, images: list[SlotImage], *words: str) -> tuple[int, list[str]]:
    found = [Candidate(str(image.path), removable=False, partuuids=frozenset()) for image in images]
    monkeypatch.setattr(rescue, "scan", lambda _: found)
    said: list[str] = []
    return rescue.run(words, USR, said.append), said


def test_status_names_every_slot(slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch) -> None:
    image = slot_image((1, 0, 0), (0, 0, 0))
    assert run(monkeypatch, [image], "status") == (0, [f"{image.path}: USR-A 1/0/0, USR-B 0/0/0"])


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


def test_anything_else_shows_the_two_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = run(monkeypatch, [], "help")
    assert code == 2
    assert "mark-good SLOT" in said[0]
