"""Pieces appear in the cache whole or not at all, and come out of it as they were put in, or are made again."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import Cache, cache_root, only_builder, publish_file, publish_folder, record
from image_builder.cache.store import record_path
from image_builder.errors import OutputError
from image_builder.progress import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith((".lock", ".record")))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLOTBOOT_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/slotboot"),
        ({"SLOTBOOT_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/slotboot"),
    ],
)
def test_the_cache_lies_where_the_user_says(environment: dict[str, str], expected: str) -> None:
    assert cache_root(environment) == Path(expected)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    target = tmp_path / "new" / "piece"
    made = []

    def fill(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("content")

    assert publish_folder(target, fill) == publish_folder(target, fill) == target
    assert len(made) == 1
    assert (target / "file").read_text() == "content"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        publish_folder(tmp_path / "piece", fail)
    assert names_in(tmp_path) == []


def test_of_two_builders_one_works_and_the_other_waits(tmp_path: Path) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def fill(path: Path) -> None:
        begun.set()
        assert go_on.wait(10)
        made.append(path)
        path.write_text("content")

    builders = [threading.Thread(target=publish_file, args=(tmp_path / "piece", fill)) for _ in range(2)]
    builders[0].start()
    assert begun.wait(10)
    builders[1].start()
    go_on.set()
    for builder in builders:
        builder.join(10)
    assert len(made) == 1
    assert (tmp_path / "piece").read_text() == "content"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"piece: cannot be written: (Not a directory|File exists)"):
        publish_file(tmp_path / "file" / "piece", lambda path: path.write_text(""))


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def fill(path: Path) -> None:
        path.write_text("half")
        with Path("/dev/full").open("w") as full:
            full.write("x")

    with pytest.raises(OutputError, match="No space left on device"):
        publish_file(tmp_path / "piece", fill)
    assert names_in(tmp_path) == []


class Notes(SilentProgress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


CONTENT = {"bin/tool": b"\x7fELF" + bytes(5000), "lib/module.pyc": b"compiled", "empty": b""}


def fill_folder(folder: Path) -> None:
    for name, data in CONTENT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "bin/tool").chmod(0o755)
    (folder / "link").symlink_to("bin/tool")


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path: Path) -> None:
    """Change one bit, and hide it as well as an ordinary program can."""
    info = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("empty")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (lambda root: flip(root / "bin/tool"), "bin/tool has other content"),
    "a file cut short": (lambda root: os.truncate(root / "bin/tool", 5000), "bin/tool has 5000 bytes, not 5004"),
    "a missing file": (lambda root: (root / "lib/module.pyc").unlink(), "lib/module.pyc is missing"),
    "an emptied file": (lambda root: os.truncate(root / "lib/module.pyc", 0), "lib/module.pyc has 0 bytes, not 8"),
    "a missing folder": (lambda root: shutil.rmtree(root / "lib"), "lib is missing"),
    "another file": (lambda root: (root / "lib/new").touch(), "lib/new does not belong to it"),
    "another mode": (lambda root: (root / "bin/tool").chmod(0o644), "bin/tool has mode 100644, not 100755"),
    "another link": (lambda root: relink(root / "link"), "link has other content"),
    "a link for a file": (lambda root: relink(root / "bin/tool"), "bin/tool has mode 120777, not 100755"),
}


@pytest.mark.parametrize("large", [False, True], ids=["read whole", "read where it changed"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_made_again_with_one_note(
    tmp_path: Path, damage: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "WHOLE", 0 if large else 1 << 20)
    piece = publish_folder(tmp_path / "kind/piece", fill_folder)
    before = content_of(piece)
    spoil, what = DAMAGES[damage]
    spoil(piece)
    notes = Notes()
    assert Cache(tmp_path, notes).publish_folder(Path("kind/piece"), fill_folder) == piece
    assert content_of(piece) == before
    assert (piece / "link").readlink() == Path("bin/tool")
    assert notes.told == [f"cache: {piece} was damaged ({what}); made again"]
    assert names_in(piece.parent) == ["piece"]


@pytest.mark.parametrize("spoil", [flip, lambda path: os.truncate(path, 7)])
def test_a_damaged_file_is_made_again_with_one_note(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    piece = publish_file(tmp_path / "piece", lambda path: path.write_bytes(b"the content"))
    spoil(piece)
    notes = Notes()
    Cache(tmp_path, notes).publish_file(piece, lambda path: path.write_bytes(b"the content"))
    assert piece.read_bytes() == b"the content"
    assert len(notes.told) == 1


def test_what_a_bad_disk_returns_is_seen_in_a_small_piece_and_by_verify_in_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other bytes without any trace in the inode: stood in for by a record that has the stamps of the damaged file."""
    piece = publish_file(tmp_path / "piece", lambda path: path.write_bytes(b"the content"))
    known = record.decode_record(record_path(piece).read_text())
    assert known is not None
    flip(piece)
    stamp = record.record_of(piece, "").items[""].stamp
    forged = replace(known, items={"": replace(known.items[""], stamp=stamp)})
    assert record.compare(piece, forged)[0] == "piece has other content"
    monkeypatch.setattr(record, "WHOLE", 0)
    assert record.compare(piece, forged)[0] == ""
    assert record.compare(piece, forged, whole=True)[0] == "piece has other content"


def test_after_a_power_cut_a_large_piece_is_read_whole_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was flushed: the inode may be on the disk, and its content not. Stood in for as above."""
    monkeypatch.setattr(record, "WHOLE", 0)
    piece = publish_file(tmp_path / "piece", lambda path: path.write_bytes(b"the content"))
    known = record.decode_record(record_path(piece).read_text())
    assert known is not None
    booted = replace(known, boot="the boot before")
    problem, now = record.compare(piece, booted)
    assert (problem, now) == ("", known)
    flip(piece)
    lost = replace(booted, items={"": replace(known.items[""], stamp=record.record_of(piece, "").items[""].stamp)})
    assert record.compare(piece, lost)[0] == "piece has other content"


def test_what_is_not_damaged_is_not_made_again_and_nothing_is_said(tmp_path: Path) -> None:
    notes = Notes()
    Cache(tmp_path, notes).publish_folder(Path("piece"), fill_folder)
    inode = (tmp_path / "piece").stat().st_ino
    Cache(tmp_path, notes).publish_folder(Path("piece"), fill_folder)
    assert ((tmp_path / "piece").stat().st_ino, notes.told) == (inode, [])


@pytest.mark.parametrize("large", [False, True])
def test_a_cache_that_was_copied_is_used_as_it_is(tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "WHOLE", 0 if large else 1 << 20)
    publish_folder(tmp_path / "old/piece", fill_folder)
    shutil.copytree(tmp_path / "old", tmp_path / "new", symlinks=True)
    reads: list[str] = []
    checksum = record._checksum

    def watched(piece: Path, path: str, info: os.stat_result) -> int:
        reads.append(path)
        return checksum(piece, path, info)

    monkeypatch.setattr(record, "_checksum", watched)
    for _ in range(2):
        assert Cache(tmp_path / "new").intact(Path("piece"))
    # A large one is read once, as its inodes are new; then its record knows them.
    assert len(reads) == (4 if large else 14)


def test_a_piece_of_an_older_builder_has_no_record_and_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "piece").mkdir()
    (tmp_path / "piece/half").touch()
    notes = Notes()
    Cache(tmp_path, notes).publish_folder(Path("piece"), fill_folder)
    assert (sorted(content_of(tmp_path / "piece")), notes.told) == (sorted([*CONTENT, "link"]), [])


@pytest.mark.parametrize("text", ["", "{}", "{", "no record\n12345678\n"])
def test_a_damaged_record_is_damage_too(tmp_path: Path, text: str) -> None:
    piece = publish_file(tmp_path / "piece", lambda path: path.write_bytes(b"the content"))
    record_path(piece).write_text(text)
    notes = Notes()
    Cache(tmp_path, notes).publish_file(piece, lambda path: path.write_bytes(b"the content"))
    assert notes.told == [f"cache: {piece} was damaged (its record is damaged); made again"]


def test_a_record_with_one_other_character_is_no_record(tmp_path: Path) -> None:
    text = record_path(publish_folder(tmp_path / "piece", fill_folder)).read_text()
    for place in range(0, len(text) - 1, 7):
        assert record.decode_record(f"{text[:place]}~{text[place + 1 :]}") is None


def test_a_piece_that_cannot_be_made_again_is_not_used(tmp_path: Path) -> None:
    piece = publish_file(tmp_path / "piece", lambda path: path.write_bytes(b"the content"))
    flip(piece)
    cache = Cache(tmp_path)
    with pytest.raises(ZeroDivisionError):
        cache.publish_file(piece, lambda _: 1 // 0)
    assert not cache.intact(piece)


def test_the_step_covers_what_comes_after_the_making_and_waiting_has_its_own(tmp_path: Path) -> None:
    steps = Steps()
    cache = Cache(tmp_path, steps)
    with only_builder(tmp_path / "piece"):
        builder = threading.Thread(target=cache.publish_file, args=(Path("piece"), Path.touch), kwargs={"step": "make"})
        builder.start()
        assert steps.waiting.wait(10)
    builder.join(10)
    lock = tmp_path / ".piece.lock"
    assert steps.seen == [
        "begin make",
        f"begin wait for another builder ({lock})",
        f"end wait for another builder ({lock})",
        "end make",
    ]
    cache.publish_file(Path("piece"), Path.touch, step="make")
    assert len(steps.seen) == 4


class Steps(Notes):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.waiting = threading.Event()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.seen.append(f"begin {text}")
        if text.startswith("wait"):
            self.waiting.set()
        yield
        self.seen.append(f"end {text}")


def test_who_waited_for_a_lock_that_clean_has_removed_meanwhile_takes_a_new_one(tmp_path: Path) -> None:
    steps, lock = Steps(), tmp_path / ".piece.lock"
    seen = []

    def wait() -> None:
        with only_builder(tmp_path / "piece", steps):
            seen.append(lock.exists())

    with only_builder(tmp_path / "piece"):
        builder = threading.Thread(target=wait)
        builder.start()
        assert steps.waiting.wait(10)
        lock.unlink()
    builder.join(10)
    assert seen == [True]
