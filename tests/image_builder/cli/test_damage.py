"""A damaged cache makes no wrong image, and neither does the umask of who builds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import cache_root
from image_builder.cache.store import record_path

if TYPE_CHECKING:
    from collections.abc import Callable

MINIMAL = Path(__file__).parents[3] / "examples/minimal.toml"


def run(cache: Path, *words: str | Path, umask: int = 0o022) -> str:
    argv = [Path(sys.executable).with_name("image-builder"), *words]
    environ = {**os.environ, "SLOTBOOT_CACHE": str(cache)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, umask=umask, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of our own, but for the packages: a copy of the pieces that a build takes."""
    cache = tmp_path_factory.mktemp("cache")
    run(cache_root(), "build", MINIMAL, "-o", cache / "out")
    (cache / "target").symlink_to(cache_root() / "target")
    for kind, pattern in (("uki", "*"), ("initramfs", "*"), ("python", "slot-*"), ("python", "boot-*")):
        (cache / kind).mkdir(exist_ok=True)
        piece = last_used(cache_root() / kind, pattern)
        for path in (piece, record_path(piece)):
            subprocess.run(["cp", "-a", path, cache / kind], check=True)
    return cache


def last_used(folder: Path, pattern: str) -> Path:
    """Of the pieces of a kind, the one that the last build took."""
    records = sorted(folder.glob(f".{pattern}.record"), key=lambda record: record.stat().st_mtime_ns)
    return folder / records[-1].name.removeprefix(".").removesuffix(".record")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        lambda cache: flip(last_used(cache / "uki", "*")),
        lambda cache: os.truncate(last_used(cache / "uki", "*"), 10 << 20),
        lambda cache: (
            last_used(cache / "python", "slot-*") / "root/usr/lib/python3.11/update_agent/cli/main.pyc"
        ).unlink(),
    ],
    ids=["a flipped bit in the UKI", "a UKI cut short", "a missing module of the slot"],
)
def test_a_build_with_a_damaged_cache_has_the_same_bytes(
    cache: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    run(cache, "build", MINIMAL, "-o", tmp_path)
    before = sha256(tmp_path / "minimal.raw")
    spoil(cache)
    run(cache, "build", MINIMAL, "-o", tmp_path)
    assert sha256(tmp_path / "minimal.raw") == before


@pytest.mark.slow
def test_an_update_has_the_same_bytes_whatever_the_umask(cache: Path, tmp_path: Path) -> None:
    names = ("minimal_1_base.update", "minimal_1_base.slot")
    found = set()
    for umask in (0o022, 0o077, 0o002):
        run(cache, "artifacts", MINIMAL, "-o", tmp_path / str(umask), umask=umask)
        found.add(tuple(sha256(tmp_path / str(umask) / name) for name in names))
    assert len(found) == 1
