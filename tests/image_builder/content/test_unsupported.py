"""What a file system has no place for is refused with path and count, or left out when the definition says so, and told."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.api import build_artifact, load_definition
from image_builder.filesystem.errors import NoPlaceError
from tests.image_builder.content.told import Told
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.definition.model import Definition

DEFINITION = """
[image]
name = "own"

[slot.own]
kind = "tar"
source = "tree.tar"
filesystem = "{filesystem}"
unsupported = "{unsupported}"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "32M"
content = "slot.own"
"""
ACL = "0200000001000700ffffffff0400050000000000080005000400000010000500ffffffff20000500ffffffff"


def definition(folder: Path, filesystem: str, unsupported: str) -> Definition:
    """A system with an access control list, as the journal of systemd has one."""
    (folder / "tree/etc").mkdir(parents=True)
    (folder / "tree/sbin").mkdir()
    (folder / "tree/var").mkdir()
    (folder / "tree/etc/os-release").write_text("ID=own\n")
    (folder / "tree/sbin/init").write_text("#!/bin/sh\n")
    script = 'import os, sys; os.setxattr("tree/var", "system.posix_acl_access", bytes.fromhex(sys.argv[1]))'
    pack = ["tar", "--xattrs", "--xattrs-include=*", "-cf", "tree.tar", "-C", "tree", "."]
    subprocess.run(["python3", "-c", script, ACL], cwd=folder, check=True)
    subprocess.run(pack, cwd=folder, check=True)
    (folder / "own.toml").write_text(DEFINITION.format(filesystem=filesystem, unsupported=unsupported))
    return load_definition(folder / "own.toml")


def test_access_control_lists_are_refused_where_squashfs_would_lose_them(tmp_path: Path) -> None:
    message = r"slot\.own: squashfs has no place for system\.posix_acl_access of 1 files \(var\); expected another "
    with pytest.raises(NoPlaceError, match=message):
        build_artifact(definition(tmp_path, "squashfs", "refuse"), tmp_path / "out", cache=tmp_path / "cache")
    assert not list((tmp_path / "out").iterdir())


def test_they_are_left_out_where_the_definition_says_so_and_that_is_told(tmp_path: Path) -> None:
    told = Told()
    chosen = definition(tmp_path, "squashfs", "drop")
    artifact = build_artifact(chosen, tmp_path / "out", cache=tmp_path / "cache", progress=told)
    assert "slot.own: squashfs has no place for attributes of 1 files; left out" in told.notes
    assert "squashfs-root/var" in run_tool("unsquashfs", "-lln", artifact.slot)


@pytest.mark.parametrize("filesystem", ["erofs", "ext4"])
def test_other_file_systems_keep_them_whatever_is_said(tmp_path: Path, filesystem: str) -> None:
    told = Told()
    chosen = definition(tmp_path, filesystem, "drop")
    build_artifact(chosen, tmp_path / "out", cache=tmp_path / "cache", progress=told)
    assert not any("no place" in note for note in told.notes)
