"""What cannot be built is refused with one line and exit code 1, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click.testing
import pytest

from image_builder import api
from image_builder.cli.main import main
from image_builder.errors import MissingToolError
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from click.testing import Result

MINIMAL = Path(__file__).parents[3] / "examples/minimal.toml"


def image_builder(*argv: str | Path) -> Result:
    return click.testing.CliRunner().invoke(main, [str(word) for word in argv], prog_name="image-builder")


def assert_refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 1, result.output
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("image-builder: ")
    for part in parts:
        assert part in lines[-1]
    assert result.stdout == ""


def changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = MINIMAL.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "changed.toml").write_text(text)
    return tmp_path / "changed.toml"


def test_a_definition_that_is_wrong(tmp_path: Path) -> None:
    path = changed(tmp_path, ('size = "32M"', 'size = "32"'))
    assert_refused(
        image_builder("build", path, "-o", tmp_path / "out"), f"{path}:47: partition[4].size: is '32'; expected"
    )
    assert not (tmp_path / "out").exists()


def test_a_definition_that_is_not_there(tmp_path: Path) -> None:
    assert_refused(
        image_builder("build", tmp_path / "no.toml", "-o", tmp_path), f"{tmp_path}/no.toml: cannot be read: No such"
    )


def test_a_slot_that_is_too_small(tmp_path: Path) -> None:
    path = changed(tmp_path, ('size = "48M"', 'size = "4M"'))
    for command in ("build", "artifacts"):
        result = image_builder(command, path, "-o", tmp_path / "out")
        assert_refused(result, "bytes do not fit into partition USR-A of 4194304 bytes; make partition USR-A at least")
        assert list((tmp_path / "out").iterdir()) == []


def test_an_update_that_would_fit_into_one_slot_only(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ('label = "USR-B"\ntype = "coreos-usr"\nsize = "48M"', 'label = "USR-B"\ntype = "coreos-usr"\nsize = "4M"'),
    )
    result = image_builder("artifacts", path, "-o", tmp_path / "out")
    assert_refused(result, "do not fit into partition USR-B of 4194304 bytes")


def test_an_esp_that_is_too_small(tmp_path: Path) -> None:
    path = changed(tmp_path, ('size = "64M"', 'size = "8M"'))
    result = image_builder("build", path, "-o", tmp_path / "out")
    assert_refused(
        result, "bytes do not fit into partition EFI-SYSTEM of 8388608 bytes; make partition EFI-SYSTEM at least"
    )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("command", ["build", "artifacts"])
def test_a_place_that_is_no_folder(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    result = image_builder(command, MINIMAL, "-o", tmp_path / "file/out")
    assert_refused(
        result, f"{tmp_path}/file/out: cannot be written: Not a directory; give a folder that you may write to"
    )


def test_a_version_that_cannot_be(tmp_path: Path) -> None:
    result = image_builder("artifacts", MINIMAL, "-o", tmp_path, "--version", "two words")
    assert_refused(result, "slot.base.version: is 'two words'; expected")


def test_a_file_that_cannot_be_laid_over_the_slot(tmp_path: Path) -> None:
    command: list[str | Path] = ["artifacts", MINIMAL, "-o", tmp_path / "out", "--file"]
    assert_refused(
        image_builder(*command, f"etc/x={MINIMAL}"), f"{MINIMAL}: slot.base.files: 'etc/x' is not a path in it"
    )
    assert not (tmp_path / "out").exists()
    # That this is a folder only the tree shows.
    assert_refused(image_builder(*command, f"/usr/bin={MINIMAL}"), "slot.files: /usr/bin is a folder of the slot; give")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_kernel_module_that_there_is_not(tmp_path: Path) -> None:
    path = changed(tmp_path, ('version = "1"', 'version = "1"\nmodules = ["xyzzy"]'))
    assert_refused(image_builder("artifacts", path, "-o", tmp_path / "out"), "kernel module xyzzy: ")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("image_builder.disk.assemble.copy_into", full)
    result = image_builder("build", MINIMAL, "-o", tmp_path)
    assert_refused(result, "No space left on device")
    assert list(tmp_path.iterdir()) == []


class WithoutTool(SystemRunner):
    def __init__(self, missing: str) -> None:
        super().__init__()
        self.missing = missing

    def tool(self, name: str) -> str:
        if name == self.missing:
            raise MissingToolError(name, f"package-of-{name}")
        return super().tool(name)


@pytest.mark.parametrize("tool", ["mkfs.fat", "mcopy", "mkfs.ext4", "mkfs.erofs", "objcopy", "lz4"])
def test_a_missing_tool_is_told_before_anything_is_done(tmp_path: Path, tool: str) -> None:
    with pytest.raises(MissingToolError, match=f"{tool}: not found .* apt-get install package-of-{tool}"):
        api.build_image(MINIMAL, tmp_path / "out", runner=WithoutTool(tool), cache=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no table" * 1000])
def test_showing_what_is_no_disk(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert_refused(image_builder("show", tmp_path / "file"), f"{tmp_path}/file: no GUID partition table: ")


def test_showing_what_is_not_there(tmp_path: Path) -> None:
    assert_refused(image_builder("show", tmp_path / "file"), f"{tmp_path}/file: cannot be opened: No such file")


@pytest.mark.parametrize(
    "argv", [["build"], ["build", "x"], ["bulid"], ["artifacts", "x", "-o", "y", "--file", "/etc/x"], ["show"]]
)
def test_wrong_usage_exits_2(argv: list[str]) -> None:
    assert image_builder(*argv).exit_code == 2
