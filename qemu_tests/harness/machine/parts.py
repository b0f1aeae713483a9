"""What a power cycle of a machine needs beside its disk: sockets, drives, network cards, a TPM."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import HardwareError
from qemu_tests.harness.hardware.command_line import (
    Assembly,
    held_arguments,
    machine_arguments,
    nic_name,
    read_only_file,
    served,
)
from qemu_tests.harness.hardware.values import DirectKernel, PrivateNetwork, Uefi
from qemu_tests.harness.hardware.wires import Wiring
from qemu_tests.harness.process import Process
from qemu_tests.harness.qemu import HELD, Start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.disk.session import Session
    from qemu_tests.harness.hardware.command_line import Backend
    from qemu_tests.harness.hardware.firmware import FirmwareFiles
    from qemu_tests.harness.hardware.values import Firmware, Hardware

DISK, VARIABLES = "disk", "variables"
TPM = "swtpm"


@dataclass(frozen=True)
class Wanted:
    """A machine that is to be started. ``files`` are those of UEFI firmware, ``update`` the medium in the second drive.

    ``disks``: the sessions by name. ``incoming`` says that it waits for the state of a frozen machine.
    """

    name: str
    folder: Path
    log: Path
    hardware: Hardware
    accelerator: Accelerator
    firmware: Firmware
    files: FirmwareFiles | None
    disks: Mapping[str, Session]
    update: Backend | None = None
    incoming: bool = False


def check_hardware(name: str, hardware: Hardware) -> None:
    """Raises HardwareError for parts that do not fit together."""
    firmware = hardware.firmware
    if hardware.arch != "x86_64" and not isinstance(firmware, Uefi):
        raise HardwareError(name, f"{hardware.arch} is started by UEFI firmware only")
    if hardware.arch != "x86_64" and (hardware.watchdog or (isinstance(firmware, Uefi) and firmware.secure_boot)):
        raise HardwareError(name, f"{hardware.arch} has neither the watchdog nor Secure Boot here")
    if hardware.sector_size != 512 and not isinstance(firmware, Uefi | DirectKernel):
        raise HardwareError(name, "an old BIOS boots from sectors of 512 bytes only")


class Parts:
    """The parts of one QEMU process. ``start`` is how to start it; ``close`` takes them away again."""

    def __init__(self, wanted: Wanted) -> None:
        """Raises MissingToolError and OSError; nothing is left behind then."""
        with ExitStack() as parts:
            wiring = Wiring()
            parts.callback(wiring.close)
            for name in HELD:
                wiring.plug(name)
            macs = self._networks(wanted, wiring, parts)
            if wanted.hardware.tpm:
                _start_tpm(wanted, wiring, parts)
            drives = {
                name: served(name, wiring.plug(name), read_only=session.read_only)
                for name, session in wanted.disks.items()
            }
            assembly = Assembly(
                wanted.hardware,
                wanted.accelerator,
                wanted.firmware,
                drives[DISK],
                None if wanted.files is None else read_only_file("code", wanted.files.code),
                drives.get(VARIABLES),
                wanted.update,
                wiring.descriptors,
                macs,
            )
            argv = [
                *machine_arguments(assembly),
                *held_arguments(wiring.descriptors, incoming=wanted.incoming),
            ]
            self.start = Start(argv, wiring, wanted.disks, wanted.folder / "qemu.stderr", wanted.log)
            self._parts = parts.pop_all()

    @staticmethod
    def _networks(wanted: Wanted, wiring: Wiring, parts: ExitStack) -> dict[str, str]:
        macs = {}
        for number, nic in enumerate(wanted.hardware.nics):
            if isinstance(nic, PrivateNetwork):
                plug = nic.network.plug(wanted.name)
                parts.callback(plug.unplug)
                macs[nic_name(number)] = plug.mac
                wiring.lend(nic_name(number), plug.fd, plug.close_fd)
        return macs

    def close(self) -> None:
        """After QEMU's end."""
        self._parts.close()


def _start_tpm(wanted: Wanted, wiring: Wiring, parts: ExitStack) -> None:
    state = wanted.folder / "tpm"
    state.mkdir(exist_ok=True)
    wiring.plug("tpm")
    control = wiring.take("tpm")
    argv = [TPM, "socket", "--tpm2", "--tpmstate", f"dir={state}"]
    argv += ["--ctrl", f"type=unixio,clientfd={control.fileno()}"]
    try:
        process = Process(argv, wanted.folder / "swtpm.stderr", [control.fileno()])
    finally:
        control.close()
    parts.callback(process.kill)
