"""``updatectl integrate``, judged by the tools that read the files."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.update_agent.updates import refusal, updatectl

if TYPE_CHECKING:
    from pathlib import Path

PLACES = {
    "etc/systemd/system/slotboot-update.service",
    "etc/systemd/system/multi-user.target.wants/slotboot-update.service",
    "etc/systemd/system/slotboot-machine-id.service",
    "etc/systemd/system/multi-user.target.wants/slotboot-machine-id.service",
    "etc/dbus-1/system.d/com.coreos.update1.conf",
    "usr/lib/systemd/catalog/slotboot.catalog",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    (tmp_path / "usr/local/bin/updatectl").touch(mode=0o755)
    return tmp_path


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file()} - {
        "usr/local/bin/updatectl"
    }


def test_everything_is_put_in_place_and_taken_out_again(root: Path) -> None:
    words = ["integrate", "systemd", "dbus", "journal", "--root", root]
    assert updatectl(*words).exit_code == 0
    assert files(root) == PLACES
    assert (
        "ExecStart=/usr/local/bin/updatectl agent" in (root / "etc/systemd/system/slotboot-update.service").read_text()
    )
    assert "everything is in place" in updatectl(*words).stdout
    listed = json.loads(updatectl("integrate", "--list", "--json", "--root", root).stdout)
    assert {entry["state"] for entry in listed} == {"in place"}
    assert updatectl(*words, "--remove").exit_code == 0
    assert files(root) == set()


def test_the_tools_understand_what_is_there(root: Path) -> None:
    updatectl("integrate", "systemd", "dbus", "journal", "--root", root)
    ET.parse(root / "etc/dbus-1/system.d/com.coreos.update1.conf")  # noqa: S314  (ours)
    done = subprocess.run(
        ["journalctl", "--update-catalog", f"--root={root}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_program_nothing_is_written(tmp_path: Path) -> None:
    assert "the units start this command" in refusal(updatectl("integrate", "systemd", "--root", tmp_path))
    assert files(tmp_path) == set()


def test_what_somebody_changed_is_left(root: Path) -> None:
    updatectl("integrate", "dbus", "--root", root)
    policy = root / "etc/dbus-1/system.d/com.coreos.update1.conf"
    policy.write_text(policy.read_text().replace("GetStatus", "ResetStatus"))
    before = policy.read_text()
    assert "changed" in refusal(updatectl("integrate", "dbus", "--root", root))
    assert policy.read_text() == before
