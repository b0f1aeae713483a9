"""GRUB configurations, judged by GRUB's own syntax check."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from image_builder.cli.main import main
from tests.support import run_tool

if TYPE_CHECKING:
    from image_builder.distribution.packages import TargetPackages

EXAMPLES = Path(__file__).parents[3] / "examples"


def grub_cfg(*argv: str) -> str:
    result = CliRunner().invoke(main, ["grub-cfg", str(EXAMPLES / "minimal.toml"), *argv])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("options", [[], ["--gptprio"]], ids=["plain", "gptprio"])
def test_grub_understands_it(target: TargetPackages, options: list[str]) -> None:
    check = target.package("grub-common").root / "usr/bin/grub-script-check"
    subprocess.run([check], input=grub_cfg(*options).encode(), check=True)


def test_every_slot_has_its_kernel_and_the_choice_is_passed_on(tmp_path: Path) -> None:
    text = grub_cfg("--gptprio")
    assert "gptprio.next -d usr_device -u usr_uuid" in text
    assert "usr=PARTUUID=$usr_uuid" in text
    # The UUIDs that sgdisk reads from an image of the same definition.
    result = CliRunner().invoke(main, ["build", str(EXAMPLES / "minimal.toml"), "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for number, name in ((2, "usr-a"), (3, "usr-b")):
        info = run_tool("sgdisk", "-i", str(number), tmp_path / "minimal.raw")
        uuid = next(line.rpartition(" ")[2] for line in info.splitlines() if "unique GUID" in line).lower()
        assert f'= "{uuid}" ]; then set slot_kernel=/slotboot/vmlinuz-{name}; ' in text


def test_a_kernel_that_the_selector_has_to_work_under_gets_what_it_needs() -> None:
    line = next(line for line in grub_cfg().splitlines() if line.strip().startswith("linux "))
    assert {"gpt", "panic=-1"} <= set(line.split())


def test_a_definition_that_boots_nothing_is_refused(tmp_path: Path) -> None:
    definition = tmp_path / "data.toml"
    definition.write_text('[image]\nname = "data"\n[[partition]]\nlabel = "D"\ntype = "linux-data"\nsize = "8M"\n')
    result = CliRunner().invoke(main, ["grub-cfg", str(definition)])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
