"""Partitions for what lasts, judged by the tools of ext4's makers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from image_builder.cache import Cache
from image_builder.content.build import Build
from image_builder.definition.load import parse_definition
from image_builder.errors import DefinitionError
from image_builder.progress import SilentProgress
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from image_builder.distribution.packages import TargetPackages
    from image_builder.run import SystemRunner

EPOCH = 1704067200


@pytest.fixture
def made(runner: SystemRunner, target: TargetPackages, tmp_path: Path) -> Callable[..., Path]:
    """Make a partition of these fields in a folder of its own."""

    def make(name: str, state: dict[str, object] | None = None, **partition: object) -> Path:
        fields: dict[str, Any] = {"label": "STATE", "type": "linux-data", "content": "state", **partition}
        sections = {"image": {"name": "data"}, "state": state or {}, "partition": [fields]}
        definition = parse_definition(tmp_path / "data.toml", sections)
        build = Build(definition, runner, Cache(tmp_path / "cache"), SilentProgress(), target, EPOCH)
        (only,) = definition.partitions
        payload = only.content.payload(build, only)
        assert payload is not None
        (tmp_path / name).mkdir()
        return payload.produce(tmp_path / name)

    return make


@pytest.mark.parametrize("size", ["8M", "32M", "160M"])
def test_it_is_a_whole_empty_ext4_and_the_same_whenever_it_is_built(made: Callable[..., Path], size: str) -> None:
    first, second = made("first", size=size), made("second", size=size)
    run_tool("e2fsck", "-f", "-n", first)
    run_tool("cmp", first, second)
    found = run_tool("blkid", "-p", "-o", "export", first)
    assert "TYPE=ext4\n" in found
    assert "LABEL=STATE\n" in found
    assert "BLOCK_SIZE=4096\n" in found
    assert "has_journal" in run_tool("dumpe2fs", "-h", first)


def test_it_begins_with_the_files_of_a_folder(made: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "seed/lib").mkdir(parents=True)
    (tmp_path / "seed/lib/data").write_bytes(b"data" * 100000)
    (tmp_path / "seed/link").symlink_to("lib/data")
    image = made("made", {"data": {"source": "seed", "owners": "root"}}, content="state.data", size="auto")
    run_tool("e2fsck", "-f", "-n", image)
    run_tool("debugfs", "-R", f"dump lib/data {tmp_path}/read-back", image)
    run_tool("cmp", tmp_path / "seed/lib/data", tmp_path / "read-back")
    assert "lib/data" in run_tool("debugfs", "-R", "stat link", image)
    assert image.stat().st_size % (1 << 20) == 0


@pytest.mark.slow
def test_many_small_files_and_a_large_one_fit_an_automatic_size(made: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "seed").mkdir()
    for number in range(3000):
        (tmp_path / f"seed/{number}-{'x' * 200}").write_bytes(b"1")
    (tmp_path / "seed/large").write_bytes(b"1" * (300 << 20))
    fields = {"content": "state.data", "size": "auto", "headroom": "0%"}
    image = made("made", {"data": {"source": "seed", "owners": "root"}}, **fields)
    run_tool("e2fsck", "-f", "-n", image)
    assert image.stat().st_size < 400 << 20


@pytest.mark.parametrize(("kind", "refused"), [("tiny", True), ("debian", True), ("tree", False)])
def test_two_states_are_not_mounted_at_one_place(tmp_path: Path, kind: str, refused: bool) -> None:
    (tmp_path / "tree").mkdir()
    slot = {"kind": kind, **({"source": "tree"} if kind == "tree" else {})}
    partitions = [
        {"label": "A", "type": "coreos-usr", "size": "64M", "content": "slot.base"},
        {"label": "STATE", "type": "linux-data", "size": "16M", "content": "state"},
        {"label": "DATA", "type": "linux-data", "size": "16M", "content": "state.data"},
    ]
    fields: dict[str, Any] = {
        "image": {"name": "a"},
        "slot": {"base": slot},
        "state": {"data": {}},
        "partition": partitions,
    }
    if not refused:
        parse_definition(tmp_path / "a.toml", fields)
        return
    with pytest.raises(DefinitionError) as caught:
        parse_definition(tmp_path / "a.toml", fields)
    assert [mistake.key for mistake in caught.value.mistakes] == ["partition[3].content"]
    fields["state"]["data"]["mount"] = "/srv"
    parse_definition(tmp_path / "a.toml", fields)


def test_a_section_that_is_in_no_partition_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    partition = {"label": "DATA", "type": "linux-data", "size": "16M", "content": "state"}
    fields = {
        "image": {"name": "a"},
        "esp": {"files": {"/notes": "notes"}},
        "state": {"data": {}},
        "partition": [partition],
    }
    with pytest.raises(DefinitionError) as caught:
        parse_definition(tmp_path / "a.toml", fields)
    assert [mistake.key for mistake in caught.value.mistakes] == ["esp", "state.data"]
