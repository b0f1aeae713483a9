"""A slot is good only when all required checks passed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from bootselect.active import Active
from bootselect.cli import health
from bootselect.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, name: str, script: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, *options: str) -> Result:
        return CliRunner().invoke(main, ["health", "--folder", str(self.path), *options])

    def checks(self, *options: str) -> dict[str, str]:
        return {check["name"]: check["problem"] for check in json.loads(self.run("--json", *options).stdout)["checks"]}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "health.d")


def test_without_checks_a_system_is_healthy(folder: Folder) -> None:
    assert folder.run().exit_code == 0


def test_all_required_checks_must_pass(folder: Folder) -> None:
    folder.add("required.d/10-net", "exit 0")
    folder.add("20-plain", "true")
    folder.add("green.d/motd", "echo green")
    folder.add("red.d/alarm", "echo red")
    assert folder.checks() == {"10-net": "", "20-plain": "", "motd": ""}
    folder.add("required.d/30-disk", "echo full; exit 3")
    assert folder.checks() == {"10-net": "", "20-plain": "", "30-disk": "exited with 3", "alarm": ""}
    result = folder.run()
    assert result.exit_code == 1
    assert "health check failed: 30-disk" in result.stderr
    assert "full" in result.stdout


def test_wanted_checks_are_only_reported(folder: Folder) -> None:
    folder.add("wanted.d/clock", "exit 1")
    result = folder.run()
    assert result.exit_code == 0
    assert "wanted check clock exited with 1" in result.stderr


def test_a_check_that_hangs_with_a_child_is_ended(folder: Folder) -> None:
    folder.add("required.d/hang", "sleep 1000 & wait")
    assert folder.checks("--timeout", "0.3") == {"hang": "took longer than 0.3 s"}


def test_what_cannot_be_run_has_not_passed(folder: Folder) -> None:
    folder.add("required.d/broken", "true")
    (folder.path / "required.d/broken").write_text("#!/no/such/interpreter\n")
    (folder.path / "required.d/README").write_text("not executable: not a check")
    assert folder.checks() == {"broken": "cannot be run: No such file or directory"}


def test_the_administrator_replaces_a_check_of_the_vendor(tmp_path: Path) -> None:
    vendor, admin = Folder(tmp_path / "usr"), Folder(tmp_path / "etc")
    vendor.add("required.d/net", "exit 1")
    admin.add("required.d/net", "exit 0")
    assert vendor.run("--folder", str(admin.path)).exit_code == 0


@pytest.mark.parametrize(("state", "reboots"), [((2, 2, 0), True), ((2, 0, 1), False)])
def test_only_a_slot_that_has_not_proved_itself_is_left_by_a_reboot(
    folder: Folder,
    slot_image: Callable[..., SlotImage],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    state: tuple[int, int, int],
    reboots: bool,
) -> None:
    image = slot_image((1, 0, 1), state)
    marker = tmp_path / "rebooted"
    monkeypatch.setattr(health, "find_active", lambda: Active(str(image.path), 4, "test"))
    monkeypatch.setattr(health, "REBOOT", ("touch", str(marker)))
    folder.add("required.d/fails", "exit 1")
    assert folder.run("--reboot").exit_code == 1
    assert marker.exists() == reboots


def test_a_folder_that_is_called_like_an_option_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives the path of a script to its interpreter as an argument."""
    monkeypatch.chdir(tmp_path)
    folder = Folder(Path("-o,x"))
    folder.add("required.d/10-good", "exit 0")
    result = CliRunner().invoke(main, ["health", "--folder", "-o,x", "--json"])
    assert result.exit_code == 0, result.output
    assert [check["problem"] for check in json.loads(result.stdout)["checks"]] == [""]
