"""A system of the user's own: a Debian root tree in a tarball, and an ordinary user who makes an A/B disk and its updates of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.hardware import Hardware
from qemu_tests.harness.shared import shared_result
from qemu_tests.harness.tools import run_tool
from qemu_tests.story.debian import COMPILED, build_in_debian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine

pytestmark = pytest.mark.vm
PACKAGES = (
    *("systemd-sysv", "dbus", "udev", "login", "util-linux", "iputils-ping", "sudo"),
    *("python3", "python3-click", "python3-construct", "python3-crcmod"),
)
TARBALL = rf"""
set -e
cp -r bootselect gptlib update_agent "$1/usr/lib/python3/dist-packages/"
printf '%s\n' '#!/usr/bin/python3' 'from bootselect.cli.main import main' 'main()' >"$1/usr/bin/bootselect"
printf '%s\n' '#!/usr/bin/python3' 'from update_agent.entry import main' 'main()' >"$1/usr/bin/updatectl"
chmod +x "$1/usr/bin/bootselect" "$1/usr/bin/updatectl"
cp bootselect/integration/systemd/*.service "$1/usr/lib/systemd/system/"
chroot "$1" systemctl --quiet enable bootselect-health.service bootselect-mark-good.service
{COMPILED}# Nothing of these is needed, and under emulation they take most of the time.
chroot "$1" systemctl --quiet mask getty@tty1.service apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-tmpfiles-clean.timer \
    systemd-update-utmp.service systemd-hwdb-update.service
chroot "$1" systemctl --quiet set-default multi-user.target
sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
echo 'tmpfs /var tmpfs mode=0755 0 0' >"$1/etc/fstab"
: >"$1/etc/machine-id"
rm -f "$1/var/lib/dbus/machine-id"
rm -rf "$1/var/lib/apt/lists" "$1/var/cache/apt"
tar --create --file="$2/root.tar" --directory="$1" --numeric-owner --xattrs --xattrs-include='*' --sort=name \
    --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' .
"""
"""Run by mmdebstrap outside of the new Debian: $1 is its root, $2 the folder for the tarball of it."""
DEFINITION = """
[image]
name = "own"

[boot]
kind = "uki"
cmdline = "systemd.show_status=1"
{boot}

[slot.debian]
kind = "tar"
source = "root.tar"
{slot}

[[partition]]
label = "EFI-SYSTEM"
type = "esp"
size = "64M"
content = "esp"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "auto"
content = "slot.debian"
priority = 1
successful = true

[[partition]]
label = "USR-B"
type = "coreos-usr"
size = "auto"
"""
SOURCES = ("bootselect", "gptlib", "update_agent")
"""What goes into the tarball."""
CHECK = "/etc/bootselect/health.d/required.d/50-never"
ORDINARY = 12345
"""The number of a user who is nobody."""


@dataclass(frozen=True)
class Own:
    """The disk with version 1, and the media of versions 2 and 3, of which the latter is broken."""

    image: Path
    good: Path
    bad: Path


@pytest.fixture(scope="session")
def tarball(slotboot_folder: Path) -> Path:
    """A Debian with systemd and our tools, as a tar archive of some 200 MB."""

    def build() -> str:
        return str(build_in_debian(PACKAGES, TARBALL, "debian-tarball", SOURCES) / "root.tar")

    return Path(shared_result(slotboot_folder, "debian-tarball", build))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder of an ordinary user; pytest's own is closed to everybody else where root runs it."""
    if os.geteuid():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="slotboot-own-") as folder:
        os.chown(folder, ORDINARY, ORDINARY)
        yield Path(folder)


def built_by_a_user(tarball: Path, home: Path, *, boot: str, slot: str) -> Own:
    """Version 1 by ``build``, 2 and 3 by ``artifacts``, each with one file changed; by somebody who is not root."""
    shutil.copyfile(tarball, home / "root.tar")
    (home / "own.toml").write_text(DEFINITION.format(boot=boot, slot=slot))
    (home / "os-release").write_text('ID=debian\nPRETTY_NAME="Own system 2"\nIMAGE_VERSION=2\n')
    (home / "never").write_text("#!/bin/sh\nexit 1\n")
    (home / "never").chmod(0o755)
    image_builder(home, "build")
    for version, change in (("2", f"/etc/os-release={home}/os-release"), ("3", f"{CHECK}={home}/never")):
        image_builder(home, "artifacts", f"--version={version}", f"--file={change}")
    return Own(home / "own.raw", home / "own_2_debian.update", home / "own_3_debian.update")


def image_builder(home: Path, command: str, *options: str) -> None:
    program = Path(sys.executable).with_name("image-builder")
    words = ("env", f"SLOTBOOT_CACHE={home}/cache", f"HOME={home}", str(program), command, f"{home}/own.toml")
    run_tool(*ordinary_user(program), *words, f"--output={home}", *options)


def ordinary_user(program: Path) -> tuple[str, ...]:
    """What runs a command as somebody who is not root; nothing where that is so already, or where the checkout is root's alone."""
    user = ("setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups")
    if os.geteuid():
        return ()
    reachable = subprocess.run([*user, "test", "-x", program], check=False).returncode == 0
    return user if reachable else ()


def comes_up(machine: Machine) -> None:
    machine.login("root")
    machine.wait_for_unit("bootselect-mark-good.service")


def updated_and_rolled_back(machine: Machine, own: Own, nodes: Mapping[str, str]) -> None:
    """The whole life of a slot; ``nodes`` say what the root of each slot is mounted from."""
    machine.boot(medium=own.good)
    comes_up(machine)
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "0/0/0"}
    assert root_of(machine) == nodes["USR-A"]
    assert machine.run("updatectl install --tries=1 /dev/vdb").exit == 0
    machine.reboot()
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/1/0"}

    machine.resume("version 2 is tried")
    comes_up(machine)
    assert root_of(machine) == nodes["USR-B"]
    assert "IMAGE_VERSION=2" in machine.run("cat /etc/os-release").output
    machine.power_off()
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/1"}

    machine.boot(medium=own.bad)
    comes_up(machine)
    assert machine.run("updatectl install --tries=1 /dev/vdb").exit == 0
    machine.reboot()
    machine.resume("version 3 is tried")
    assert machine.wait_for_boundary(240).kind == "reboot"
    assert machine.judge().slots == {"USR-A": "2/0/0", "USR-B": "1/0/1"}
    machine.resume("nobody did anything")
    comes_up(machine)
    assert "IMAGE_VERSION=2" in machine.run("cat /etc/os-release").output


def root_of(machine: Machine) -> str:
    return machine.run("findmnt --noheadings --output=SOURCE,FSTYPE /").output.strip()


def test_a_debian_in_a_tarball_is_updated_and_rolled_back_as_a_sealed_erofs(
    tarball: Path, home: Path, slotboot_machines: MakeMachine
) -> None:
    own = built_by_a_user(tarball, home, boot='verity = "required"', slot="verity = true")
    machine = slotboot_machines(own.image, "own-erofs", hardware=Hardware(memory=768))
    updated_and_rolled_back(machine, own, {"USR-A": "/dev/dm-0 erofs", "USR-B": "/dev/dm-0 erofs"})


def test_a_debian_in_a_tarball_is_updated_and_rolled_back_as_a_squashfs(
    tarball: Path, home: Path, slotboot_machines: MakeMachine
) -> None:
    own = built_by_a_user(tarball, home, boot="", slot='filesystem = "squashfs"\nunsupported = "drop"')
    machine = slotboot_machines(own.image, "own-squashfs", hardware=Hardware(memory=768))
    updated_and_rolled_back(machine, own, {"USR-A": "/dev/vda2 squashfs", "USR-B": "/dev/vda3 squashfs"})


def test_a_debian_that_the_builder_makes_boots_and_compiles_nothing_again(
    tmp_path: Path, slotboot_machines: MakeMachine
) -> None:
    hook = tmp_path / "hook"
    hook.write_text('#!/bin/sh\nexec chroot "$1" passwd --quiet --delete root\n')
    hook.chmod(0o755)
    own = DEFINITION.format(boot="", slot=f'packages = ["login"]\nhook = "{hook}"').replace(
        'kind = "tar"\nsource = "root.tar"', 'kind = "debian"'
    )
    (tmp_path / "own.toml").write_text(own)
    run_tool(
        str(Path(sys.executable).with_name("image-builder")), "build", f"{tmp_path}/own.toml", f"--output={tmp_path}"
    )
    machine = slotboot_machines(tmp_path / "own.raw", "own-debian", hardware=Hardware(memory=512))
    machine.boot()
    comes_up(machine)
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "0/0/0"}
    modules = "bootselect.cli.main, update_agent.cli.main, click, construct"
    said = machine.run(
        f"python3 -v -c 'import {modules}' 2>&1 | grep -e 'bytecode is stale' -e 'code object from .*py$'"
    )
    assert (said.exit, said.output.strip()) == (1, "")
