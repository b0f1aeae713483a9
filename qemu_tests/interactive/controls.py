"""What a person can do to a machine. The only place of ``bootlab run`` that knows how the harness does it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from gptlib import Disk
from qemu_tests.errors import LabError, WaitTimeoutError
from qemu_tests.harness.machine import Machine
from qemu_tests.interactive.errors import SlotError
from qemu_tests.report.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.report.model import Table
    from qemu_tests.report.recorded import RecordedMachine

DAMAGE = 1 << 20
"""So many bytes at the beginning of a slot are overwritten with zeros: no file system is found there any more."""
_FOREVER = 1e8
_INPUT_SECONDS = 30.0


class Controls:
    """A machine as its user has it. ``news`` is readable when a boot may have ended; ``ended`` says whether it has."""

    def __init__(self, machine: RecordedMachine, medium: Path | None) -> None:
        self.machine, self._medium = machine, medium
        self.news, self._tell = os.pipe()
        self._watcher: threading.Thread | None = None

    def close(self) -> None:
        """Switch off."""
        self._end(self.machine.close)
        os.close(self.news)
        os.close(self._tell)

    @property
    def on(self) -> bool:
        """Whether it has power."""
        return self.machine.state != "off"

    def power_on(self, reason: str) -> None:
        """Switch on. Raises as ``Machine.boot``."""
        self.machine.boot(medium=self._medium, reason=reason)
        self._watch()

    def _end(self, how: Callable[[], None]) -> None:
        """End QEMU, and the thread that waits for it."""
        how()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None

    def _watch(self) -> None:
        def wait() -> None:
            # An error is that of a machine that is gone, which whoever reads the news finds out.
            with suppress(LabError):
                # Not as the report watches it: that is for the thread that acts.
                Machine.wait_for_boundary(self.machine, _FOREVER)
            os.write(self._tell, b"!")

        self._watcher = threading.Thread(target=wait, name="end of the boot")
        self._watcher.start()

    def ended(self) -> str:
        """After news: how the boot ended, ``reboot`` or ``poweroff`` or in QEMU's words; empty when it was ended from here.

        Raises MachineDiedError.
        """
        os.read(self.news, 1)
        if not self.on:
            return ""
        try:
            return self.machine.wait_for_boundary(_INPUT_SECONDS if self.machine.state == "held" else 0.0).kind
        except WaitTimeoutError:
            return ""  # the news was of an earlier boot

    def resume(self, reason: str) -> None:
        """Let it boot again."""
        self.machine.resume(reason)
        self._watch()

    def type(self, data: bytes) -> None:
        """Into the serial port, as it is."""
        self.machine.type_bytes(data)

    def power_cut(self) -> None:
        """Cut the power."""
        self._end(self.machine.power_cut)

    def power_off(self) -> None:
        """After the guest has switched itself off: take the power away."""
        self._end(self.machine.power_off)

    def reset(self) -> None:
        """Press the reset button; the end of the boot follows as news."""
        self.machine.qmp.execute("system_reset")

    def slots(self) -> Table:
        """What is on the disk."""
        return read_table(self._tables())

    def _tables(self) -> Path:
        return self.machine.disk.copy_tables(self.machine.folder / "by-hand.raw")

    def corrupt(self, label: str) -> None:
        """Overwrite the beginning of a slot, as a dying medium would. Raises SlotError when there is none of this name."""
        with Disk.open(self._tables()) as disk:
            state = disk.read()
        found = [each for each in state.table.partitions.values() if each.label == label]
        if not found:
            raise SlotError(self.machine.name, label)
        offset, length = found[0].first_lba * state.sector_size, min(DAMAGE, found[0].sectors * state.sector_size)
        self.machine.disk.write_zeros(offset, length)

    def snapshot(self, target: Path) -> None:
        """The disk as a power cut at this moment would leave it, as a sparse raw image. A running guest does not notice."""
        self.machine.disk.export(target)
