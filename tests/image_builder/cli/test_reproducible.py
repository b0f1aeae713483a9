"""The same definition and the same files are the same image and the same update, whoever builds them, where and when."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from image_builder.cache import cache_root

PROGRAM = Path(sys.executable).with_name("image-builder")
NAMES = ["etc/os-release", "sbin/init", "usr/lib/z", "usr/lib/a", "srv/b", "srv/a"]
DEFINITION = """
[image]
name = "same"

[boot]
kind = "uki"

[slot.own]
kind = "{kind}"
source = "{source}"
filesystem = "{filesystem}"
owners = "root"
verity = true

[state.home]
source = "tree/srv"
owners = "root"

[esp.files]
"/EXTRA.TXT" = "tree/srv/a"

[[partition]]
label = "EFI SYSTEM"
type = "esp"
size = "64M"
content = "esp"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "auto"
content = "slot.own"
priority = 1
successful = true

[[partition]]
label = "home of all"
type = "linux-data"
size = "auto"
content = "state.home"
"""


class Place:
    """A folder with the sources, to build in."""

    def __init__(self, folder: Path, kind: str, filesystem: str, names: list[str]) -> None:
        self.folder = folder
        for name in names:
            path = folder / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name}\n" * 1000)
            path.chmod(0o755 if name == "sbin/init" else 0o644)
        for inner in sorted((folder / "tree").rglob("*")):
            if inner.is_dir():
                inner.chmod(0o755)
        (folder / "tree").chmod(0o755)
        source = "tree"
        if kind == "tar":
            source = "tree.tar.gz"
            subprocess.run(["tar", "-C", folder / "tree", "-czf", folder / source, "."], check=True)
        (folder / "same.toml").write_text(DEFINITION.format(kind=kind, source=source, filesystem=filesystem))

    def built(self, command: str, *, umask: int = 0o022, **environment: str) -> dict[str, str]:
        """The digests of what a command writes."""
        out = self.folder / "out"
        environ = {**os.environ, "SLOTBOOT_CACHE": str(shared_cache(self.folder)), **environment}
        subprocess.run(
            [PROGRAM, command, self.folder / "same.toml", "-o", out],
            check=True,
            env=environ,
            umask=umask,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        sums = subprocess.run(["sha256sum", *sorted(out.iterdir())], capture_output=True, text=True, check=True).stdout
        return {Path(line.split(maxsplit=1)[1]).name: line.split()[0] for line in sums.splitlines()}


def shared_cache(folder: Path) -> Path:
    """The packages and the interpreter of everybody's cache, and slots of nobody else."""
    own = folder / "cache"
    if not own.exists():
        own.mkdir()
        for name in ("target", "python", "initramfs"):
            (own / name).symlink_to(cache_root() / name)
    return own


KINDS = [("tree", "erofs"), ("tar", "erofs"), ("tree", "squashfs"), ("tar", "ext4")]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "filesystem"), KINDS)
def test_nothing_of_where_and_how_it_is_built_is_in_it(tmp_path: Path, kind: str, filesystem: str) -> None:
    one = Place(tmp_path / "one", kind, filesystem, NAMES)
    (tmp_path / "temporary").mkdir()
    other = Place(tmp_path / "a folder" / "elsewhere", kind, filesystem, NAMES[::-1])
    elsewhere = {"TMPDIR": str(tmp_path / "temporary"), "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    for command in ("build", "artifacts"):
        assert other.built(command, umask=0o077, **elsewhere) == one.built(command)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "filesystem"), KINDS)
def test_another_time_is_another_image_and_the_same_time_the_same(tmp_path: Path, kind: str, filesystem: str) -> None:
    place = Place(tmp_path, kind, filesystem, NAMES)
    first, second, again = (
        place.built("build", SOURCE_DATE_EPOCH=epoch) for epoch in ("1700000000", "1700000002", "1700000000")
    )
    assert first == again
    assert first != second


def test_a_time_that_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    place = Place(tmp_path, "tree", "erofs", NAMES)
    argv: list[str | Path] = [PROGRAM, "build", place.folder / "same.toml", "-o", tmp_path / "out"]
    done = subprocess.run(argv, env={**os.environ, "SOURCE_DATE_EPOCH": "soon"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "SOURCE_DATE_EPOCH" in done.stderr
    assert len(done.stderr.splitlines()) == 1
