"""The command line of QEMU: pure, from what a machine is made of. Nothing else knows QEMU's options."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.control import PORT_ID, PORT_NAME
from qemu_tests.harness.hardware.values import DirectKernel, Uefi, UserNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.hardware.values import Firmware, Hardware

PROGRAMS = {"x86_64": "qemu-system-x86_64", "aarch64": "qemu-system-aarch64"}
_MACHINES = {"x86_64": "q35", "aarch64": "virt"}


@dataclass(frozen=True)
class Backend:
    """Where the contents of a drive come from: ``arguments`` define them under ``name``."""

    name: str
    arguments: tuple[str, ...]


def served(name: str, descriptor: int, *, read_only: bool = False) -> Backend:
    """Behind the descriptor of a connected NBD server."""
    server = {"type": "fd", "str": str(descriptor)}
    node = {"driver": "nbd", "node-name": name, "server": server, "export": name, "read-only": read_only}
    return Backend(name, ("-blockdev", json.dumps(node)))


def read_only_file(name: str, path: Path, file_format: str = "raw") -> Backend:
    """A file that is never written, whatever its name."""
    file = {"driver": "file", "filename": str(path.resolve()), "read-only": True}
    node = {"node-name": name, "driver": file_format, "read-only": True, "file": file}
    return Backend(name, ("-blockdev", json.dumps(node)))


def file_of_ours(name: str, path: Path, file_format: str = "raw", *, snapshot: bool = False) -> Backend:
    """A file that the machine writes; with ``snapshot`` all of that is thrown away at the end."""
    # A comma in a path would begin the next option.
    file = str(path.resolve()).replace(",", ",,")
    return Backend(name, ("-drive", f"if=none,id={name},format={file_format}{',snapshot=on' * snapshot},file={file}"))


@dataclass(frozen=True)
class Assembly:
    """A machine with all its drives. ``firmware`` is that of this boot; ``code`` and ``variables`` are there for ``Uefi``.

    ``sockets`` has QEMU's descriptors by name: ``nic0`` and so on for private networks, with ``macs`` by the same names, and ``tpm``.
    """

    hardware: Hardware
    accelerator: Accelerator
    firmware: Firmware
    disk: Backend
    code: Backend | None = None
    variables: Backend | None = None
    update: Backend | None = None
    sockets: Mapping[str, int] | None = None
    macs: Mapping[str, str] | None = None


def machine_arguments(assembly: Assembly) -> list[str]:
    """The program and everything that the guest can see, and nothing that was not asked for."""
    hardware = assembly.hardware
    return [
        *(PROGRAMS[hardware.arch], "-nodefaults", "-no-user-config"),
        *_firmware(assembly),
        *("-accel", assembly.accelerator.name),
        *("-cpu", assembly.accelerator.cpu_of(hardware.arch)),
        *("-m", str(hardware.memory)),
        *("-smp", str(hardware.cpus)),
        *_disk(assembly.disk, hardware),
        *(_medium(assembly.update) if assembly.update is not None else ()),
        *_networks(assembly),
        *(("-device", "i6300esb", "-action", "watchdog=reset") if hardware.watchdog else ()),
        *_tpm(assembly),
        *(_display(hardware.arch) if hardware.display else ()),
        *hardware.extra,
    ]


def _firmware(assembly: Assembly) -> list[str]:
    machine = _MACHINES[assembly.hardware.arch]
    firmware = assembly.firmware
    if isinstance(firmware, DirectKernel):
        return [
            *("-machine", machine),
            *("-kernel", str(firmware.kernel)),
            *("-initrd", str(firmware.initramfs)),
            *("-append", firmware.command_line),
        ]
    if not isinstance(firmware, Uefi) or assembly.code is None or assembly.variables is None:
        return ["-machine", machine]
    chips = f"pflash0={assembly.code.name},pflash1={assembly.variables.name}"
    secure = ("-global", "driver=cfi.pflash01,property=secure,value=on") if firmware.secure_boot else ()
    return [
        *assembly.code.arguments,
        *assembly.variables.arguments,
        *("-machine", f"{machine},{'smm=on,' * firmware.secure_boot}{chips}"),
        *secure,
    ]


def _disk(disk: Backend, hardware: Hardware) -> list[str]:
    """The disk that is booted. Its errors are the guest's."""
    size = hardware.sector_size
    sectors = "" if size == 512 else f",logical_block_size={size},physical_block_size={size}"
    common = f"drive={disk.name},bootindex=1{sectors}"
    errors = ",werror=report,rerror=report"
    devices = {
        "virtio": ("-device", f"virtio-blk-pci,{common}{errors}"),
        "nvme": ("-device", f"nvme,serial=slotboot,{common}"),
        "scsi": ("-device", "virtio-scsi-pci,id=scsi", "-device", f"scsi-hd,bus=scsi.0,{common}{errors}"),
        "usb": ("-device", "qemu-xhci,id=usb", "-device", f"usb-storage,bus=usb.0,{common}{errors}"),
    }
    return [*disk.arguments, *devices[hardware.bus]]


def _medium(update: Backend) -> list[str]:
    """The update medium: the second disk of the machine."""
    return [*update.arguments, *("-device", f"virtio-blk-pci,drive={update.name}")]


def _networks(assembly: Assembly) -> list[str]:
    if not assembly.hardware.nics:
        return ["-nic", "none"]
    words: list[str] = []
    for number, nic in enumerate(assembly.hardware.nics):
        name = nic_name(number)
        mac = ""
        if isinstance(nic, UserNetwork):
            forwards = "".join(f",hostfwd=tcp:127.0.0.1:0-:{port}" for port in nic.forwards)
            words += ["-netdev", f"user,id={name},restrict={'on' if nic.restrict else 'off'}{forwards}"]
        else:
            words += ["-netdev", f"socket,id={name},fd={(assembly.sockets or {})[name]}"]
            mac = f",mac={(assembly.macs or {})[name]}"
        # Without its ROM it is never booted from.
        words += ["-device", f"virtio-net-pci,netdev={name},romfile={mac}"]
    return words


def nic_name(number: int) -> str:
    """What the network card of this number, from 0, is called in QEMU."""
    return f"nic{number}"


def _tpm(assembly: Assembly) -> list[str]:
    if not assembly.hardware.tpm:
        return []
    device = "tpm-tis-device" if assembly.hardware.arch == "aarch64" else "tpm-tis"
    return [
        *("-chardev", f"socket,id=tpm,fd={(assembly.sockets or {})['tpm']}"),
        *("-tpmdev", "emulator,id=tpm0,chardev=tpm"),
        *("-device", f"{device},tpmdev=tpm0"),
    ]


def _display(arch: str) -> Sequence[str]:
    if arch == "aarch64":
        return ("-device", "virtio-gpu-pci", "-device", "qemu-xhci,id=keys", "-device", "usb-kbd,bus=keys.0")
    return ("-vga", "std")


def held_arguments(sockets: Mapping[str, int], *, incoming: bool = False) -> list[str]:
    """What the harness holds a machine by: paused at the start and at every boot boundary, console, monitor, control port.

    With ``incoming`` it waits for the state of a machine that goes on.
    """
    return [
        "-S",
        *("-display", "none"),
        *("-action", "reboot=shutdown,shutdown=pause"),
        *("-chardev", f"socket,id=monitor,fd={sockets['monitor']}"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"socket,id=serial,fd={sockets['serial']}"),
        *("-serial", "chardev:serial"),
        *control_arguments(f"socket,id=control,fd={sockets['control']}"),
        *(("-incoming", "defer") if incoming else ()),
    ]


def control_arguments(chardev: str) -> list[str]:
    """The control port, on a character device with the id ``control``."""
    return [
        *("-chardev", chardev),
        *("-device", "virtio-serial-pci"),
        *("-device", f"virtserialport,chardev=control,id={PORT_ID},name={PORT_NAME}"),
    ]


def terminal_arguments(*, graphic: bool) -> list[str]:
    """Serial console and monitor on the terminal of whoever starts QEMU."""
    return ["-serial", "mon:stdio", *(("-vga", "std") if graphic else ("-display", "none"))]
