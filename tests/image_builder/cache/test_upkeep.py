"""What is kept can be seen, checked and cleared away, but for what a build is using."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from image_builder.cache import Cache, clean, list_cache, upkeep, verify_cache
from image_builder.cache.store import record_path

ROOT = Path(__file__).parents[3]
DAY = 86400


def write(path: Path) -> None:
    path.write_bytes(bytes(1000))


def fill(folder: Path) -> None:
    write(folder / "one")
    write(folder / "two")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache of all kinds, one of them of an older builder."""
    root = tmp_path / "cache"
    cache = Cache(root)
    cache.publish_file(Path("uki/1.efi"), write)
    cache.publish_folder(Path("python/boot-1"), fill)
    for name in ("libc6_1", "libc6_2"):
        cache.publish_folder(Path("target/amd64/packages", name), fill)
    cache.publish_folder(Path("target/amd64/trees/1"), fill)
    (root / "target/amd64/pins").mkdir()
    (root / "target/amd64/pins/libc6").write_text("libc6_2")
    (root / "initramfs").mkdir()
    write(root / "initramfs/old")
    (root / "initramfs/.old.lock").touch()
    (root / "target/amd64/.packages.lock").touch()
    return root


def names(root: Path) -> list[str]:
    return [f"{kept.kind}/{kept.name}" for kept in list_cache(root)]


ALL = ["initramfs/old", "packages/libc6_1", "packages/libc6_2", "python/boot-1", "trees/1", "uki/1.efi"]


def test_the_list_says_of_each_piece_what_it_is_and_when_it_was_used(root: Path) -> None:
    assert names(root) == ALL
    sizes = {kept.name: kept.size for kept in list_cache(root)}
    assert sizes == {"old": 1000, "libc6_1": 2000, "libc6_2": 2000, "boot-1": 2000, "1": 2000, "1.efi": 1000}
    assert [kept.name for kept in list_cache(root) if not kept.recorded] == ["old"]
    assert all(abs(kept.made - time.time()) < 60 for kept in list_cache(root))


def test_a_use_is_remembered(root: Path) -> None:
    os.utime(record_path(root / "uki/1.efi"), (1000, 1000))
    assert [kept.used for kept in list_cache(root) if kept.kind == "uki"] == [1000]
    assert Cache(root).intact(Path("uki/1.efi"))
    assert all(time.time() - kept.used < 60 for kept in list_cache(root) if kept.kind == "uki")


def test_no_cache_is_an_empty_one(tmp_path: Path) -> None:
    assert list_cache(tmp_path / "none") == []
    assert verify_cache(tmp_path / "none") == []
    assert clean(tmp_path / "none").removed == ()


def test_verify_names_what_is_damaged_and_nothing_else(root: Path) -> None:
    assert verify_cache(root) == []
    (root / "python/boot-1/one").write_bytes(bytes(999) + b"x")
    (root / "uki/1.efi").unlink()
    record_path(root / "target/amd64/trees/1").write_text("")
    assert [(damage.path.name, damage.what) for damage in verify_cache(root)] == [
        ("boot-1", "one has other content"),
        ("1", "its record is damaged"),
    ]


def test_clean_leaves_nothing(root: Path) -> None:
    (root / ".slotboot-0123456789ab").mkdir()
    done = clean(root)
    assert (sorted(f"{kept.kind}/{kept.name}" for kept in done.removed), done.held) == (ALL, ())
    left = [path for path in root.rglob("*") if not path.is_dir()]
    assert left == [root / "target/amd64/.packages.lock"]
    assert not (root / ".slotboot-0123456789ab").exists()
    assert not (root / "target/amd64/pins").exists()


def test_clean_by_age_removes_what_was_not_used_for_so_long(root: Path) -> None:
    for name, days in (("uki/1.efi", 11), ("python/boot-1", 9)):
        os.utime(record_path(root / name), (time.time() - days * DAY,) * 2)
    assert [kept.name for kept in clean(root, older_than=10 * DAY).removed] == ["1.efi"]
    assert names(root) == [name for name in ALL if name != "uki/1.efi"]
    assert (root / "target/amd64/pins/libc6").exists()


def test_clean_of_the_unused_removes_replaced_packages_and_what_other_versions_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [kept.name for kept in clean(root, unused=True).removed] == ["old", "libc6_1"]
    monkeypatch.setattr(upkeep, "builder_digest", lambda: "another version")
    assert [kept.name for kept in clean(root, unused=True).removed] == ["boot-1", "1", "1.efi"]
    assert names(root) == ["packages/libc6_2"]


USER = """
import sys
from pathlib import Path
from image_builder.cache import Cache, only_builder
cache = Cache(Path(sys.argv[1]))
assert cache.intact(Path("uki/1.efi"))
with only_builder(Path(sys.argv[1], "python/boot-1")):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_clean_leaves_what_another_process_is_using_or_making(root: Path) -> None:
    argv: list[str | Path] = [sys.executable, "-c", USER, root]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"ready\n"
        done = clean(root)
        assert sorted(kept.name for kept in done.held) == ["1.efi", "boot-1"]
        assert names(root) == ["python/boot-1", "uki/1.efi"]
        assert (root / "target/amd64/pins/libc6").exists()
        user.communicate()
    assert sorted(kept.name for kept in clean(root).removed) == ["1.efi", "boot-1"]


def test_a_build_holds_what_it_took_as_long_as_it_has_its_cache(root: Path) -> None:
    cache = Cache(root)
    cache.publish_file(Path("uki/1.efi"), write)
    assert [kept.name for kept in clean(root).held] == ["1.efi"]
    del cache
    assert [kept.name for kept in clean(root).removed] == ["1.efi"]
