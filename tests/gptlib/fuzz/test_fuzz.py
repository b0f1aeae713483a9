"""Odd and damaged disks, whatever they are: no traceback, no hang, nothing written that is not the table's, memory bounded."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlib import Disk, Table
from tests.gptlib import tables
from tests.gptlib.crash.test_crash import SLOTS
from tests.gptlib.fuzz.mutate import Image, mutate
from tests.gptlib.fuzz.operations import OPERATIONS, check, run
from tests.gptlib.fuzz.shapes import foreign_sectors, ground, shape
from tests.gptlib.tables import FULL, blank, examples
from tests.gptlib.verdict import READING, Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHARES = 16 if FULL else 2
IMAGES = 100_000 // SHARES if FULL else 150


def corpus(path: Path) -> Iterator[tuple[bytes, int]]:
    """Images with their sector sizes: made by several tools, with several sizes of sectors, arrays and entries."""
    for maker in (tables.make_with_cgpt, tables.make_with_sgdisk, tables.make_with_sfdisk):
        maker(path, SLOTS, 1200)
        yield path.read_bytes(), 512
    for sector_size, sectors, count, size in (
        (512, 2048, 128, 128),
        (512, 1200, 4, 128),
        (512, 1400, 32, 512),
        (4096, 160, 64, 128),
    ):
        table = Table.new(total_sectors=sectors, sector_size=sector_size, entry_count=count, entry_size=size)
        for number, partition in SLOTS.items():
            if number <= count and partition.last_lba <= table.last_usable_lba:
                table = table.add(partition, number)
        with Disk.open(blank(path, sectors * sector_size // 512), write=True) as disk:
            disk.create(table)
        yield path.read_bytes(), sector_size


class Seeds(list[tuple[bytes, int]]):
    """Images with their sector sizes."""

    def __repr__(self) -> str:
        return f"{len(self)} images"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """The corpus, with something in every sector that is not part of the GPT."""
    path = tmp_path_factory.mktemp("corpus") / "disk.img"
    return Seeds((filled(data, size), size) for data, size in corpus(path))


def filled(data: bytes, sector_size: int) -> bytes:
    image, pool = bytearray(data), foreign_sectors(sector_size)
    first = int.from_bytes(image[sector_size + 40 : sector_size + 48], "little")
    last = int.from_bytes(image[sector_size + 48 : sector_size + 56], "little")
    for lba in range(first, last + 1):
        image[lba * sector_size : (lba + 1) * sector_size] = pool[lba % len(pool)]
    return bytes(image)


def case_of(number: int, seeds: Seeds) -> Case:
    """An image by its number: a disk of an odd shape, or a seed that was damaged; one in ten is both."""
    chance = random.Random(number)
    made = shape(chance) if number % 2 else None
    data, size = (made.image(), made.size) if made else seeds[number // 2 % len(seeds)]
    if made is None or number % 10 == 1:
        image = Image(data, size)
        mutate(image, chance)
        data = bytes(image.data)
    return Case(data, size, ground(size, signature=made is not None and made.is_signed(data)))


def check_all(path: Path, case: Case, chance: random.Random) -> int:
    """Run every operation that may write, and a few that may not. Returns how many wrote."""
    reading = chance.sample([name for name in OPERATIONS if OPERATIONS[name].kind == READING], 3)
    wrote = 0
    for name, operation in OPERATIONS.items():
        if operation.kind != READING or name in reading:
            try:
                wrote += check(path, case, operation, chance)
            except Exception as error:
                error.add_note(f"by {name}")
                raise
    return wrote


@pytest.fixture
def path(ram: Path, seeds: Seeds) -> Path:
    """What the commands take for the disk, with a dump beside it."""
    path = ram / "disk.img"
    path.write_bytes(seeds[0][0])
    ran = run(["gptctl", "dump", str(path)])
    path.with_name("table.dump").write_text(ran.out)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_no_operation_writes_what_is_not_the_tables(
    path: Path, seeds: Seeds, record_property: Callable[[str, object], None], share: int
) -> None:
    usable = wrote = 0
    for number in range(share * IMAGES, (share + 1) * IMAGES):
        case = case_of(number, seeds)
        usable += case.layout is not None
        try:
            wrote += check_all(path, case, random.Random(number))
        except Exception as error:
            error.add_note(f"image {number} of the seeded corpus")
            raise
    record_property(
        "counted",
        f"{IMAGES} images (share {share + 1} of {SHARES}), {usable} with a table that can be used, {wrote} writes of "
        f"{len(OPERATIONS)} operations",
    )


@examples(30)
@given(number=st.integers(min_value=1 << 32, max_value=1 << 64))
def test_no_operation_writes_what_is_not_the_tables_on_any_image(path: Path, seeds: Seeds, number: int) -> None:
    check_all(path, case_of(number, seeds), random.Random(number))


@examples(30)
@given(data=st.binary(max_size=3000), repeat=st.integers(1, 40))
def test_noise_is_refused(path: Path, data: bytes, repeat: int) -> None:
    check_all(path, Case(data * repeat, 512, ground(512)), random.Random(0))


def test_a_header_that_claims_four_billion_entries_takes_no_memory(ram: Path) -> None:
    path = ram / "disk.img"
    tables.make_with_cgpt(path, SLOTS)
    image = Image(path.read_bytes(), 512)
    for at in image.headers:
        image.put(at + 80, b"\xff\xff\xff\xff")
        image.sign(at)
    path.write_bytes(image.data)
    limit = 256 << 20
    result = subprocess.run(
        [sys.executable, "-m", "gptlib.cli.main", "show", str(path)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "4294967295 entries of 128 bytes are not plausible" in result.stderr
