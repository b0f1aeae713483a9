"""What is on a machine's disk: before and after flushes, power cuts and damage. The raw bytes are the reference."""

from __future__ import annotations

import random
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import DiskFolderError, ImageError, MachineStateError, MissingToolError
from qemu_tests.harness.disk.image import image_info
from qemu_tests.harness.disk.log import Flush, Mark, PowerOff, Write, WriteLog
from qemu_tests.harness.disk.losses import AllLost, NewestLost, NothingLost, OldestLost, SomeLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.disk.nbd import FrozenError
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qemu_tests.harness.disk.losses import Loss
    from qemu_tests.harness.disk.session import Session

MIB = 1 << 20
SIZE = 5 * MIB + 7 * 512


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """No whole number of MiB, and every sector different."""
    path = tmp_path / "image, with comma.raw"
    path.write_bytes(b"".join(number.to_bytes(4, "big") * 128 for number in range(SIZE // 512)))
    return path


@pytest.fixture
def disk(image: Path, tmp_path: Path) -> MachineDisk:
    folder = tmp_path / "machine"
    folder.mkdir()
    return MachineDisk(image, folder)


def sector(text: str) -> bytes:
    return text.encode().ljust(512, b"\0")


def test_a_copy_for_the_judges_has_both_ends_and_the_size(disk: MachineDisk, image: Path, tmp_path: Path) -> None:
    original = image.read_bytes()
    data = disk.copy_tables(tmp_path / "tables.raw").read_bytes()
    assert len(data) == disk.size == SIZE
    assert data[:MIB] == original[:MIB]
    assert data[-65536:] == original[-65536:]


def test_damage_never_reaches_the_image(disk: MachineDisk, image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    disk.write_zeros(512, 33 * 512)
    assert image.read_bytes() == before
    exported = disk.export(tmp_path / "all.raw").read_bytes()
    assert exported == before[:512] + bytes(33 * 512) + before[34 * 512 :]


@pytest.mark.parametrize(("offset", "length"), [(1, 512), (512, 1), (-512, 512), (0, 0), (SIZE, 512)])
def test_damage_outside_of_the_disk_or_of_half_a_sector_is_refused(disk: MachineDisk, offset: int, length: int) -> None:
    with pytest.raises(ImageError, match="are not sectors of this disk of 5246464 bytes"):
        disk.write_zeros(offset, length)


def test_damage_under_a_running_guest_is_seen_by_it(disk: MachineDisk) -> None:
    session = disk.power_on()
    session.write(0, sector("in the cache"))
    session.write(512, sector("flushed"))
    session.flush()
    disk.write_zeros(512, 512)
    assert session.read(0, 1024) == sector("in the cache") + bytes(512)
    assert disk.read(512, 512) == bytes(512)


def test_the_guest_sees_what_it_wrote_and_a_power_cut_keeps_what_was_flushed(disk: MachineDisk, image: Path) -> None:
    original = image.read_bytes()
    session = disk.power_on()
    session.write(512, sector("flushed"))
    session.flush()
    # The same sector once more: what a layer of clusters would not lose.
    session.write(512, sector("unflushed"))
    session.write(4 * MIB, sector("unflushed too"))
    assert session.read(0, 2048) == original[:512] + sector("unflushed") + original[1024:2048]
    disk.power_off(AllLost())
    assert disk.read(0, 2048) == original[:512] + sector("flushed") + original[1024:2048]
    assert disk.read(4 * MIB, 512) == original[4 * MIB : 4 * MIB + 512]


def test_looking_at_a_running_disk_makes_nothing_durable(disk: MachineDisk, tmp_path: Path) -> None:
    session = disk.power_on()
    session.write(512, sector("unflushed"))
    before = disk.copy_tables(tmp_path / "tables.raw").read_bytes()
    assert before[512:1024] != sector("unflushed")
    disk.export(tmp_path / "all.raw")
    assert len(session.unflushed) == 1
    disk.power_off(AllLost())
    assert disk.copy_tables(tmp_path / "tables.raw").read_bytes() == before


def test_switching_off_loses_nothing_and_the_next_session_goes_on(disk: MachineDisk) -> None:
    disk.power_on().write(0, sector("first"))
    disk.power_off()
    disk.power_off()
    session = disk.power_on()
    assert session.read(0, 512) == sector("first")
    with pytest.raises(MachineStateError, match="cannot be switched on: it is on"):
        disk.power_on()


# What is left of the first three sectors, by hand: a write with FUA is alone on the medium, and over what was before it.
FUA: list[tuple[str, Loss, str]] = [
    ("write 0 a, fua 1 b", AllLost(), ".b."),
    ("write 0 aaa, fua 1 b", AllLost(), ".b."),
    ("write 0 aaa, fua 1 b", NothingLost(), "aba"),
    ("fua 0 aaa, write 1 b", AllLost(), "aaa"),
    ("fua 0 aaa, write 1 b", NothingLost(), "aba"),
    ("fua 0 aaa, write 1 b, fua 1 c, write 2 d", NewestLost(1), "aca"),
    ("write 0 aaa, fua 1 b, flush, write 1 c", AllLost(), "aba"),
    ("write 0 aaa, fua 1 b, write 1 c, flush", AllLost(), "aca"),
    ("write 0 aaa, fua 0 bbb, destroy 1, flush", AllLost(), "b.b"),
]


def play(disk: MachineDisk, script: str) -> Session:
    session = disk.power_on()
    for verb, *rest in (step.split() for step in script.split(", ")):
        if verb == "flush":
            session.flush()
        elif verb == "destroy":
            disk.write_zeros(int(rest[0]) * 512, 512)
        else:
            data = b"".join(letter.encode() * 512 for letter in rest[1])
            session.write(int(rest[0]) * 512, data, fua=verb == "fua")
    return session


def first_sectors(disk: MachineDisk, count: int = 3) -> str:
    return "".join(disk.read(at * 512, 512)[:1].decode().replace("\0", ".") for at in range(count))


@pytest.mark.parametrize(("script", "loss", "left"), FUA)
def test_a_write_with_fua_is_durable_and_makes_no_other_so(
    disk: MachineDisk, script: str, loss: Loss, left: str
) -> None:
    disk.write_zeros(0, MIB)
    play(disk, script)
    disk.power_off(loss)
    assert first_sectors(disk) == left


def test_a_running_disk_shows_what_a_write_with_fua_left(disk: MachineDisk) -> None:
    disk.write_zeros(0, MIB)
    session = play(disk, "write 0 aaa, fua 1 b")
    assert first_sectors(disk) == ".b."
    assert [write.offset for write in session.unflushed] == [0]
    assert [write.durable for write in disk.log.entries if isinstance(write, Write)] == [True, False, True]


def test_a_chip_without_a_cache_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    """The size is that of the 4 MB variable store of OVMF."""
    path = tmp_path / "variables.fd"
    path.write_bytes(bytes(540672))
    chip = MachineDisk(path, tmp_path, "variables", write_through=True)
    session = play(chip, "write 0 aaa, write 1 b")
    assert session.unflushed == ()
    assert first_sectors(chip) == "aba"
    chip.power_off(AllLost())
    assert first_sectors(chip) == "aba"
    assert chip.size == 540672
    assert chip.export(tmp_path / "all.fd").stat().st_size == 540672


def test_two_disks_of_a_machine_have_one_log_in_one_order(image: Path, tmp_path: Path) -> None:
    log = WriteLog(tmp_path / "both.log")
    disk, chip = (
        MachineDisk(image, tmp_path, name, log=log, write_through=name == "chip") for name in ("disk", "chip")
    )
    first, second = disk.power_on(), chip.power_on()
    first.write(0, sector("one"))
    second.write(512, sector("two"))
    first.write(0, sector("three"))
    first.flush()
    disk.power_off(AllLost())
    chip.power_off(AllLost())
    assert disk.log is chip.log is log
    writes = [entry for entry in log.entries if isinstance(entry, Write)]
    assert [(write.disk, log.data(write)) for write in writes] == [
        ("disk", sector("one")),
        ("chip", sector("two")),
        ("disk", sector("three")),
    ]
    assert [(entry.disk, entry.text) for entry in log.entries if isinstance(entry, PowerOff)] == [
        ("disk", "power cut: AllLost()"),
        ("chip", "power cut: AllLost()"),
    ]
    assert disk.read(0, 512) == sector("three")
    assert disk.read(512, 512) != sector("two") == chip.read(512, 512)


def test_the_log_says_what_a_power_cut_left(disk: MachineDisk) -> None:
    play(disk, "write 0 a, write 1 b, fua 2 c, write 3 d")
    disk.power_off(OldestLost(1))
    (off,) = (entry for entry in disk.log.entries if isinstance(entry, PowerOff))
    assert [piece.write.offset // 512 for piece in off.kept] == [1, 2, 3]


# RLIMIT_FSIZE makes writes beyond it fail with EFBIG, as a full file system does with ENOSPC.
@pytest.fixture
def full_folder() -> Iterator[Callable[[], None]]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_folder_of_the_host_freezes_the_guest_and_is_no_error_of_its_disk(
    disk: MachineDisk, full_folder: Callable[[], None], tmp_path: Path
) -> None:
    session = disk.power_on()
    session.write(0, sector("fits"))
    full_folder()
    with pytest.raises(FrozenError):
        session.write(1024, sector("does not"))
    assert session.frozen
    assert isinstance(session.problem, DiskFolderError)
    assert str(session.problem) == (
        f"{tmp_path / 'machine'}: the host cannot keep the disk of a machine here: File too large; "
        "make room, or choose another folder, and run it again"
    )


def test_a_full_folder_of_the_host_is_told_to_whoever_looks_at_the_disk(
    disk: MachineDisk, full_folder: Callable[[], None]
) -> None:
    session = disk.power_on()
    session.write(1024, sector("one"))
    session.flush()
    full_folder()
    with pytest.raises(DiskFolderError, match="File too large"):
        disk.read(0, 512)
    assert isinstance(session.problem, DiskFolderError)
    with pytest.raises(DiskFolderError, match="File too large"):
        disk.power_off()
    with pytest.raises(DiskFolderError):
        disk.write_zeros(1024, 512)


def test_a_folder_that_cannot_take_a_disk_is_an_error_of_one_line(image: Path, tmp_path: Path) -> None:
    with pytest.raises(DiskFolderError, match="none: the host cannot keep the disk of a machine here: No such file"):
        MachineDisk(image, tmp_path / "none")


# The fates of five writes of two sectors each, by hand.
FATES: list[tuple[Loss, str]] = [
    (AllLost(), ".........."),
    (NothingLost(), "aabbccddee"),
    (NewestLost(2), "aabbcc...."),
    (NewestLost(9), ".........."),
    (NewestLost(1, torn=True), "aabbccd..."),
    (OldestLost(1), "..bbccddee"),
]


@pytest.mark.parametrize(("loss", "left"), FATES)
def test_what_a_power_cut_loses(disk: MachineDisk, loss: Loss, left: str) -> None:
    disk.write_zeros(0, MIB)
    session = disk.power_on()
    for place, letter in enumerate("abcde"):
        session.write(place * 1024, letter.encode() * 1024)
    disk.power_off(loss)
    assert first_sectors(disk, 10) == left


def test_a_seed_loses_the_same_again_and_seeds_differ(disk: MachineDisk) -> None:
    session = disk.power_on()
    for place in range(20):
        session.write(place * 2048, bytes([place]) * 2048)
    unflushed = session.unflushed
    assert SomeLost(7).survivors(unflushed) == SomeLost(7).survivors(unflushed)
    all_kept = [SomeLost(seed).survivors(unflushed) for seed in range(30)]
    assert len({tuple(kept) for kept in all_kept}) > 20
    pieces = [piece for kept in all_kept for piece in kept]
    assert {piece.length for piece in pieces} == {512, 1024, 1536, 2048}
    for piece in pieces:
        assert piece.start % 512 == 0
        assert piece.start + piece.length <= 2048


def test_everything_is_logged_in_order_with_its_bytes(disk: MachineDisk) -> None:
    session = disk.power_on()
    session.write(1024, sector("one"))
    session.flush()
    session.write(0, sector("two") * 2)
    disk.power_off(AllLost())
    kinds = [type(entry) for entry in disk.log.entries]
    assert kinds == [Mark, Write, Flush, Write, PowerOff]
    assert [entry.number for entry in disk.log.entries] == [0, 1, 2, 3, 4]
    first, second = (entry for entry in disk.log.entries if isinstance(entry, Write))
    assert (first.offset, disk.log.data(first)) == (1024, sector("one"))
    assert (second.offset, disk.log.data(second, 512, 512)) == (0, sector("two"))


@pytest.mark.parametrize("seed", range(5))
def test_random_sessions_leave_what_a_list_of_sectors_says(disk: MachineDisk, seed: int) -> None:
    """The model is a list of sectors; the disk is read in pieces of every size, while it runs too."""
    chance = random.Random(seed)
    durable = [disk.read(at * 512, 512) for at in range(64)]
    for _ in range(4):
        session, seen = disk.power_on(), list(durable)
        for step in range(chance.randrange(30)):
            first = chance.randrange(60)
            count = chance.randrange(1, 5)
            if chance.random() < 0.2:
                session.flush()
                durable = list(seen)
            else:
                data, fua = [bytes([step + 1]) * 512 for _ in range(count)], chance.random() < 0.3
                session.write(first * 512, b"".join(data), fua=fua)
                seen[first : first + count] = data
                if fua:
                    durable[first : first + count] = data
                if chance.random() < 0.2:
                    assert disk.read(0, 64 * 512) == b"".join(durable)
            assert session.read(first * 512, count * 512) == b"".join(seen[first : first + count])
        if chance.random() < 0.5:
            disk.power_off(AllLost())
        else:
            disk.power_off()
            durable = seen
        assert disk.read(0, 64 * 512) == b"".join(durable)


def test_an_image_that_is_not_there_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no such image; build one with image-builder"):
        image_info(tmp_path / "none.raw")
    with pytest.raises(ImageError, match="is not a file"):
        image_info(tmp_path)


@pytest.mark.parametrize("size", [0, 512, MIB])
def test_an_image_that_is_too_small_for_partitions_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "small.raw"
    path.write_bytes(bytes(size))
    with pytest.raises(ImageError, match="too few for a disk with partitions"):
        MachineDisk(path, tmp_path)


@pytest.mark.parametrize("kind", ["qcow2", "vpc", "vmdk"])
def test_an_image_of_another_format_is_read_as_the_disk_that_it_is(image: Path, tmp_path: Path, kind: str) -> None:
    other = tmp_path / f"image.{kind}"
    run_tool("qemu-img", "convert", "-f", "raw", "-O", kind, *(("-o", "force_size=on") * (kind == "vpc")), image, other)
    disk = MachineDisk(other, tmp_path)
    assert disk.size >= SIZE
    assert disk.read(0, SIZE) == image.read_bytes()


def test_a_missing_qemu_img_names_its_package(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingToolError, match=r"qemu-img: not found.*apt-get install qemu-utils\)"):
        image_info(image)


@pytest.mark.parametrize("name", ["-o,x", "nbd:a", "json:{}", "--help"])
def test_no_name_of_an_image_or_folder_is_an_option_or_a_protocol(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    original, odd = image.read_bytes(), Path(name)
    odd.mkdir()
    image.rename(odd / name)
    disk = MachineDisk(odd / name, odd)
    disk.write_zeros(512, 512)
    assert disk.copy_tables(odd / "tables.raw").read_bytes()[:512] == original[:512]
    assert disk.export(odd / "all.raw").read_bytes() == original[:512] + bytes(512) + original[1024:]


def test_no_name_in_the_current_folder_is_a_protocol(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    original = image.read_bytes()
    image.rename("nbd:image")
    assert image_info(Path("nbd:image")).size == SIZE
    disk = MachineDisk(Path("nbd:image"), Path())
    assert disk.copy_tables(Path("nbd:tables")).read_bytes()[:MIB] == original[:MIB]


def test_the_image_may_be_replaced_while_a_machine_stands_on_it(disk: MachineDisk, image: Path) -> None:
    original = image.read_bytes()
    image.unlink()
    image.write_bytes(bytes(SIZE))
    assert disk.read(0, SIZE) == original


@pytest.fixture
def make_sessions(disk: MachineDisk) -> Callable[[int], None]:
    def make(count: int) -> None:
        for number in range(count):
            disk.power_on().write(0, sector(str(number)))
            disk.power_off()

    return make


def test_many_power_cycles_leave_no_open_file_behind(make_sessions: Callable[[int], None], disk: MachineDisk) -> None:
    make_sessions(3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    make_sessions(30)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert disk.read(0, 512) == sector("29")
