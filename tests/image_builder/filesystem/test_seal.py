"""A sealed slot: veritysetup, which made the tree, finds every changed byte by the root hash of the seal."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bootselect.initramfs.verity import read_seal
from image_builder.filesystem.erofs import write_erofs
from image_builder.filesystem.seal import seal_image
from image_builder.filesystem.source import FolderSource
from image_builder.run import SystemRunner
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

UUID = "7130c94a-213a-4e5a-8e26-6cce9662f132"


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    tree, image = tmp_path / "tree", tmp_path / "slot"
    tree.mkdir()
    (tree / "file").write_bytes(bytes(range(256)) * 1000)
    write_erofs(SystemRunner(), FolderSource(tree), image, uuid=UUID, compression="none", epoch=0)
    seal_image(SystemRunner(), image, uuid=UUID, salt=b"salt")
    return image


def verify(image: Path) -> subprocess.CompletedProcess[bytes]:
    seal = read_seal(str(image))
    assert seal is not None
    # veritysetup looks for its superblock, which stands in the block before the tree.
    offset = f"--hash-offset={(seal.hash_start - 1) * 4096}"
    return subprocess.run(
        ["veritysetup", "verify", image, image, seal.root_hash.hex(), offset], capture_output=True, check=False
    )


def test_the_tree_belongs_to_the_file_system(sealed: Path) -> None:
    assert verify(sealed).returncode == 0
    run_tool("fsck.erofs", sealed)


def test_a_changed_byte_is_found(sealed: Path) -> None:
    with sealed.open("r+b") as file:
        file.seek(100_000)
        byte = file.read(1)
        file.seek(100_000)
        file.write(bytes([byte[0] ^ 1]))
    assert verify(sealed).returncode != 0


def test_sealing_gives_the_same_bytes_each_time(sealed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_erofs(SystemRunner(), FolderSource(tmp_path / "tree"), again, uuid=UUID, compression="none", epoch=0)
    seal_image(SystemRunner(), again, uuid=UUID, salt=b"salt")
    assert again.read_bytes() == sealed.read_bytes()
