"""The command ``bootlab``: one line for everything that is wrong."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from qemu_tests import cli
from qemu_tests.harness.accel import Accelerator
from qemu_tests.report.files import write_report
from tests.qemu_tests.report import sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Accelerator:
    found = Accelerator("tcg", "there is no /dev/kvm", 0.4)
    monkeypatch.setattr(cli, "probe", lambda: found)
    return found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(4 << 20))
    return path


def bootlab(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def test_what_an_error_quotes_is_shown_escaped(tmp_path: Path) -> None:
    assert r"no\n\x1b[2Jsuch" in refused(bootlab("boot", tmp_path / "no\n\x1b[2Jsuch"))


def refused(result: Result) -> str:
    assert result.exit_code == 1
    assert result.stdout == ""
    line, rest = result.stderr.split("\n", 1)
    assert rest == ""
    return line


def test_the_command_line_can_be_shown_instead_of_run(image: Path) -> None:
    argv = shlex.split(bootlab("boot", image, "--print").stdout)
    assert argv[0] == "qemu-system-x86_64"
    assert f"if=none,id=disk,format=raw,file={image}" in argv


def test_the_terminal_is_handed_over_to_qemu(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(cli, "_become", lambda _, argv: became.append(argv))
    result = bootlab("boot", image)
    assert result.exit_code == 0
    assert became[0][0] == "qemu-system-x86_64"
    assert "Leave with Ctrl-A X" in result.stderr


def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    assert refused(bootlab("boot", tmp_path / "none.raw")) == (
        f"bootlab: {tmp_path}/none.raw: there is no such image; build one with image-builder"
    )


def test_an_update_that_is_not_there(image: Path, tmp_path: Path) -> None:
    assert "none.update: there is no such image" in refused(
        bootlab("boot", image, "--update", tmp_path / "none.update")
    )


def test_a_truncated_image(image: Path) -> None:
    image.write_bytes(bytes(512))
    assert "it has 512 bytes, too few for a disk with partitions" in refused(bootlab("boot", image))


def test_missing_firmware(image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("qemu_tests.harness.hardware.firmware._X86_64", ((tmp_path / "CODE.fd", tmp_path),))
    assert refused(bootlab("boot", image)).endswith("install it (Debian: apt-get install ovmf)")


def test_an_image_that_cannot_be_written_is_booted_with_snapshot_only(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_writable", lambda _: False)
    assert "it cannot be written; give --snapshot" in refused(bootlab("boot", image, "--print"))
    assert bootlab("boot", image, "--print", "--snapshot").exit_code == 0


def test_the_probe_says_what_and_why(accelerator: Accelerator) -> None:
    assert bootlab("probe").stdout == "tcg: there is no /dev/kvm\n"
    assert json.loads(bootlab("probe", "--json").stdout) == {
        "name": accelerator.name,
        "reason": accelerator.reason,
        "seconds": accelerator.seconds,
    }


def test_usage_errors_have_their_own_exit_code() -> None:
    assert bootlab("boot").exit_code == 2


def test_the_page_of_a_run_is_drawn_from_its_json(tmp_path: Path) -> None:
    data = write_report(sample.full(), tmp_path / "first.html")
    result = bootlab("report", data, "-o", tmp_path / "again.html")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/again.html\n")
    assert (tmp_path / "again.html").read_text() == (tmp_path / "first.html").read_text()


def test_what_is_no_report_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    line = refused(bootlab("report", tmp_path / "other.json", "-o", tmp_path / "page.html"))
    assert line.startswith(f"bootlab: {tmp_path}/other.json: no report of slotboot: format: ")
    assert "cannot read the report" in refused(bootlab("report", tmp_path / "none", "-o", tmp_path / "page.html"))
    assert not (tmp_path / "page.html").exists()
    data = write_report(sample.full(), tmp_path / "first.html")
    assert "cannot write the report" in refused(bootlab("report", data, "-o", data / "page.html"))


def test_a_machine_is_run_by_hand_on_a_terminal_only(image: Path) -> None:
    line = subprocess.run(
        [sys.executable, "-c", "from qemu_tests.cli import main; main()", "run", image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (line.returncode, line.stdout) == (1, "")
    assert line.stderr == (
        "bootlab: standard input and output: no terminal; 'bootlab run' needs one, 'bootlab boot' works in a pipe\n"
    )
