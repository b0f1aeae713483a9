"""The proof is no proof if it cannot fail: each part of the rule is taken out once, and the fuzzer must notice."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

import gptlib.write.plan
from gptlib.read.findings import ERROR
from tests.gptlib.fuzz.operations import OPERATIONS, check
from tests.gptlib.fuzz.shapes import ground, shape
from tests.gptlib.verdict import Case

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib.read.state import State
    from gptlib.table.table import Table
    from gptlib.write.plan import Region

IMAGES = 1000


def nothing(*_: object, **__: object) -> None:
    """Checks nothing, finds nothing."""


def in_the_usual_order(path: str, state: State, old: Table, new: Table, left_alone: set[str]) -> list[list[Region]]:
    del path, state, old
    return gptlib.write.plan.copy_regions(new, left_alone)


def never_left_alone(state: State, *, moved: bool) -> set[str]:
    del state, moved
    return set()


class Mutant(NamedTuple):
    """What is taken out, and the operation that then does harm."""

    replaced: tuple[tuple[str, object], ...]
    operation: str
    notice: str


MUTANTS = {
    "places are not checked": Mutant(
        (("gptlib.write.table.check_places", nothing), ("gptlib.write.table.check_writes", nothing)),
        "gptctl next",
        "partition",
    ),
    "the first of both checks of places is missing": Mutant(
        (("gptlib.write.table.check_places", nothing),), "gptctl next", "outside of the disk|no table"
    ),
    "partitions are not looked at": Mutant(
        (("gptlib.write.placement.in_partition", nothing),), "gptctl next", "partition"
    ),
    "nothing is foreign": Mutant((("gptlib.read.occupied.foreign_sector", nothing),), "gptctl next", "not the table's"),
    "repair does not ask what is foreign": Mutant(
        (("gptlib.write.table._occupied", never_left_alone),), "gptctl repair", "not the table's"
    ),
    "nothing ends a disk": Mutant(
        (("gptlib.read.signatures.signature_at_end", lambda *_: ""),), "gptctl next", "not the table's"
    ),
    "an array among the partitions is no array": Mutant(
        (("gptlib.read.validation.WARNING", ERROR),), "gptctl next", "not the table's"
    ),
    "the only copy is written as one of two": Mutant(
        (("gptlib.write.salvage.plan_salvage", in_the_usual_order),), "gptctl add -i N -P 3 -T 7", "no table, torn"
    ),
    "the place of a lost copy is written even where it has none": Mutant(
        (("gptlib.write.salvage._without_place", lambda *_: []),), "gptctl add -i N -t unused", "partition"
    ),
    "whatever is called a header is wiped": Mutant(
        (("gptlib.write.stale_headers.is_intact", lambda *_: True),), "gptctl create -p 16", "not the table's"
    ),
    "ChromeOS's modes do not ask what is foreign": Mutant(
        (("gptlib.write.legacy.occupied_places", lambda *_, **__: ()),), "gptctl legacy -e", "not the table's"
    ),
    "erasing does not ask what is foreign": Mutant(
        (("gptlib.read.state._occupied", lambda *_: ()),), "gptctl create -z", "not the table's"
    ),
    "the backup of a cut-off disk is put anywhere": Mutant(
        (("gptlib.read.occupied._reaching", lambda table, _: table),), "gptctl next", "not the table's"
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_fuzzer_notices_what_is_taken_out(ram: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    mutant, path = MUTANTS[name], ram / "disk.img"
    path.touch()
    for target, value in mutant.replaced:
        monkeypatch.setattr(target, value)
    number, violation = first_violation(path, mutant.operation)
    assert number >= 0, f"nothing is noticed on {IMAGES} disks"
    assert re.search(mutant.notice, violation)


def first_violation(path: Path, operation: str) -> tuple[int, str]:
    """The number of the first disk on which the operation breaks the rule, and how; -1 where none does."""
    for number in range(IMAGES):
        made = shape(random.Random(number))
        data = made.image()
        case = Case(data, made.size, ground(made.size, signature=made.is_signed(data)))
        try:
            check(path, case, OPERATIONS[operation], random.Random(number))
        except AssertionError as violation:
            return number, str(violation)
    return -1, ""
