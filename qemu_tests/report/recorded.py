"""Machines that tell a report what becomes of them. They do exactly what others do.

This is the only module of the report that knows the machine. It overrides only what a report is about and passes on every
argument, so that it does not repeat the signatures of what it watches.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from qemu_tests.errors import GuestFailedError, LabError, MachineDiedError, UnexpectedBoundaryError
from qemu_tests.harness.lab import Lab
from qemu_tests.harness.machine import Machine
from qemu_tests.report.model import CUT, DIED, ERROR, FAULT, OFF, POWEROFF, Table
from qemu_tests.report.tables import read_table, table_of

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from qemu_tests.harness.control import Ready, Result
    from qemu_tests.harness.hardware.values import Hardware
    from qemu_tests.harness.judges import Verdict
    from qemu_tests.harness.machine import Boundary
    from qemu_tests.report.recorder import Recorder

_JUDGES = ("cgpt", "sgdisk", "gptlib")


class RecordedMachine(Machine):
    """A machine with a ``record`` in the report."""

    def __init__(
        self,
        name: str,
        image: Path | str,
        lab: Lab,
        hardware: Hardware,
        recorder: Recorder,
        *,
        variables: Path | str | None = None,
    ) -> None:
        super().__init__(name, image, lab, hardware, variables=variables)
        self._recorder = recorder
        self.record = recorder.record(name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.record.judge(
                "failed", error.line if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
            )
        super().__exit__(kind, error, trace)

    def _slots(self) -> Table:
        """What is on the disk. A disk that cannot be read is a problem for the report to show, not for the test."""
        try:
            return read_table(self.disk.copy_tables(self.folder / "report-tables.raw"))
        except LabError as error:
            return Table(problems=(error.line,))

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except UnexpectedBoundaryError:
            self.record.failed()
            self._held()
            raise
        except GuestFailedError as error:
            self.record.failed()
            self.record.tell(ERROR, error.line)
            raise
        except MachineDiedError as error:
            self.record.end(DIED)
            self.record.tell(ERROR, error.line)
            raise

    def _held(self, kind: str = "") -> None:
        boundary = self.boundary
        self.record.end(kind or (boundary.kind if boundary else OFF), after=self._slots())

    def boot(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """As ``Machine.boot``."""
        if self.record.taken:  # a machine of several tests, of which a former one has ended
            self.record = self._recorder.record(self.name)
        before = self._slots() if self.state == "off" else None
        if before is not None:
            reason = str(options.get("reason", "power on"))
            without = ", without UEFI firmware" if options.get("kernel") else ""
            self.record.boot(f"{reason}{without}", before=before, log=self.log)
            for fault in options.get("faults", ()):
                self.record.tell(FAULT, f"to come: {fault}")
        try:
            with self._noticing():
                super().boot(*arguments, **options)
        except LabError:
            self.record.end(OFF)
            raise

    def wake(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """As ``Machine.wake``."""
        if self.state == "off":
            self.record.boot(str(options.get("reason", "woken")), before=self._slots(), log=self.log)
        with self._noticing():
            super().wake(*arguments, **options)
        if (ready := self._ready) is not None:
            self.record.up(ready.label, ready.version)

    def resume(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """As ``Machine.resume``."""
        if self.state == "held":
            self._held()
            self.record.boot(str([*arguments, options.get("reason", "reboot")][0]), before=self._slots(), log=self.log)
        super().resume(*arguments, **options)

    def wait_until_ready(self, *arguments: Any, **options: Any) -> Ready:  # noqa: ANN401
        """As ``Machine.wait_until_ready``."""
        with self._noticing():
            ready = super().wait_until_ready(*arguments, **options)
        self.record.up(ready.label, ready.version)
        return ready

    def wait_for_line(self, *arguments: Any, **options: Any) -> re.Match[str]:  # noqa: ANN401
        """As ``Machine.wait_for_line``."""
        with self._noticing():
            return super().wait_for_line(*arguments, **options)

    def wait_for_prompt(self, *arguments: Any, **options: Any) -> re.Match[str]:  # noqa: ANN401
        """As ``Machine.wait_for_prompt``."""
        with self._noticing():
            return super().wait_for_prompt(*arguments, **options)

    def screenshot(self) -> bytes:
        """As ``Machine.screenshot``."""
        picture = super().screenshot()
        self.record.screenshot(picture, f"the display in boot {self.boots}")
        return picture

    def run(self, *arguments: Any, **options: Any) -> Result:  # noqa: ANN401
        """As ``Machine.run``."""
        with self._noticing():
            return super().run(*arguments, **options)

    def wait_for_boundary(self, *arguments: Any, **options: Any) -> Boundary:  # noqa: ANN401
        """As ``Machine.wait_for_boundary``."""
        with self._noticing():
            boundary = super().wait_for_boundary(*arguments, **options)
        self._held(boundary.kind)
        return boundary

    def power_cut(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """As ``Machine.power_cut``."""
        super().power_cut(*arguments, **options)
        self.record.end(CUT, after=self._slots())
        self.record.cut()

    def power_off(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """As ``Machine.power_off``."""
        super().power_off(*arguments, **options)
        self.record.end(POWEROFF, after=self._slots())

    def close(self) -> None:
        """As ``Machine.close``."""
        if self.state != "off":
            self.record.end(OFF, after=self._slots())
        super().close()
        self.record.finish()

    def judge(self, *arguments: Any, **options: Any) -> Verdict:  # noqa: ANN401
        """As ``Machine.judge``."""
        verdict = super().judge(*arguments, **options)
        self.record.read(table_of(verdict.slots, _JUDGES, verdict.problems))
        return verdict


@dataclass(frozen=True, kw_only=True)
class RecordedLab(Lab):
    """A lab whose machines are in the report of ``recorder``."""

    recorder: Recorder

    @classmethod
    def over(cls, lab: Lab, recorder: Recorder) -> Self:
        """The same lab, recorded."""
        return cls(**{field.name: getattr(lab, field.name) for field in fields(lab)}, recorder=recorder)

    def _make(self, name: str, image: Path | str, hardware: Hardware, variables: Path | str | None) -> Machine:
        return RecordedMachine(name, image, self, hardware, self.recorder, variables=variables)
