"""The facts of a machine are those of its table, as cgpt's bits say, its boot and its os-release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.errors import ActiveUnknownError
from bootselect.policy import GPTPRIO
from bootselect.slot_disk import SlotDisk
from bootselect.slots import slot_type
from update_agent.state.facts import BOOT_ID, boot_facts, version_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

USR = slot_type("coreos-usr")


def disk_running(image: SlotImage, number: int | None) -> SlotDisk:
    found = SlotDisk(str(image.path), USR)
    vars(found)["running"] = () if number is None else (number,)
    return found


def test_the_facts_are_those_of_the_disk_the_boot_and_the_system(
    slot_image: Callable[..., SlotImage], tmp_path: Path
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    (tmp_path / "boot_id").write_text("b0070000-0000-4000-8000-000000000001\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME=Demo\nVERSION="1.1"\n')
    found = boot_facts(disk_running(image, 3), GPTPRIO, root=tmp_path, boot_id=tmp_path / "boot_id")
    first, second = image.partuuid(3), image.partuuid(4)
    assert found.boot_id == "b0070000-0000-4000-8000-000000000001"
    assert (found.running, found.next) == (first, second)
    assert {slot: attributes.short for slot, attributes in found.slots.items()} == {first: "1/0/1", second: "2/3/0"}
    assert found.versions == {first: "1.1"}


def test_nothing_boots_next_where_nothing_is_bootable(slot_image: Callable[..., SlotImage], tmp_path: Path) -> None:
    image = slot_image((1, 0, 0), (0, 0, 0))
    found = boot_facts(disk_running(image, 3), GPTPRIO, root=tmp_path)
    assert found.next is None
    assert found.boot_id == BOOT_ID.read_text().strip()


@pytest.mark.parametrize("number", [None, 1])
def test_a_system_from_elsewhere_has_no_facts(slot_image: Callable[..., SlotImage], number: int | None) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    with pytest.raises(ActiveUnknownError):
        boot_facts(disk_running(image, number), GPTPRIO)


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, "unknown"),
        ({"etc/os-release": "ID=debian\n"}, "unknown"),
        ({"etc/os-release": "VERSION_ID=12\nVERSION='12 (bookworm)'\n"}, "12 (bookworm)"),
        ({"etc/os-release": "VERSION_ID=12\nIMAGE_VERSION=2026.11\n"}, "2026.11"),
        ({"usr/lib/os-release": "VERSION_ID=12\n"}, "12"),
        ({"etc/os-release": "VERSION_ID=1\n", "usr/lib/os-release": "VERSION_ID=2\n"}, "1"),
    ],
)
def test_a_system_calls_itself_as_the_selector_shows_it(tmp_path: Path, files: dict[str, str], version: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert version_of(tmp_path) == version
