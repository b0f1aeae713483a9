"""A machine: a disk, boots, and what happens between them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qemu_tests.errors import ImageError, MachineStateError
from qemu_tests.harness import hardware
from qemu_tests.harness.disk.image import image_info
from qemu_tests.harness.disk.losses import AllLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.judges import agree, agree_whole
from qemu_tests.harness.power_cycle import PowerCycle

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from qemu_tests.harness.console import Console
    from qemu_tests.harness.control import Ready, Result
    from qemu_tests.harness.disk.faults import Fault
    from qemu_tests.harness.disk.losses import Loss
    from qemu_tests.harness.hardware import DirectKernel, Wires
    from qemu_tests.harness.judges import Verdict
    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.power_cycle import Boundary

BOOT_SECONDS, ORDER_SECONDS = 180.0, 180.0
"""Base deadlines: what takes 10 s on an idle machine. ``Deadlines`` stretches them."""
REBOOT_COMMAND, POWEROFF_COMMAND = "sync; reboot -f", "sync; poweroff -f"


class Machine:
    """A machine with one disk. Use it as a context manager: whatever happens, no QEMU is left behind.

    It is held at every boot boundary: after ``wait_for_boundary`` its disk can be judged, and ``resume`` boots it again.
    Deadlines are in seconds and have good defaults.
    """

    def __init__(self, name: str, image: Path, lab: Lab, *, direct: DirectKernel | None = None) -> None:
        self.name, self._lab, self._direct = name, lab, direct
        self.folder = lab.folder / name
        self.log = lab.logs / f"{name}.console.log"
        try:
            self.folder.mkdir()
        except FileExistsError as error:
            raise MachineStateError(name, "be made", f"there already, in {self.folder}") from error
        self.disk = MachineDisk(image, self.folder)
        self.log.write_bytes(b"")
        self._cycle: PowerCycle | None = None
        self._begin = 0.0
        self._last_tail: list[str] = []
        self._resumable = True
        self.boots = 0
        """How often it was started, by power or by a reboot."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Switch off, if it is on. The disk and the log stay."""
        if self._cycle is not None:
            self._last_tail = self._cycle.console.tail
            self._cycle.close()
            self._cycle = None
            self.disk.power_off()

    @property
    def state(self) -> str:
        """``off``, ``on``, or ``held`` at a boot boundary."""
        if self._cycle is None:
            return "off"
        return "on" if self._cycle.boundary is None else "held"

    def _on(self, wanted: str, state: str = "") -> PowerCycle:
        if self._cycle is None or (state and self.state != state):
            raise MachineStateError(self.name, wanted, self.state)
        return self._cycle

    @property
    def console(self) -> Console:
        """The console since the power came on. Raises MachineStateError when it is off."""
        return self._on("show its console").console

    @property
    def tail(self) -> list[str]:
        """The last console lines, also after it was switched off."""
        return self._last_tail if self._cycle is None else self._cycle.console.tail

    def boot(
        self,
        *,
        medium: Path | None = None,
        faults: Sequence[Fault] = (),
        kernel: DirectKernel | None = None,
        reason: str = "power on",
    ) -> None:
        """Switch on. ``faults`` are those of the disk in this power cycle; ``medium`` is the update in the second drive.

        With ``kernel`` there is no UEFI, only this kernel, and only for one boot: the BIOS of such a machine resets it once
        more after each reset, which cannot be told from a reboot of the guest, so ``resume`` refuses.

        Raises MachineStateError when it is on already, ImageError for a bad medium, MachineDiedError.
        """
        if self._cycle is not None:
            raise MachineStateError(self.name, "be switched on", self.state)
        update = self._update(medium)
        kernel = kernel or self._direct
        self._resumable = kernel is None
        session = self.disk.power_on(faults)

        def command(wires: Wires) -> list[str]:
            return [
                *hardware.common_arguments(self._lab.accelerator, self._lab.hardware),
                *self._start_arguments(kernel),
                *hardware.disk_arguments(wires.disk, update, read_only=session.read_only),
                *hardware.bench_arguments(wires),
            ]

        try:
            self._cycle = PowerCycle(self.name, command, session, self.folder / "qemu.stderr", self.log)
        except BaseException:
            self.disk.power_off()
            raise
        self._count_boot(reason)
        self._cycle.power_on()

    def _update(self, medium: Path | None) -> dict[str, object] | None:
        if medium is None:
            return None
        if not medium.is_file():
            raise ImageError(medium, "there is no such update medium; make one with 'image-builder artifacts'")
        return hardware.update_blockdev(medium, image_info(medium).format)

    def _start_arguments(self, kernel: DirectKernel | None) -> list[str]:
        if kernel is not None:
            return hardware.kernel_arguments(kernel)
        firmware = self._lab.firmware
        return hardware.firmware_arguments(firmware, firmware.private_variables(self.folder / "efi-variables.fd"))

    def _count_boot(self, reason: str) -> None:
        self.boots += 1
        self._begin = time.monotonic()
        self.console.annotate(f"{self.name}: boot {self.boots}: {reason}")

    def _deadline(self, seconds: float | None, base: float) -> float:
        return self._lab.deadlines.seconds(base) if seconds is None else seconds

    def wait_until_ready(self, seconds: float | None = None) -> Ready:
        """Wait until a slot is up, healthy and marked good. Raises UnexpectedBoundaryError when it reboots before."""
        ready = self._on("greet").wait_until_ready(self._deadline(seconds, BOOT_SECONDS))
        self._lab.deadlines.observe_boot(time.monotonic() - self._begin)
        return ready

    def wait_for_line(self, pattern: str, seconds: float | None = None) -> re.Match[str]:
        """Wait for a console line. Errors as ``Console.wait_for``."""
        return self._on("show its console").wait_for_line(pattern, self._deadline(seconds, BOOT_SECONDS))

    def run(self, command: str, seconds: float | None = None) -> Result:
        """Run a shell command in the slot. Raises WaitTimeoutError, UnexpectedBoundaryError and MachineDiedError."""
        return self._on("take an order", "on").run(command, self._deadline(seconds, ORDER_SECONDS))

    def type_line(self, text: str) -> None:
        """Type on the serial console, and press Enter: for a shell that no slot has started."""
        self._on("be typed on", "on").type_line(text)

    def order(self, command: str) -> None:
        """Give the slot a shell command and do not wait for its end."""
        self._on("take an order", "on").order(command)

    def reboot(self, seconds: float | None = None) -> Boundary:
        """Order a reboot. The machine is held at the boundary; ``resume`` boots it."""
        self.order(REBOOT_COMMAND)
        return self.wait_for_boundary(seconds)

    def wait_for_boundary(self, seconds: float | None = None) -> Boundary:
        """Wait for the end of this boot, whoever ends it; the machine is held there, its disk flushed."""
        return self._on("reboot").wait_for_boundary(self._deadline(seconds, BOOT_SECONDS))

    def wait_for_freeze(self, seconds: float | None = None) -> None:
        """Wait until a ``CutAt`` or another cut strikes. Only ``power_cut`` makes sense then."""
        self._on("freeze").wait_for_freeze(self._deadline(seconds, BOOT_SECONDS))

    def resume(self, reason: str = "reboot") -> None:
        """Boot again after a boundary. Raises MachineStateError when it is not held."""
        cycle = self._on("resume", "held")
        if not self._resumable:
            raise MachineStateError(
                self.name, "resume", "started without UEFI firmware; switch it off and boot it again"
            )
        self._count_boot(reason)
        cycle.resume()

    def power_off(self, seconds: float | None = None) -> None:
        """Shut the slot down and switch off. A machine that is held is just switched off."""
        if self.state == "on":
            self.order(POWEROFF_COMMAND)
            self.wait_for_boundary(seconds)
        self._on("be switched off")
        self.close()

    def power_cut(self, loss: Loss | None = None) -> None:
        """Cut the power, now: what the guest has not flushed is lost, all of it or what ``loss`` says."""
        cycle = self._on("lose power")
        cycle.console.annotate(f"{self.name}: power cut")
        self._last_tail = cycle.console.tail
        cycle.cut()
        self._cycle = None
        self.disk.power_off(loss or AllLost())

    def judge(self, *, whole: bool = True) -> Verdict:
        """Let all judges read the disk: what a power cut at this moment would leave. A running guest does not notice.

        Raises JudgesDisagreeError, JudgeError, and DamagedTableError when the table should be ``whole`` and is not.
        """
        copy = self.disk.copy_tables(self.folder / "tables.raw")
        return agree_whole(copy) if whole else agree(copy)
