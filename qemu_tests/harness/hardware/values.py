"""What a machine is made of. Frozen values; whatever does not fit together is refused when a machine is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.network.network import Network


@dataclass(frozen=True)
class Uefi:
    """UEFI firmware (EDK2), with a variable store of the machine's own that lasts over all its boots.

    With ``secure_boot`` the store has Microsoft's and the distribution's keys, and unsigned loaders are refused.
    """

    secure_boot: bool = False


@dataclass(frozen=True)
class Bios:
    """An old BIOS (SeaBIOS), which runs the first sector of the disk."""


@dataclass(frozen=True)
class DirectKernel:
    """A kernel that QEMU starts itself, on a machine with an old BIOS, which does nothing to the disk.

    UEFI firmware (EDK2) restores a damaged copy of a partition table before anything on the disk runs. Whoever wants to see
    what the disk's own software does with the damage boots it in this way, and saves the firmware's seconds.
    """

    kernel: Path
    initramfs: Path
    command_line: str


Firmware = Uefi | Bios | DirectKernel


@dataclass(frozen=True)
class UserNetwork:
    """A network card behind QEMU's own router: 10.0.2.15 by DHCP, name server 10.0.2.3.

    Connections to a port of ``Machine.port`` on 127.0.0.1 reach the guest's TCP port in ``forwards``. With ``restrict`` the guest
    reaches nothing else.
    """

    forwards: tuple[int, ...] = ()
    restrict: bool = True


@dataclass(frozen=True)
class PrivateNetwork:
    """A network card in a network of the machines of one test."""

    network: Network


Nic = UserNetwork | PrivateNetwork


@dataclass(frozen=True)
class Hardware:
    """The parts of a machine. One processor is enough for most images, and with TCG no slower.

    ``memory`` in MiB, ``sector_size`` in bytes (of the disk). ``watchdog``: an Intel 6300ESB that resets the machine. ``tpm``: a TPM 2.0
    (swtpm). ``display``: a display and a keyboard, for ``Machine.screenshot`` and ``send_key``. ``extra``: further arguments for QEMU.
    """

    memory: int = 256
    cpus: int = 1
    arch: Literal["x86_64", "aarch64"] = "x86_64"
    firmware: Firmware = Uefi()
    bus: Literal["virtio", "nvme", "scsi", "usb"] = "virtio"
    sector_size: Literal[512, 4096] = 512
    nics: tuple[Nic, ...] = ()
    watchdog: bool = False
    tpm: bool = False
    display: bool = False
    extra: tuple[str, ...] = ()
