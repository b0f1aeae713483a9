"""The odd tree as file systems and archives, made once by the tools of each."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.image_builder.filesystem.trees import in_fakeroot, making

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.filesystem.listing import Listing

_DUMP = "import pickle, sys; from pathlib import Path; from image_builder.filesystem.listing import list_folder; \
Path(sys.argv[2]).write_bytes(pickle.dumps(list_folder(Path(sys.argv[1]))))"

EROFS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "lz4hc": ("-zlz4hc",),
    "extended": ("-Eforce-inode-extended",),
    "blocks": ("-Enoinline_data",),
    "shared": ("-x1",),
}
SQUASHFS: dict[str, tuple[str, ...]] = {
    **{compression: ("-comp", compression) for compression in ("gzip", "xz", "lz4", "zstd")},
    "stored": ("-comp", "zstd", "-noI", "-noX"),
    "bare": ("-no-exports", "-no-fragments"),
}
MODULES = {"lz4": "lz4.block", "zstd": "zstandard"}
"""What the metadata of these variants cannot be read without; not of the standard library."""
EXT4: dict[str, tuple[str, ...]] = {
    "plain": ("-b", "4096"),
    "small blocks": ("-b", "2048", "-O", "ea_inode"),
    "inline": ("-b", "4096", "-O", "inline_data", "-I", "512"),
    "32 bits": ("-b", "4096", "-g", "1024", "-O", "^64bit,^metadata_csum"),
    "old inodes": ("-b", "4096", "-g", "1024", "-O", "^flex_bg", "-I", "128"),
}
TAR: dict[str, tuple[str, ...]] = {
    "gnu": ("--format=gnu",),
    "pax": ("--format=pax", "--xattrs", "--xattrs-include=*"),
    "sparse gnu": ("--format=gnu", "--sparse"),
    "sparse 0.1": ("--format=pax", "--sparse", "--sparse-version=0.1", "--xattrs", "--xattrs-include=*"),
    "sparse 1.0": ("--format=pax", "--sparse", "--sparse-version=1.0", "--xattrs", "--xattrs-include=*"),
}


@dataclass(frozen=True)
class Made:
    """Where everything is."""

    folder: Path

    def image(self, kind: str, variant: str) -> Path:
        return self.folder / f"{kind} {variant}"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The odd tree (``tree``), what list_folder says of it (``listing``), file systems and tars: ``KIND VARIANT``."""
    folder = tmp_path_factory.mktemp("made")
    made, tree = Made(folder), folder / "tree"
    commands: list[tuple[str | Path, ...]] = [making(tree)]
    for variant, options in EROFS.items():
        commands.append(("mkfs.erofs", "--quiet", "-T0", *options, made.image("erofs", variant), tree))
    ext4: dict[str, tuple[str | Path, ...]] = {}
    for variant, options in EXT4.items():
        ext4[variant] = ("mkfs.ext4", "-q", "-F", *options, "-d", tree, made.image("ext4", variant), "24M")
    commands += [ext4.pop("small blocks"), making(tree, "longest"), *ext4.values()]
    for variant, options in SQUASHFS.items():
        commands.append(("mksquashfs", tree, made.image("squashfs", variant), "-quiet", "-no-progress", *options))
    for variant, options in TAR.items():
        commands.append(("tar", *options, "-C", tree, "-cf", made.image("tar", variant), "."))
    in_fakeroot(*commands, (sys.executable, "-c", _DUMP, tree, folder / "listing"))
    indexed = made.image("ext4", "indexed")
    shutil.copyfile(made.image("ext4", "plain"), indexed)
    subprocess.run(["e2fsck", "-fyD", indexed], capture_output=True)  # exits with 1 for what it was told to do
    return made


@pytest.fixture(scope="session")
def listed(made: Made) -> Listing:
    """What list_folder said of the odd tree, in the session that made it."""
    listing: Listing = pickle.loads((made.folder / "listing").read_bytes())  # noqa: S301 - written above
    return listing
