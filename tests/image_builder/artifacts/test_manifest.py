"""The manifest, and the versions of the tools in it."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import TYPE_CHECKING

import pytest

from gptlib import __version__
from image_builder.artifacts.manifest import Manifest
from image_builder.artifacts.tools import tool_versions
from image_builder.errors import MissingToolError
from image_builder.run import SystemRunner
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
MANIFEST = Manifest(
    name="shop",
    version="2.1",
    slot="base",
    slot_type="coreos-usr",
    size=48 * MIB,
    sha256="ab" * 32,
    filesystem="erofs",
    compression="lz4hc",
    root_hash="cd" * 32,
    limit=64 * MIB,
    kernels=("6.1.0-40-amd64",),
    own_kernel=True,
    packages=141,
    tools={"mkfs.erofs": "mkfs.erofs 1.5", "gzip": "gzip 1.12"},
    epoch=1704067200,
)


def test_the_fields_are_what_a_pipeline_reads() -> None:
    assert json.loads(MANIFEST.to_json()) == {
        "format": 1,
        "name": "shop",
        "version": "2.1",
        "slot": "base",
        "slot-type": "coreos-usr",
        "size": 50331648,
        "sha256": "ab" * 32,
        "filesystem": "erofs",
        "compression": "lz4hc",
        "verity-root-hash": "cd" * 32,
        "fill-percent": 75.0,
        "fill-limit": 67108864,
        "kernels": ["6.1.0-40-amd64"],
        "own-kernel": True,
        "packages": 141,
        "tools": {"gzip": "gzip 1.12", "mkfs.erofs": "mkfs.erofs 1.5"},
        "builder": f"slotboot {__version__}",
        "source-date-epoch": 1704067200,
    }


def test_what_nobody_knows_is_null() -> None:
    fields = json.loads(replace(MANIFEST, root_hash=None, packages=None).to_json())
    assert (fields["verity-root-hash"], fields["packages"]) == (None, None)


@pytest.mark.parametrize(
    ("size", "fill", "warned"),
    [(1, 0.1, False), (900, 90.0, False), (901, 90.1, True), (999, 99.9, True), (1000, 100.0, True)],
)
def test_the_fill_of_the_smallest_partition_and_when_to_warn(size: int, fill: float, warned: bool) -> None:
    found = replace(MANIFEST, size=size, limit=1000)
    assert (found.fill, found.is_nearly_full) == (fill, warned)


def test_a_slot_just_short_of_full_never_reads_as_less_than_it_is() -> None:
    assert replace(MANIFEST, size=64 * MIB - 1).fill == 100.0
    assert replace(MANIFEST, size=64 * MIB * 9 // 10 + 1).is_nearly_full


def test_the_order_of_the_tools_changes_nothing() -> None:
    other = replace(MANIFEST, tools=dict(reversed([*MANIFEST.tools.items()])))
    assert other.to_json() == MANIFEST.to_json()
    with pytest.raises(FrozenInstanceError):
        other.name = "another"  # type: ignore[misc]


TOOLS = {
    "mkfs.erofs": "erofs-utils",
    "mksquashfs": "squashfs-tools",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.fat": "dosfstools",
    "veritysetup": "cryptsetup-bin",
}


@pytest.mark.parametrize(("tool", "package"), TOOLS.items())
def test_the_version_of_a_tool_is_that_of_its_package(tool: str, package: str) -> None:
    version = run_tool("dpkg-query", "-W", "-f", "${source:Upstream-Version}", package).partition(":")[2] or run_tool(
        "dpkg-query", "-W", "-f", "${source:Upstream-Version}", package
    )
    (line,) = tool_versions(SystemRunner(), [tool]).values()
    assert version in line
    assert "/" not in line.replace("(2022/03/17)", "")


def test_each_tool_is_named_once_in_the_order_of_the_alphabet() -> None:
    asked = []

    def ask(path: str, argv: list[str]) -> str:
        asked.append((path, argv))
        return f"\n  {argv[0]}   3.1 \nmore 4.0\n"

    found = tool_versions(SystemRunner(), ["zstd", "gzip", "zstd"], ask=ask)
    assert list(found.items()) == [("gzip", "gzip 3.1"), ("zstd", "zstd 3.1")]
    assert [argv for _, argv in asked] == [["gzip", "--version"], ["zstd", "--version"]]


def test_a_tool_that_says_nothing_is_unknown_and_one_that_is_missing_an_error(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    runner = SystemRunner({"PATH": str(tmp_path)})
    assert tool_versions(runner, ["silent"]) == {"silent": "unknown"}
    with pytest.raises(MissingToolError):
        tool_versions(runner, ["gone"])
