"""Damaged images, whatever they are: no traceback, no hang, nothing written outside the GPT, memory bounded."""

from __future__ import annotations

import io
import random
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlib import Disk, Table
from gptlib.cli.main import main
from gptlib.device import FileDevice
from gptlib.table import MAX_ARRAY_BYTES
from tests.gptlib import tables
from tests.gptlib.crash.test_crash import SLOTS
from tests.gptlib.fuzz.mutate import Image, mutate
from tests.gptlib.tables import FULL, blank, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMMANDS = (["show"], ["show", "-v"], ["show", "-d"], ["verify"], ["show", "--json"], ["dump"], ["next"], ["repair"])
CHANGING = ("next", "repair")
SHARES = 16 if FULL else 2
IMAGES = 100_000 // SHARES if FULL else 250
READS_PER_RUN = 60


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


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, int]]:
    """The corpus, with something in every sector that is not part of the GPT."""
    path = tmp_path_factory.mktemp("corpus") / "disk.img"
    return [(filled(data, size), size) for data, size in corpus(path)]


def filled(data: bytes, sector_size: int) -> bytes:
    image = bytearray(data)
    first = int.from_bytes(image[sector_size + 40 : sector_size + 48], "little") * sector_size
    last = int.from_bytes(image[sector_size + 48 : sector_size + 56], "little") * sector_size
    for at in range(first, last, 512):
        image[at : at + 8] = at.to_bytes(8, "little")
    return bytes(image)


class Counted:
    """How often a command reads."""

    reads = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted, read = Counted(), FileDevice.read

    def counting(self: FileDevice, offset: int, length: int) -> bytes:
        assert length <= MAX_ARRAY_BYTES
        counted.reads += 1
        return read(self, offset, length)

    monkeypatch.setattr(FileDevice, "read", counting)
    return counted


def run(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        code = main(words)
    out.flush()
    return code, out.buffer.getvalue().decode(), err.getvalue()


def check_survived(path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch, counted: Counted) -> bool:
    """Run every command on one image. Returns whether it holds a table that can be used."""
    usable, after = False, None
    for words in COMMANDS:
        if after != data:
            path.write_bytes(data)
        before = table_of(path)
        counted.reads = 0
        code, out, err = run(monkeypatch, [*words, str(path)])
        assert code in {0, 1}
        assert counted.reads <= READS_PER_RUN
        assert (before is not None) or code == 1
        if words[0] not in {"show", "verify", "dump"} and code == 1:
            assert err.startswith("ERROR: ")
            assert err.count("\n") == 1
        after = path.read_bytes()
        if words[0] not in CHANGING or code == 1:
            assert after == data
        elif before is not None:
            assert_only_the_table_changed(path, before, data, after)
        if words == ["repair"] and code == 0:
            assert_repaired(path)
        usable |= bool(out) and code == 0
    return usable


def table_of(path: Path) -> Table | None:
    with Disk.open(path) as disk:
        return disk.examine().table


def assert_only_the_table_changed(path: Path, table: Table, before: bytes, after: bytes) -> None:
    """Every sector is as it was that belongs to no header or array, by the table before or after; so are 440 of boot code."""
    new = table_of(path)
    assert new is not None
    assert len(before) == len(after)
    assert before[:440] == after[:440]
    size, own = table.sector_size, {0, 1}
    for one in (table, new):
        for first in (one.primary_entries_lba, one.backup_entries_lba):
            own.update(range(first, first + one.entries_sectors))
        own.add(one.backup_lba)
    start = 0
    # A lost copy whose place the other one gives wrongly may have none at all, before the first sector.
    for lba in (*sorted(lba for lba in own if lba >= 0), len(before)):
        assert before[start : lba * size] == after[start : lba * size]
        start = (lba + 1) * size
    start, end = new.first_usable_lba * size, (min(table.last_usable_lba, new.last_usable_lba) + 1) * size
    assert before[start:end] == after[start:end]


def assert_repaired(path: Path) -> None:
    with Disk.open(path) as disk:
        state = disk.read()
    assert all(copy.valid or copy.ignored for copy in (state.primary, state.backup))
    assert not [finding for finding in state.findings if finding.code in {"copies-differ", "backup-not-at-end"}]


@pytest.mark.parametrize("share", range(SHARES))
def test_seeded_damage_is_survived(
    ram: Path,
    seeds: list[tuple[bytes, int]],
    monkeypatch: pytest.MonkeyPatch,
    counted: Counted,
    record_property: Callable[[str, object], None],
    share: int,
) -> None:
    usable = 0
    for number in range(share * IMAGES, (share + 1) * IMAGES):
        chance = random.Random(number)
        image = Image(*seeds[number % len(seeds)])
        mutate(image, chance)
        try:
            usable += check_survived(ram / "disk.img", bytes(image.data), monkeypatch, counted)
        except Exception as error:
            error.add_note(f"image {number} of the seeded corpus")
            raise
    record_property(
        "counted",
        f"{IMAGES} damaged images (share {share + 1} of {SHARES}), {usable} still with a table that can be used",
    )


@examples(60)
@given(chance=st.randoms(use_true_random=True), seed=st.integers(0, 6))
def test_any_damage_is_survived(
    ram: Path,
    seeds: list[tuple[bytes, int]],
    monkeypatch: pytest.MonkeyPatch,
    counted: Counted,
    chance: random.Random,
    seed: int,
) -> None:
    image = Image(*seeds[seed])
    mutate(image, chance)
    check_survived(ram / "disk.img", bytes(image.data), monkeypatch, counted)


@examples(60)
@given(data=st.binary(max_size=3000), repeat=st.integers(1, 40))
def test_noise_is_refused(
    ram: Path, monkeypatch: pytest.MonkeyPatch, counted: Counted, data: bytes, repeat: int
) -> None:
    check_survived(ram / "disk.img", data * repeat, monkeypatch, counted)


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
