"""What all machines share: accelerator, firmware, deadlines, and the folders for their files and logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qemu_tests.harness.accel import probe
from qemu_tests.harness.deadlines import Deadlines
from qemu_tests.harness.firmware import find_firmware
from qemu_tests.harness.hardware import Hardware
from qemu_tests.harness.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.firmware import Firmware
    from qemu_tests.harness.hardware import DirectKernel


@dataclass(frozen=True)
class Lab:
    """``folder`` takes the files of the machines, ``logs`` one ``NAME.console.log`` for each."""

    folder: Path
    logs: Path
    accelerator: Accelerator
    firmware: Firmware
    hardware: Hardware = field(default_factory=Hardware)
    deadlines: Deadlines = field(default_factory=Deadlines)

    @classmethod
    def open(cls, folder: Path, logs: Path | None = None, *, accelerator: Accelerator | None = None) -> Self:
        """A lab in ``folder``, which is made. The accelerator is probed unless it is known already.

        Raises MissingToolError, MissingFirmwareError and NoAcceleratorError.
        """
        firmware = find_firmware()
        accelerator = accelerator or probe()
        logs = logs or folder / "logs"
        for path in (folder, logs):
            path.mkdir(parents=True, exist_ok=True)
        return cls(folder.resolve(), logs.resolve(), accelerator, firmware, deadlines=Deadlines(accelerator.slowdown))

    def machine(self, name: str, image: Path, *, direct: DirectKernel | None = None) -> Machine:
        """A machine that is off, on a disk that holds ``image`` at first; that file is never written.

        ``direct`` is the kernel of all its boots that name no other, see ``Machine.boot``.

        Raises ImageError, and MachineStateError when there is a machine of this name already.
        """
        return Machine(name, image, self, direct=direct)
