"""The states that are chosen to be booted: some of each kind, and the image is the state."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gptlib import Disk
from qemu_tests.harness.disk.losses import NothingLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.replay.chosen import DROPPED, PREFIX, SLOT, TABLE, choose
from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.places import places_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage


def test_there_are_some_of_each_kind_and_the_image_is_the_state(
    slot_image: Callable[..., SlotImage], tmp_path: Path
) -> None:
    image = slot_image((2, 0, 1), (1, 0, 1)).path
    with Disk.open(image) as opened:
        slot = opened.table().partition(4).first_lba * 512
    disk = MachineDisk(image, tmp_path)
    session = disk.power_on()
    session.write(1024, b"t" * 2048)
    session.flush()
    for at in range(4):
        session.write(slot + at * 4096, bytes([at + 1]) * 4096)
    disk.power_off(NothingLost())
    recording, places = disk.recording(), places_of(image)
    chosen = choose(recording, places, Sample(), 12)
    assert Counter(each.kind for each in chosen) == {PREFIX: 3, DROPPED: 3, TABLE: 3, SLOT: 3}
    assert choose(recording, places, Sample(), 12) == chosen
    assert choose(recording, places, Sample(), 12, seed=2) != chosen
    for each in chosen:
        built = each.rebuild(recording, tmp_path / "state.raw").read_bytes()
        expected = bytearray(image.read_bytes())
        if each.crash.epoch.number == 2:
            expected[1024:3072] = b"t" * 2048
        for piece in each.crash.pieces:
            at = piece.write.offset + piece.start
            expected[at : at + piece.length] = disk.log.data(piece.write)[piece.start :][: piece.length]
        assert built == expected, str(each)
