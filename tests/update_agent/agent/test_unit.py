"""The unit of the agent, judged by systemd; and that the agent can do its work with what the unit leaves to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.documentation import ROOT, table
from tests.loopdev import loop, needs_loop
from tests.support import run_tool
from tests.update_agent.updates import two_slots
from update_agent.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT = ROOT / "update_agent/integration/systemd/slotboot-update.service"
KEEPER = UNIT.with_name("slotboot-machine-id.service")
PAGE = ROOT / "docs/update-interfaces.md"
MOST = 2.0


def security(unit: Path) -> float:
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return float(found[1])


def options() -> dict[str, list[str]]:
    """The options of [Service], each with its values."""
    section = UNIT.read_text().partition("[Service]\n")[2].partition("[Install]")[0]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def test_systemd_says_that_little_is_exposed() -> None:
    found = security(UNIT)
    assert found <= MOST
    assert f"gives it {found};" in PAGE.read_text()


@pytest.mark.parametrize("line", ["SystemCallFilter=@system-service", "CapabilityBoundingSet=", "ProtectSystem=strict"])
def test_the_judge_sees_what_is_missing(line: str, tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert f"\n{line}\n" in text
    (tmp_path / UNIT.name).write_text(text.replace(f"\n{line}\n", "\n"))
    assert security(tmp_path / UNIT.name) > security(UNIT)


def test_systemd_finds_no_fault_in_it(tmp_path: Path) -> None:
    # The program is not installed where the tests run, and systemd would say so.
    program = tmp_path / "updatectl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/updatectl", str(program)))
    argv = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_may_write_where_the_settings_say_by_default() -> None:
    found, settings = options(), Settings()
    assert settings.state_folder == f"/var/lib/{found['StateDirectory'][0]}"
    folders = [f"/run/{name}" for name in found["RuntimeDirectory"][0].split()]
    assert settings.run_folder in folders
    assert str(Path(settings.metrics_file).parent) in folders
    assert found["ReadWritePaths"] == ["/run"]


@needs_loop
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
def test_a_slot_is_written_and_armed_with_the_capabilities_that_are_left(
    update: Callable[..., Path], disks: Path
) -> None:
    path = disks / "disk.img"
    path.write_bytes(bytes(two_slots(20).gpt.image()))
    left = options()["CapabilityBoundingSet"][0].lower().replace("cap_", "+").replace(" ", ",+")
    become = ["setpriv", f"--bounding-set=-all{',' if left else ''}{left}", "--inh-caps=-all", "--no-new-privs"]
    folder = update(bytes(range(256)) * 10)
    with loop(path, partitions=True) as device:
        shown = subprocess.run([*become, "grep", "CapEff", "/proc/self/status"], capture_output=True, text=True)
        assert shown.stdout.split() == ["CapEff:", "0" * 16]
        words = ["-m", "update_agent.entry", "install", str(folder), "--target", device, "--slot", "USR-B"]
        done = subprocess.run([*become, sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert [run_tool("cgpt", "show", "-i", "2", flag, path).strip() for flag in ("-P", "-T", "-S")] == ["2", "3", "0"]


def test_the_page_has_every_option_with_its_reason() -> None:
    told = [option for cells in table(PAGE, "## The unit") for option in cells[0].strip("`").split("`, `")]
    assert sorted(told) == sorted(f"{name}={value}" for name, values in options().items() for value in values)
    assert all(cells[1] for cells in table(PAGE, "## The unit"))


def test_the_debian_package_puts_every_file_where_others_look(tmp_path: Path) -> None:
    argv = ["make", "--silent", "-f", "debian/rules", "execute_after_dh_install", f"DESTINATION={tmp_path}"]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    ours = ROOT / "update_agent/integration"
    wanted = {
        "lib/systemd/system/slotboot-update.service": UNIT,
        "lib/systemd/system/slotboot-machine-id.service": KEEPER,
        "usr/share/dbus-1/system.d/com.coreos.update1.conf": ours / "dbus/com.coreos.update1.conf",
        "usr/lib/systemd/catalog/slotboot.catalog": ours / "catalog/slotboot.catalog",
    }
    assert found >= set(wanted)
    assert all((tmp_path / name).read_bytes() == source.read_bytes() for name, source in wanted.items())
    assert {path.name for path in ours.rglob("*") if path.is_file()} == {Path(name).name for name in wanted}
    assert "lib/systemd/system/bootselect-health.service" in found
