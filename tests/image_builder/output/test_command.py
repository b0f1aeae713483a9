"""``image-builder convert``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click.testing
import pytest

from image_builder.cli import main as cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def convert(*argv: str | Path, env: dict[str, str] | None = None) -> Result:
    words = ["convert", *(str(word) for word in argv)]
    return click.testing.CliRunner(env=env).invoke(cli.main, words, prog_name="image-builder")


def test_each_format_gets_a_file_of_its_ending_and_is_named(disk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = convert(disk, "-f", "vhd", "-f", "qcow2", "-f", "bmap", "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"{out}/disk.vhd", f"{out}/disk.qcow2", f"{out}/disk.bmap"]
    assert sorted(path.name for path in out.iterdir()) == ["disk.bmap", "disk.qcow2", "disk.vhd"]


def test_scripts_get_json(disk: Path, tmp_path: Path) -> None:
    result = convert(disk, "-f", "gce", "-o", tmp_path / "out", "--json")
    assert json.loads(result.stdout) == {"gce": f"{tmp_path}/out/disk.tar.gz"}


def test_the_epoch_of_the_environment_is_the_time_of_the_file(disk: Path, tmp_path: Path) -> None:
    result = convert(disk, "-f", "vhd", "-o", tmp_path / "out", env={"SOURCE_DATE_EPOCH": "946684801"})
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out/disk.vhd").read_bytes()[-512:][24:28] == b"\0\0\0\1"


@pytest.mark.parametrize("value", ["yesterday", "-1", "1.5"])
def test_an_epoch_that_is_no_number_is_refused(disk: Path, tmp_path: Path, value: str) -> None:
    result = convert(disk, "-f", "vhd", "-o", tmp_path / "out", env={"SOURCE_DATE_EPOCH": value})
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"image-builder: SOURCE_DATE_EPOCH: is {value!r}; expected whole seconds since 1970 from "
    )
    assert not (tmp_path / "out").exists()


def test_what_is_no_disk_image_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_bytes(b"QFI\xfb" + bytes(4092))
    result = convert(tmp_path / "disk.qcow2", "-f", "vhd", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"image-builder: {tmp_path}/disk.qcow2: ")
    assert not (tmp_path / "out").exists()


def test_a_missing_program_is_named_before_anything_is_written(disk: Path, tmp_path: Path) -> None:
    result = convert(disk, "-f", "vhd", "-f", "qcow2", "-o", tmp_path / "out", env={"PATH": str(tmp_path)})
    assert result.exit_code == 1
    assert result.stderr.startswith("image-builder: qemu-img: not found")
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_a_wrong_usage(disk: Path, tmp_path: Path) -> None:
    assert convert(disk, "-f", "vdi", "-o", tmp_path).exit_code == 2
