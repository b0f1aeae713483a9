"""Holds what was written on a disk to the rule: to the sectors that ``oracle`` gives to the table, at every moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.gptlib.oracle import Ground, Rule, Write, changed_sectors, copies, inside, layout_of, stale_headers

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

READING, AUTOMATIC, LEGACY, FORCED, ASKED, ERASING, MBR = (
    *("reading", "automatic", "legacy", "forced", "asked", "erasing", "mbr"),
)
"""Kinds of operations: what each of them may do is told apart in ``check_writes``."""
_BOOT_CODE = 440


class Case:
    """A disk before an operation: its bytes, its size of sectors, and what only its maker knows."""

    def __init__(self, image: bytes, size: int, ground: Ground, *, exact: bool = False) -> None:
        self.image, self.ground = image, ground
        self.layout = layout_of(image, size)
        if self.layout is None and not exact:
            # Nobody can know then what its sectors were: by what is left of another table, or 512.
            size = 4096 if stale_headers(image, 512) else 512
            self.layout = layout_of(image, size)
        self.size = size

    def rule(self, *, forced: bool = False, unmarked: bool = False) -> Rule:
        return Rule(self.image, self.size, self.ground, forced=forced, unmarked=unmarked)


def check_writes(case: Case, kind: str, writes: Sequence[Write], after: bytes) -> None:
    """No sector changes, for however short a time, but those that the rule gives to the table."""
    if case.size != 512 and (kind == ASKED or case.layout is None):
        # On an image file these make a table for sectors of 512 bytes, whatever there was.
        case = Case(case.image, 512, case.ground, exact=True)
    size = case.size
    changed = changed_sectors(case.image, writes, size) - {0}
    _check_block_0(case, kind, writes)
    new = layout_of(after, size)
    if kind == MBR:
        allowed = set()
    elif kind == ERASING:
        allowed = _erasable(case)
        assert case.layout is None or not inside(changed, case.layout.entries), "a partition was written over"
    else:
        allowed = case.rule(forced=kind == FORCED, unmarked=kind == LEGACY).sectors() | stale_headers(case.image, size)
        assert new is not None, "there is no table any more"
        assert not inside(changed, new.entries), "a partition was written over"
        if kind == ASKED:
            written = [copy.header for copy in (new.primary, new.backup) if copy.header]
            allowed.update(lba for header in written for lba in (header.lba, *header.array(size)))
    assert not changed - allowed, f"sectors that are not the table's: {sorted(changed - allowed)}"


def _check_block_0(case: Case, kind: str, writes: Sequence[Write]) -> None:
    before, size = case.image, case.size
    for offset, data in writes:
        if offset < size:
            assert kind == MBR or data[:_BOOT_CODE] == before[:_BOOT_CODE], "the boot code was changed"
            stale = 0 in stale_headers(before, size) and not any(data[512:1024])
            assert stale or data[512:size] == before[512:size], "block 0 was changed behind the MBR"


def _erasable(case: Case) -> set[int]:
    """Whatever claims to be a header where one can be, and the arrays by the same rule as for any write."""
    if case.layout is not None:
        return _claims(case.image, case.size) | case.rule().sectors()
    # Nobody can know what the sectors of this image were.
    large = _claims(case.image, 4096)
    return _claims(case.image, 512) | {8 * lba + at for lba in large for at in range(8)}


def _claims(image: bytes, size: int) -> set[int]:
    primary, backup = copies(image, size)
    found = {lba for lba in (1, backup.lba) if image[lba * size : lba * size + 8] in {b"EFI PART", b"CHROMEOS"}}
    arrays = [copy.header.array(size) for copy in (primary, backup) if copy.header and copy.array is not None]
    return found.union(*arrays)


def check_moments(case: Case, epochs: Sequence[Sequence[Write]], after: bytes, chance: random.Random) -> None:
    """At no moment is there another table than the old or the new one, or none, or one with a partition written over."""
    assert case.layout is not None
    new = layout_of(after, case.size)
    assert new is not None, "there is no table any more"
    allowed = [case.layout.entries, new.entries]
    size, moment = case.size, bytearray(case.image)
    sectors: set[int] = set()
    # A copy that is complete is one, whatever partition has it inside.
    whole = [copy.header for copy in copies(case.image, size) if copy.array and copy.header]
    held = {lba for header in whole for lba in (header.lba, *header.array(size))}
    # Where half of the only array is not enough for the entries, a partition in the way can be given up only while it is read.
    strict = bool(whole) and max(case.layout.entries, default=0) <= whole[0].number // 2 - size // 128
    for number, epoch in enumerate(epochs):
        writes = [Write(o + at, d[at : at + size]) for o, d in epoch for at in range(0, len(d), size)]
        for kept, when in ((chance.sample(writes, chance.randint(0, len(writes))), "torn in"), (writes, "after")):
            state = bytearray(moment)
            for offset, data in kept:
                state[offset : offset + len(data)] = data
            sectors |= changed_sectors(case.image, kept, size)
            found = layout_of(bytes(state), size)
            assert found is not None, f"no table, {when} epoch {number}"
            assert found.entries in allowed, f"another table, {when} epoch {number}"
            looked_at = sectors - held if strict or found.entries == new.entries else set()
            taken = [lba for lba in inside(looked_at, found.entries) if _differ(bytes(state), case.image, lba, size)]
            assert not taken, f"sectors {taken} of a partition are written over, {when} epoch {number}"
        moment = state


def _differ(one: bytes, other: bytes, lba: int, size: int) -> bool:
    return one[lba * size : (lba + 1) * size] != other[lba * size : (lba + 1) * size]


def check_repaired(case: Case, after: bytes) -> None:
    """Both copies are complete, and the backup is where everybody looks unless a signature ends the disk."""
    layout = layout_of(after, case.size)
    assert layout is not None
    assert all(copy.array is not None or copy.ignored for copy in (layout.primary, layout.backup)), "not repaired"
    assert case.ground.signature or layout.backup.ignored or layout.backup_lba == len(after) // case.size - 1
