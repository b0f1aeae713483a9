"""The command line of QEMU: pure, from what a machine is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.accel import QEMU
from qemu_tests.harness.control import PORT_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.firmware import Firmware

DISK_NODE, UPDATE_NODE = "disk", "update"


@dataclass(frozen=True)
class Hardware:
    """What the machines have: memory in MiB and processors. One processor is enough, and with TCG no slower.

    ``watchdog``: an Intel 6300ESB that resets the machine.
    """

    memory: int = 256
    cpus: int = 1
    watchdog: bool = False


@dataclass(frozen=True)
class DirectKernel:
    """A kernel that QEMU starts itself, on a machine with an old BIOS, which does nothing to the disk.

    UEFI firmware (EDK2) restores a damaged copy of a partition table before anything on the disk runs. Whoever wants to see
    what the disk's own software does with the damage boots it in this way.
    """

    kernel: Path
    initramfs: Path
    command_line: str


@dataclass(frozen=True)
class Wires:
    """The descriptors of QEMU's ends of the sockets."""

    monitor: int
    serial: int
    control: int
    disk: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them."""
        return self.monitor, self.serial, self.control, self.disk


def firmware_arguments(firmware: Firmware, variables: Path) -> list[str]:
    """The machine type, with the firmware and its variable store in their flash chips."""
    code = {"driver": "file", "node-name": "code", "filename": str(firmware.code), "read-only": True}
    store = {"driver": "file", "node-name": "vars", "filename": str(variables)}
    return [
        *("-blockdev", json.dumps(code)),
        *("-blockdev", json.dumps(store)),
        *("-machine", "q35,pflash0=code,pflash1=vars"),
    ]


def kernel_arguments(direct: DirectKernel) -> list[str]:
    """The machine type, with a kernel and without UEFI."""
    return [
        *("-machine", "q35"),
        *("-kernel", str(direct.kernel)),
        *("-initrd", str(direct.initramfs)),
        *("-append", direct.command_line),
    ]


def common_arguments(accelerator: Accelerator, hardware: Hardware) -> list[str]:
    """Accelerator, processor and memory, and nothing that was not asked for."""
    return [
        *(QEMU, "-nodefaults", "-no-user-config"),
        *("-accel", accelerator.name),
        *("-cpu", accelerator.cpu),
        *("-m", str(hardware.memory)),
        *("-smp", str(hardware.cpus)),
        *("-nic", "none"),
        *(("-device", "i6300esb", "-action", "watchdog=reset") if hardware.watchdog else ()),
    ]


def disk_arguments(disk: int, update: Mapping[str, object] | None, *, read_only: bool = False) -> list[str]:
    """The disk that is booted (``/dev/vda``), behind the descriptor of a connected NBD server, and the update medium.

    That one is ``/dev/vdb``, read-only, a ``-blockdev`` object. Errors of the disk are the guest's.
    """
    node = {
        "driver": "nbd",
        "node-name": DISK_NODE,
        "server": {"type": "fd", "str": str(disk)},
        "export": DISK_NODE,
        "read-only": read_only,
    }
    arguments = [
        *("-blockdev", json.dumps(node)),
        *("-device", f"virtio-blk-pci,drive={DISK_NODE},bootindex=1,werror=report,rerror=report"),
    ]
    if update is not None:
        arguments += [
            *("-blockdev", json.dumps(update)),
            *("-device", f"virtio-blk-pci,drive={UPDATE_NODE}"),
        ]
    return arguments


def update_blockdev(path: Path, file_format: str) -> dict[str, object]:
    """The ``-blockdev`` of an update medium."""
    file = {"driver": "file", "filename": str(path.resolve()), "read-only": True}
    return {"node-name": UPDATE_NODE, "driver": file_format, "read-only": True, "file": file}


def bench_arguments(wires: Wires) -> list[str]:
    """What the harness holds the machine by: paused at the start and at every boot boundary, console, monitor, control."""
    return [
        "-S",
        *("-display", "none"),
        *("-action", "reboot=shutdown,shutdown=pause"),
        *("-chardev", f"socket,id=monitor,fd={wires.monitor}"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"socket,id=serial,fd={wires.serial}"),
        *("-serial", "chardev:serial"),
        *control_arguments(f"socket,id=control,fd={wires.control}"),
    ]


def control_arguments(chardev: str) -> list[str]:
    """The control port, on a character device with the id ``control``."""
    return [
        *("-chardev", chardev),
        *("-device", "virtio-serial-pci"),
        *("-device", f"virtserialport,chardev=control,name={PORT_NAME}"),
    ]
