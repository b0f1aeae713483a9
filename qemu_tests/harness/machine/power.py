"""The power of a machine: boots, the boundaries between them, and what a power cut leaves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.errors import HardwareError, ImageError, LabError, MachineStateError
from qemu_tests.harness.boot import Boot, Boundary
from qemu_tests.harness.disk.faults import CutAtLine
from qemu_tests.harness.disk.image import image_info
from qemu_tests.harness.disk.losses import AllLost, NothingLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.hardware.command_line import read_only_file
from qemu_tests.harness.hardware.values import DirectKernel, PrivateNetwork, Uefi
from qemu_tests.harness.judges import SLOT_TYPE, agree, agree_whole
from qemu_tests.harness.machine import frozen as freezing
from qemu_tests.harness.machine.frozen import Frozen
from qemu_tests.harness.machine.parts import DISK, VARIABLES, Parts, Wanted, check_hardware
from qemu_tests.harness.qemu import Qemu

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from qemu_tests.harness.console import Console
    from qemu_tests.harness.control import Ready
    from qemu_tests.harness.disk.faults import Fault
    from qemu_tests.harness.disk.losses import Loss
    from qemu_tests.harness.hardware.values import Firmware, Hardware
    from qemu_tests.harness.judges import Verdict
    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.qmp import Qmp

BOOT_SECONDS = 180.0
"""Base deadline: what takes 10 s on an idle machine. ``Deadlines`` stretches it."""


class PoweredMachine:
    """A machine with one disk. Use it as a context manager: whatever happens, no QEMU is left behind.

    It is held at every boot boundary: after ``wait_for_boundary`` its disk can be judged, and ``resume`` boots it again.
    Deadlines are in seconds and have good defaults. Waits belong to a boot: what came before it counts no more.
    """

    def __init__(
        self, name: str, image: Path | str, lab: Lab, hardware: Hardware, *, variables: Path | str | None = None
    ) -> None:
        """``variables`` is what the variable store of UEFI firmware holds at first, instead of the distribution's template.

        Raises ImageError, HardwareError, MissingFirmwareError and MachineStateError.
        """
        self.name, self._lab, self.hardware = name, lab, hardware
        check_hardware(name, hardware)
        self._files = lab.firmware_of(hardware)
        self.folder = lab.folder / name
        self.log = lab.logs / f"{name}.console.log"
        try:
            self.folder.mkdir()
        except FileExistsError as error:
            raise MachineStateError(name, "be made", f"there already, in {self.folder}") from error
        self.disk = MachineDisk(Path(image), self.folder)
        self.variables: MachineDisk | None = None
        if self._files is not None:
            store = Path(variables or self._files.variables)
            self.variables = MachineDisk(store, self.folder, VARIABLES, log=self.disk.log, write_through=True)
        self.log.write_bytes(b"")
        for nic in hardware.nics:
            if isinstance(nic, PrivateNetwork):
                nic.network.reserve(name)
        self._boot: Boot | None = None
        self._parts: Parts | None = None
        self._firmware: Firmware = hardware.firmware
        self._medium: Path | None = None
        self._lines_to_cut_at: list[str] = []
        self._ready: Ready | None = None
        self._begin = 0.0
        self._last_tail: list[str] = []
        self.boots = 0
        """How often it was started, by power or by a reboot."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except LabError as problem:
            if error is None:
                raise
            error.add_note(f"and when it was switched off: {problem.line}")

    def close(self) -> None:
        """Switch off, if it is on. The disk and the log stay."""
        if self._boot is not None:
            self._last_tail = self._boot.qemu.console.tail
            self._end_qemu()
            self._power_off_disks()

    def _end_qemu(self, *, cut: bool = False) -> None:
        boot, parts = self._boot, self._parts
        self._boot = self._parts = None
        if boot is not None:
            boot.qemu.cut() if cut else boot.qemu.close()
        if parts is not None:
            parts.close()

    def _power_off_disks(self, loss: Loss | None = None) -> None:
        for disk in (self.disk, self.variables):
            if disk is not None:
                disk.power_off(loss)

    @property
    def state(self) -> str:
        """``off``, ``on``, or ``held`` at a boot boundary."""
        if self._boot is None:
            return "off"
        return "on" if self._boot.boundary is None else "held"

    def _on(self, wanted: str, state: str = "") -> Boot:
        if self._boot is None or (state and self.state != state):
            raise MachineStateError(self.name, wanted, self.state)
        return self._boot

    @property
    def qmp(self) -> Qmp:
        """QEMU's monitor. Raises MachineStateError when the machine is off."""
        return self._on("be asked over QMP").qemu.qmp

    @property
    def console(self) -> Console:
        """The console since the power came on. Raises MachineStateError when it is off."""
        return self._on("show its console").qemu.console

    @property
    def boundary(self) -> Boundary | None:
        """Where it is held, if it is."""
        return None if self._boot is None else self._boot.boundary

    @property
    def tail(self) -> list[str]:
        """The last console lines, also after it was switched off."""
        return self._last_tail if self._boot is None else self._boot.qemu.console.tail

    def boot(
        self,
        *,
        medium: Path | str | None = None,
        faults: Sequence[Fault] = (),
        kernel: DirectKernel | None = None,
        reason: str = "power on",
    ) -> None:
        """Switch on. ``faults`` are those of the disk in this power cycle; ``medium`` is the update in the second drive.

        With ``kernel`` there is no firmware that reads the disk, only this kernel, until the power is off again.

        Raises MachineStateError when it is on already, ImageError for a bad medium, MachineDiedError.
        """
        if self._boot is not None:
            raise MachineStateError(self.name, "be switched on", self.state)
        self._medium = self._checked_medium(medium)
        self._firmware = kernel or self.hardware.firmware
        self._power_on_disks(faults)
        self._start(reason).qemu.go()

    def _checked_medium(self, medium: Path | str | None) -> Path | None:
        if medium is None:
            return None
        path = Path(medium)
        if not path.is_file():
            raise ImageError(path, "there is no such update medium; make one with 'image-builder artifacts'")
        return path

    def _power_on_disks(self, faults: Sequence[Fault]) -> None:
        self._lines_to_cut_at = [fault.pattern for fault in faults if isinstance(fault, CutAtLine)]
        self.disk.power_on(faults)
        if self.variables is not None:
            self.variables.power_on()

    def _start(self, reason: str, *, incoming: bool = False) -> Boot:
        """A new QEMU on the disks as they are, held before it runs."""
        uefi = isinstance(self._firmware, Uefi)
        sessions = {DISK: self.disk.session, VARIABLES: self.variables.session if uefi and self.variables else None}
        medium = self._medium
        parts = None
        try:
            parts = Parts(
                Wanted(
                    self.name,
                    self.folder,
                    self.log,
                    self.hardware,
                    self._lab.accelerator,
                    self._firmware,
                    self._files if uefi else None,
                    {name: session for name, session in sessions.items() if session is not None},
                    None if medium is None else read_only_file("update", medium, image_info(medium).format),
                    incoming=incoming,
                )
            )
            qemu = Qemu(self.name, parts.start)
        except BaseException:
            if parts is not None:
                parts.close()
            self._power_off_disks()
            raise
        for pattern in self._lines_to_cut_at:
            qemu.console.watch(pattern, qemu.freeze)
        self._parts, self._boot = parts, Boot(qemu)
        self._count_boot(reason)
        return self._boot

    def _count_boot(self, reason: str) -> None:
        self.boots += 1
        self._ready = None
        self._begin = time.monotonic()
        self.console.annotate(f"{self.name}: boot {self.boots}: {reason}")

    def _deadline(self, seconds: float | None, base: float = BOOT_SECONDS) -> float:
        return self._lab.deadlines.seconds(base) if seconds is None else seconds

    def wait_until_ready(self, seconds: float | None = None) -> Ready:
        """Wait until a slot is up, healthy and marked good, which our agent says. Raises as ``Boot.until``."""
        boot = self._on("greet")
        if self._ready is not None:
            boot.check("greeting of the slot")
            return self._ready
        self._ready = boot.until("greeting of the slot", boot.qemu.control.take_ready, self._deadline(seconds))
        self._lab.deadlines.observe_boot(time.monotonic() - self._begin)
        return self._ready

    def wait_for_line(self, pattern: str, seconds: float | None = None) -> re.Match[str]:
        """Wait for a console line that ``pattern`` is found in. Raises as ``Boot.line``."""
        return self._on("show its console").line(pattern, self._deadline(seconds))

    def wait_for_prompt(self, pattern: str, seconds: float | None = None) -> re.Match[str]:
        """As ``wait_for_line``; the line need not have ended: ``wait_for_prompt("login:")``."""
        return self._on("show its console").line(pattern, self._deadline(seconds), prompt=True)

    def wait_for_boundary(self, seconds: float | None = None) -> Boundary:
        """Wait for the end of this boot, whoever ends it; the machine is held there, its disk flushed.

        A panic does not end this wait: most guests reboot after one.
        """
        return self._on("reboot").end(self._deadline(seconds))

    def wait_for_freeze(self, seconds: float | None = None) -> None:
        """Wait until a ``CutAt`` or another cut strikes. Only ``power_cut`` makes sense then. Raises as ``Boot.until``."""
        boot = self._on("freeze")
        boot.until("cut of the disk", lambda: boot.qemu.frozen or None, self._deadline(seconds))

    def resume(self, reason: str = "reboot") -> None:
        """Boot again after a boundary. Raises MachineStateError when it is not held."""
        boot = self._on("resume", "held")
        if not isinstance(self._firmware, Uefi):
            # SeaBIOS resets the machine once more after each reset, which could not be told from a reboot of the guest.
            self._end_qemu()
            self._start(reason).qemu.go()
            return
        self._boot = Boot(boot.qemu)
        self._count_boot(reason)
        boot.qemu.reset()

    def power_button(self) -> None:
        """Press the power button: an ACPI event, which a system takes for the order to shut down. Raises MachineStateError."""
        self._on("be told to shut down", "on").qemu.qmp.execute("system_powerdown")

    def power_cut(self, loss: Loss | None = None) -> None:
        """Cut the power, now: what the guest has not flushed is lost, all of it or what ``loss`` says.

        Raises HardwareError for a drive on NVMe, of which nobody could say what it has not lost, unless nothing is lost.
        """
        console = self._on("lose power").qemu.console
        if self.hardware.bus == "nvme" and not isinstance(loss, NothingLost):
            raise HardwareError(
                self.name,
                "QEMU's NVMe drive does not pass on which writes must be durable (FUA), so a power cut would lose what the guest "
                "has saved; use another bus, or power_cut(NothingLost())",
            )
        console.annotate(f"{self.name}: power cut")
        self._last_tail = console.tail
        self._end_qemu(cut=True)
        self._power_off_disks(loss or AllLost())

    def judge(self, *, whole: bool = True, slot_type: str = SLOT_TYPE) -> Verdict:
        """Let all judges read the disk: what a power cut at this moment would leave. A running guest does not notice.

        ``slot_type`` is the name or the GUID of the partitions that are slots. Raises JudgesDisagreeError, JudgeError, NoSlotsError, and
        DamagedTableError when the table should be ``whole`` and is not. Whatever it finds, the machine goes on.
        """
        copy = self.disk.copy_tables(self.folder / "tables.raw")
        return agree_whole(copy, slot_type=slot_type) if whole else agree(copy, slot_type=slot_type)

    def suspend(self, folder: Path | str) -> Frozen:
        """Freeze the running machine into files in ``folder``, which is made, and switch it off. ``Lab.wake`` lets others go on from there.

        Raises MachineStateError, QmpCommandError and OSError.
        """
        boot = self._on("be frozen", "on")
        found = Frozen(Path(folder), self.hardware, self._firmware, self._medium, self._ready, boot.agent)
        found.folder.mkdir(parents=True)
        freezing.save(boot.qemu.qmp, found.state)
        self.close()
        self.disk.export(found.disk)
        if self.variables is not None:
            self.variables.export(found.variables)
        return found

    def wake(
        self,
        state: Frozen,
        *,
        medium: Path | str | None = None,
        faults: Sequence[Fault] = (),
        reason: str = "woken",
    ) -> None:
        """Go on where ``state`` was frozen, on a machine that was made from its disk. See ``Lab.wake``."""
        if self._boot is not None:
            raise MachineStateError(self.name, "be woken", self.state)
        self._medium = self._checked_medium(medium or state.medium)
        self._firmware = state.firmware
        self._power_on_disks(faults)
        qemu = self._start(reason, incoming=True).qemu
        qemu.qmp.connect()
        freezing.load(qemu.qmp, state.state)
        self._boot, self._ready = Boot(qemu, agent=state.agent), state.ready
        qemu.qmp.execute("cont")
