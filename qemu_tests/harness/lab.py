"""What all machines share: accelerator, firmware, deadlines, and the folders for their files and logs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.errors import OutputFolderError
from qemu_tests.harness.accel import probe
from qemu_tests.harness.deadlines import Deadlines
from qemu_tests.harness.hardware.firmware import find_firmware
from qemu_tests.harness.hardware.values import Hardware, Uefi
from qemu_tests.harness.machine import Machine

if TYPE_CHECKING:
    from typing import Self

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.hardware.firmware import FirmwareFiles
    from qemu_tests.harness.hardware.values import DirectKernel
    from qemu_tests.harness.machine.frozen import Frozen


@dataclass(frozen=True)
class Lab:
    """``folder`` takes the files of the machines, ``logs`` one ``NAME.console.log`` for each.

    ``firmware`` is the UEFI firmware of all machines that have one, instead of what is installed for their kind.
    """

    folder: Path
    logs: Path
    accelerator: Accelerator
    firmware: FirmwareFiles | None = None
    hardware: Hardware = field(default_factory=Hardware)
    deadlines: Deadlines = field(default_factory=Deadlines)

    @classmethod
    def open(
        cls, folder: Path | str, logs: Path | str | None = None, *, accelerator: Accelerator | None = None
    ) -> Self:
        """A lab in ``folder``, which is made. The accelerator is probed unless it is known already.

        Raises MissingToolError, NoAcceleratorError and OutputFolderError.
        """
        accelerator = accelerator or probe()
        folder = Path(folder)
        logs = Path(logs or folder / "logs")
        for path in (folder, logs):
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputFolderError(path, str(error.strerror)) from error
        return cls(folder.resolve(), logs.resolve(), accelerator, deadlines=Deadlines(accelerator.slowdown))

    def firmware_of(self, hardware: Hardware) -> FirmwareFiles | None:
        """The UEFI firmware of a machine, if it has one. Raises MissingFirmwareError."""
        firmware = hardware.firmware
        if not isinstance(firmware, Uefi):
            return None
        return self.firmware or find_firmware(arch=hardware.arch, secure_boot=firmware.secure_boot)

    def machine(
        self,
        name: str,
        image: Path | str,
        *,
        hardware: Hardware | None = None,
        direct: DirectKernel | None = None,
        variables: Path | str | None = None,
    ) -> Machine:
        """A machine that is off, on a disk that holds ``image`` at first; that file is never written.

        ``direct`` is the kernel of all its boots that name no other, instead of firmware. ``variables`` is what the variable store of its
        UEFI firmware holds at first.

        Raises ImageError, HardwareError, MissingFirmwareError, and MachineStateError when there is a machine of this name already.
        """
        hardware = hardware or self.hardware
        if direct is not None:
            hardware = replace(hardware, firmware=direct)
        return self._make(name, image, hardware, variables)

    def _make(self, name: str, image: Path | str, hardware: Hardware, variables: Path | str | None) -> Machine:
        return Machine(name, image, self, hardware, variables=variables)

    def wake(self, name: str, frozen: Frozen, *, medium: Path | str | None = None) -> Machine:
        """A machine that goes on where ``frozen`` was: running, with its memory, and with a disk of its own.

        ``medium`` is put into its second drive instead of the one that was there; a guest notices that only where it looks anew.
        Raises as ``machine``, QmpCommandError and MachineDiedError.
        """
        machine = self.machine_for(name, frozen)
        machine.wake(frozen, medium=medium)
        return machine

    def machine_for(self, name: str, frozen: Frozen) -> Machine:
        """A machine that is off, with what a frozen one had on its disk, for ``Machine.wake``. Raises as ``machine``."""
        store = frozen.variables if frozen.variables.exists() else None
        return self.machine(name, frozen.disk, hardware=frozen.hardware, variables=store)
