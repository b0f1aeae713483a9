"""The power fails again and again while one update from the network is installed and armed, and the machine goes on each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.faults import CutAt
from qemu_tests.harness.disk.losses import AllLost, SomeLost
from qemu_tests.harness.disk.overlay import SECTOR
from qemu_tests.story import timeline as kinds
from qemu_tests.story.network.scenes import INSTALL, comes_up, history, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qemu_tests.harness.disk.losses import Loss
    from qemu_tests.replay.places import Place
    from qemu_tests.story.network.pipeline import Pipeline
    from qemu_tests.story.stage import Stage

_ENTRIES = SECTOR // 128
"""Of a table in a sector."""
OUT_OF_USE, TRIED = {"USR-A": "1/0/1", "USR-B": "0/0/0"}, {"USR-A": "1/0/1", "USR-B": "2/1/0"}


@dataclass(frozen=True)
class Cut:
    """The power fails instead of writing ``sector`` the first time; ``slots`` are what all readers find then."""

    when: str
    sector: int
    slots: dict[str, str]
    loss: Loss


def cuts(place: Place, size: int, disk: int) -> Sequence[Cut]:
    """Moments of the installation of ``size`` bytes into a slot, in their order, on a disk of ``disk`` bytes.

    The slot is out of use from the beginning, so that the first write to each part of the table is that of arming it.
    """
    first, last, entry = place.offset // SECTOR, disk // SECTOR - 1, (place.number - 1) // _ENTRIES
    return [
        Cut("the slot is cleared and nothing is written", first, OUT_OF_USE, AllLost()),
        Cut("60 % of it is written", first + size * 6 // 10 // SECTOR, OUT_OF_USE, SomeLost(14)),
        Cut("all is written and read back, nothing is armed", last - 32 + entry, OUT_OF_USE, AllLost()),
        Cut("the backup of the table is armed", 1, OUT_OF_USE, AllLost()),
        Cut("the primary header is written, its entries are not", 2 + entry, TRIED, AllLost()),
    ]


def cut_off_again_and_again(stage: Stage, pipeline: Pipeline, place: Place, moments: Sequence[Cut]) -> None:
    """On a disk with version 1.0, and 1.1 published: it is in at the end, and nobody helped. Raises StoryError."""
    stage.tell(kinds.SCENE, "the power fails again and again while version 1.1 is installed and armed")
    reason = "power on"
    for cut in moments:
        stage.boot(reason, faults=[CutAt(cut.sector)])
        stage.machine.wait_for_freeze(INSTALL)
        stage.machine.power_cut(cut.loss)
        stage.tell(kinds.CUT, cut.when)
        stage.disk(cut.slots, cut.when, torn=True)
        reason = "power is back"
    (blob,) = (pipeline.web.folder / "blobs").glob("*.frames")
    fetched = pipeline.web.sent[f"blobs/{blob.name}"] / blob.stat().st_size
    stage.check("bytes fetched, as a part of the update, are at most", True, fetched < 1.5)
    stage.boot(reason)
    comes_up(stage, "1.1", f"/dev/vda{place.number}")
    until(stage, "history.jsonl", '"proved".*"1.1"')
    stage.disk({"USR-A": "1/0/1", "USR-B": "2/0/1"}, "marked good, and nobody helped")
    stage.check("the last of the history", ("proved", "1.1"), history(stage)[-1])
    stage.tell(
        kinds.UP, f"{len(moments)} power cuts, and {fetched:.2f} times the bytes of version 1.1 were sent in all"
    )
