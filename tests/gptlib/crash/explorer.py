"""Every state that a power cut can leave of a recorded operation, and what the readers see in it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from gptlib import Disk, type_guid
from gptlib.table.priorities import next_root
from tests.gptlib.crash.coreos import Choice, coreos_next
from tests.gptlib.crash.grub import read_grub
from tests.gptlib.crash.recording import SECTOR, Sector
from tests.gptlib.readers import PEERS, View, expected, gptlib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

READERS: dict[str, Callable[[Path], View | Choice]] = {
    "gptlib": gptlib,
    **PEERS,
    "grub": read_grub,
    "coreos-next": coreos_next,
}
ALL_SUBSETS_UP_TO = 12
_SAMPLE, _QUICK_SAMPLE = 400, 8


def survivors(epoch: Sequence[Sector], *, seed: int, exhaustive: bool) -> Iterator[tuple[Sector, ...]]:
    """Which of the sectors between two flushes a power cut may have let through.

    Every subset of up to a dozen; of more, every prefix, every single loss, every single survivor, and a seeded sample of
    others, half of them torn runs. Not ``exhaustive``, it is every subset of up to half a dozen, else prefixes and samples.
    """
    if len(epoch) <= (ALL_SUBSETS_UP_TO if exhaustive else ALL_SUBSETS_UP_TO // 2):
        for count in range(len(epoch) + 1):
            yield from combinations(epoch, count)
        return
    for at in range(len(epoch) + 1):
        yield tuple(epoch[:at])
    chance = random.Random(seed)
    places = range(len(epoch))
    for at in places if exhaustive else chance.sample(places, _QUICK_SAMPLE // 2):
        yield (*epoch[:at], *epoch[at + 1 :])
        yield (epoch[at],)
    for _ in range(_SAMPLE if exhaustive else _QUICK_SAMPLE):
        first, last = sorted(chance.sample(range(len(epoch) + 1), 2))
        yield tuple(epoch[first:last])
        kept = chance.randint(0, len(epoch))
        yield tuple(sector for sector in epoch if chance.random() * len(epoch) < kept)


def crash_states(before: bytes, epochs: Sequence[Sequence[Sector]], *, exhaustive: bool) -> Iterator[bytes]:
    """The images that a power cut can leave, each once, the untouched and the finished one included."""
    seen: set[bytes] = set()
    base = bytearray(before)
    for number, epoch in enumerate(epochs):
        for subset in survivors(epoch, seed=number, exhaustive=exhaustive):
            state = bytearray(base)
            apply(state, subset)
            image = bytes(state)
            if image not in seen:
                seen.add(image)
                yield image
        apply(base, epoch)
    if not epochs:
        yield before


def apply(image: bytearray, sectors: Sequence[Sector]) -> None:
    for sector in sectors:
        image.extend(bytes(max((sector.lba + 1) * SECTOR - len(image), 0)))
        image[sector.lba * SECTOR : (sector.lba + 1) * SECTOR] = sector.data


@dataclass
class Exploration:
    """What was found: how many states, every view that is neither the old nor the new table, and who sees no table after all."""

    states: int = 0
    blind: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    blindness: list[str] = field(default_factory=list)
    """Those of the violations in which a reader sees no table."""


def explore(
    path: Path, before: bytes, epochs: Sequence[Sequence[Sector]], *, exhaustive: bool, undamaged: bytes | None = None
) -> Exploration:
    """Put every state in front of every reader. Allowed is what that reader saw before the operation, and after it.

    Where the disk was damaged before, a reader that could not make sense of it may see the ``undamaged`` table as well.
    """
    after = bytearray(before)
    for epoch in epochs:
        apply(after, epoch)
    images = {before, bytes(after), undamaged or before}
    allowed = {name: [view(name, path, image) for image in images] for name in READERS}
    for name, views in allowed.items():
        if views.count(None) == len(views):
            # Where it finds no table before and after, it may see what ours is in between.
            views += [expected_view(name, path, image) for image in images]
    found = Exploration(blind={name for name in READERS if view(name, path, bytes(after)) is None})
    for image in crash_states(before, epochs, exhaustive=exhaustive):
        found.states += 1
        for name in READERS:
            seen = view(name, path, image)
            if seen not in allowed[name]:
                violation = f"state {found.states}: {name} sees {seen}; allowed: {allowed[name]}"
                found.violations.append(violation)
                found.blindness += [violation] if seen is None else []
    return found


def view(name: str, path: Path, image: bytes) -> View | Choice:
    path.write_bytes(image)
    return READERS[name](path)


def expected_view(name: str, path: Path, image: bytes) -> View | Choice:
    """What a reader would see of the table that gptlib finds."""
    if name == "coreos-next":
        return _choice_of(path, image)
    path.write_bytes(image)
    seen = gptlib(path)
    return None if seen is None else expected(seen, name)


def _choice_of(path: Path, image: bytes) -> Choice | None:
    """What CoreOS's ``cgpt next`` would print for the table that gptlib finds."""
    path.write_bytes(image)
    with Disk.open(path) as disk:
        table = disk.examine().table
    if table is None:
        return None
    number = next_root(table, type_guid("coreos-usr"))
    return Choice(None if number is None else table.partition(number).unique_guid.text)
