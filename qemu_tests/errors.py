"""Errors of the harness: one class per situation, each with the values that explain it.

The first line of the text says what, where, what was expected and what to do. Where a machine was running, the last
lines of its console follow on lines of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from image_builder import errors as building


class LabError(Exception):
    """Base of everything that qemu_tests raises on purpose."""

    def __init__(self, line: str, tail: Sequence[str] = (), log: Path | None = None) -> None:
        """``tail`` holds the last console lines and ``log`` says where all of them are."""
        self.line, self.tail, self.log = line, tuple(tail), log
        super().__init__(line)

    def __str__(self) -> str:
        if self.log is None:
            return printable(self.line)
        shown = "".join(f"\n    | {printable(line)}" for line in self.tail) or "\n    | (nothing yet)"
        return f"{printable(self.line)}\n  last lines of the console ({self.log}):{shown}"


def _leading(bad_line: str, line: str) -> str:
    return f"{bad_line.strip()} ({line})" if bad_line else line


class MissingToolError(LabError):
    """A program that the harness runs is not installed."""

    def __init__(self, problem: building.MissingToolError) -> None:
        super().__init__(str(problem))
        self.tool, self.debian_package = problem.tool, problem.debian_package


class MissingFirmwareError(LabError):
    """There is no UEFI firmware for the virtual machine."""

    def __init__(self, arch: str, looked_for: Sequence[Path], package: str) -> None:
        """``looked_for`` is empty where nobody has such firmware."""
        where = f"{looked_for[0]}: not there, nor in {len(looked_for) - 1} other usual places" if looked_for else "none"
        super().__init__(
            f"UEFI firmware of this kind for a virtual machine of {arch}: {where}; install it (Debian: apt-get install {package})"
        )
        self.looked_for = tuple(looked_for)


class ImageError(LabError):
    """An image or update medium cannot be used. Nothing was started and nothing was written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class OutputFolderError(LabError):
    """The folder for what is made cannot be made or holds something else. Nothing was removed."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: {reason}; expected a folder of an earlier run, an empty one, or one that can be made"
        )
        self.path = path


class UnwritableFolderError(LabError):
    """No files can be made in a folder that is to take those of machines, or their console logs."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: no files can be made there: {reason}; choose another folder")
        self.path = path


class ToolFailedError(LabError):
    """A program of the harness, such as qemu-img, ran and failed."""

    def __init__(self, problem: building.ToolFailedError) -> None:
        super().__init__(str(problem))
        self.argv, self.code = problem.argv, problem.code


class NoAcceleratorError(LabError):
    """QEMU runs no guest at all, neither with KVM nor without."""

    def __init__(self, qemu: str, reason: str) -> None:
        super().__init__(f"{qemu}: cannot run even the smallest guest: {reason}; try '{qemu} -accel tcg' by hand")


class MachineStateError(LabError):
    """The machine was asked for something that its state does not allow, such as an order while it is off."""

    def __init__(self, machine: str, wanted: str, state: str) -> None:
        super().__init__(f"machine {machine}: cannot {wanted}: it is {state}")
        self.machine = machine


class MachineDiedError(LabError):
    """QEMU ended although nobody told it to."""

    def __init__(
        self, machine: str, ended: str, stderr: str, tail: Sequence[str], log: Path | None, bad_line: str = ""
    ) -> None:
        """``bad_line`` is the one in which the guest had failed before."""
        said = f", and said: {stderr}" if stderr else ""
        super().__init__(_leading(bad_line, f"machine {machine}: QEMU {ended}{said}"), tail, log)
        self.machine, self.stderr = machine, stderr


class GuestFailedError(LabError):
    """The console says that this boot comes to nothing: a panic, an oops, an emergency shell. The machine is as it was."""

    def __init__(self, machine: str, bad_line: str, wanted: str, tail: Sequence[str], log: Path) -> None:
        super().__init__(f"{bad_line.strip()} (machine {machine}, while waiting for {wanted})", tail, log)
        self.machine, self.bad_line, self.wanted = machine, bad_line, wanted


class ConsoleLogError(LabError):
    """The console log could not be written, such as on a full disk; what came since is not in it. The machine is still running."""

    def __init__(self, machine: str, log: Path, problem: OSError, tail: Sequence[str]) -> None:
        super().__init__(
            f"{log}: {problem.strerror}: the console log of machine {machine} cannot be written; make room or name "
            "another folder (--slotboot-logs)",
            tail,
            log,
        )
        self.problem = problem


class NoShellError(LabError):
    """There is nobody in the guest who could run a command."""

    def __init__(self, machine: str) -> None:
        super().__init__(
            f"machine {machine}: nobody takes a command: no agent has opened the port org.slotboot.control in this boot, and "
            "nobody is logged in on the serial console; wait_until_ready() or login() first"
        )


class AgentGoneError(LabError):
    """The agent in the guest closed its port before it answered. Whether the command had an effect is unknown."""

    def __init__(self, machine: str, command: str, tail: Sequence[str], log: Path) -> None:
        super().__init__(f"machine {machine}: the agent is gone, and its answer to {command!r} with it", tail, log)
        self.command = command


class LoginError(LabError):
    """Nobody could log in on the serial console."""

    def __init__(self, machine: str, user: str, reason: str, tail: Sequence[str], log: Path) -> None:
        super().__init__(f"machine {machine}: login as {user!r} failed: {reason}", tail, log)


class CommandFailedError(LabError):
    """A command of the harness in the guest failed, such as one that copies a file."""

    def __init__(self, machine: str, doing: str, code: int, output: str) -> None:
        said = output.strip().splitlines()
        super().__init__(f"machine {machine}: {doing} failed with {code}{f': {said[-1]}' if said else ''}")
        self.code, self.output = code, output


class UnitFailedError(LabError):
    """A unit of systemd in the guest that should become active has failed."""

    def __init__(self, machine: str, unit: str, status: str) -> None:
        said = next((line.strip() for line in reversed(status.splitlines()) if line.strip()), "")
        super().__init__(f"machine {machine}: the unit {unit} failed{f': {said}' if said else ''}")
        self.unit, self.status = unit, status


class PortError(LabError):
    """No port of the guest is forwarded under this number."""

    def __init__(self, machine: str, port: int, forwarded: Sequence[int]) -> None:
        known = ", ".join(map(str, forwarded)) or "none"
        super().__init__(f"machine {machine}: its port {port} is not forwarded; forwarded ports: {known}")


class HardwareError(LabError):
    """Parts of a machine that do not fit together, or that this machine does not have. Nothing was started."""

    def __init__(self, machine: str, reason: str) -> None:
        super().__init__(f"machine {machine}: {reason}")


class ConsoleTimeoutError(LabError):
    """What was waited for did not appear on the console in time. The machine is still running."""

    def __init__(self, pattern: str, seconds: float, tail: Sequence[str], log: Path) -> None:
        super().__init__(f"console: no line matched {pattern!r} within {seconds:.0f} s", tail, log)
        self.pattern, self.seconds = pattern, seconds


class ConsoleClosedError(LabError):
    """The console ended, with the machine, before the line that was waited for."""

    def __init__(self, pattern: str, tail: Sequence[str], log: Path) -> None:
        super().__init__(f"console: it ended before a line matched {pattern!r}", tail, log)
        self.pattern = pattern


class UnexpectedBoundaryError(LabError):
    """The guest rebooted or switched off while something else was waited for. It is held there."""

    def __init__(self, machine: str, boundary: str, wanted: str, tail: Sequence[str], log: Path) -> None:
        super().__init__(f"machine {machine}: {boundary} while waiting for {wanted}", tail, log)
        self.boundary, self.wanted = boundary, wanted


class WaitTimeoutError(LabError):
    """A machine did not get to the point that was waited for in time. It is still running."""

    def __init__(
        self, machine: str, wanted: str, seconds: float, tail: Sequence[str], log: Path, bad_line: str = ""
    ) -> None:
        """``bad_line`` is the one in which the guest had failed before."""
        super().__init__(_leading(bad_line, f"machine {machine}: no {wanted} within {seconds:.0f} s"), tail, log)
        self.wanted, self.seconds = wanted, seconds


class ControlProtocolError(LabError):
    """The guest sent a line on the control port that is not of the protocol."""

    def __init__(self, line: str, expected: str) -> None:
        super().__init__(f"control port: the guest sent {line!r}; expected {expected}")


class QmpClosedError(LabError):
    """QEMU closed the monitor, so the command had no answer: it ended or is ending."""

    def __init__(self, doing: str, reason: str) -> None:
        super().__init__(f"QMP: the connection closed during {doing}: {reason or 'QEMU has ended'}")


class QmpTimeoutError(LabError):
    """QEMU did not answer in time. Whether the command took effect is unknown."""

    def __init__(self, doing: str, seconds: float) -> None:
        super().__init__(f"QMP: no answer to {doing} within {seconds:.0f} s")


class QmpCommandError(LabError):
    """QEMU refused a command."""

    def __init__(self, doing: str, reason: str) -> None:
        super().__init__(f"QMP: {doing} was refused: {reason}")


class DiskFolderError(LabError):
    """The host could not keep what a guest wrote, or read it again. The guest was frozen, and got no error from its disk."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: the host cannot keep the disk of a machine here: {reason}; "
            "make room, or choose another folder, and run it again"
        )
        self.path, self.reason = path, reason


class DiskServerError(LabError):
    """The server between QEMU and a machine's disk ended. The guest was frozen."""

    def __init__(self, disk: str, reason: str) -> None:
        super().__init__(
            f"disk {disk}: its server ended: {reason}; expected requests of the NBD protocol: it is a fault of QEMU or of this harness"
        )
        self.disk, self.reason = disk, reason


class JudgeError(LabError):
    """One judge could not read the disk."""

    def __init__(self, judge: str, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {judge} cannot read its table: {reason}")


class JudgesDisagreeError(LabError):
    """The independent readers of a disk do not see the same slots."""

    def __init__(self, path: Path, readings: Mapping[str, Mapping[str, str]]) -> None:
        seen = "; ".join(
            f"{judge}: {' '.join(f'{label} {bits}' for label, bits in slots.items()) or 'no slots'}"
            for judge, slots in readings.items()
        )
        super().__init__(f"{path}: the judges disagree: {seen}")
        self.readings = readings


class NoSlotsError(LabError):
    """No partition of a disk has the type of the slots that were asked for."""

    def __init__(self, path: Path, slot_type: str, found: Sequence[str]) -> None:
        super().__init__(
            f"{path}: no partition has the type {slot_type}; the types that are there: {', '.join(found) or 'none'}"
        )
        self.path, self.slot_type, self.found = path, slot_type, tuple(found)


class DamagedTableError(LabError):
    """A table that should be whole is not."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        super().__init__(f"{path}: the partition table is damaged: {'; '.join(problems)}")
        self.problems = tuple(problems)


class StoryError(LabError):
    """Something in the story went otherwise than promised."""

    def __init__(
        self, where: str, expected: str, found: str, tail: Sequence[str] = (), log: Path | None = None
    ) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}", tail, log)
        self.where, self.expected, self.found = where, expected, found


class NetworkError(LabError):
    """A private network cannot do what it was asked for, or a machine sent to it what is no frame."""

    def __init__(self, network: str, reason: str) -> None:
        super().__init__(f"network {network}: {reason}")
        self.network = network
