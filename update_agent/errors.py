"""Errors of the update agent: one class per situation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from gptlib.table.guid import Guid


class UpdateError(Exception):
    """Base of everything that the update agent raises on purpose.

    ``refusal``: it speaks against this version on this machine, and will not pass by itself.
    """

    refusal: ClassVar[bool] = False


class MediumError(UpdateError):
    """The update medium cannot be read, or what it says of itself cannot be. Nothing was written."""

    refusal = True

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: no usable update: {problem}")
        self.path = path


class TooLargeError(UpdateError):
    """The slot image is larger than the slot. Nothing was written."""

    refusal = True

    def __init__(self, path: str, size: int, label: str, capacity: int) -> None:
        super().__init__(
            f"{path}: the slot image has {size} bytes but slot {label} has only {capacity}; build a smaller image, or disks "
            "with larger slots"
        )
        self.path, self.size, self.capacity = path, size, capacity


class SlotTypeError(UpdateError):
    """The update is for slots of another type than those of this machine. Nothing was written."""

    refusal = True

    def __init__(self, path: str, found: Guid, expected: Guid) -> None:
        super().__init__(
            f"{path}: it is for slots of the type {found}, and this machine boots from {expected}; build it for this machine's image"
        )
        self.path, self.found, self.expected = path, found, expected


class KernelMismatchError(UpdateError):
    """The boot chain of this machine could boot the slot, but not run it. Nothing was written."""

    refusal = True

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}; build the update from the definition that this machine's image is of, or bring the new boot "
            "chain first"
        )
        self.path, self.problem = path, problem


class SlotBusyError(UpdateError):
    """The slot is mounted, or another installation writes it. Nothing was written."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: the slot cannot be written now: {problem}")
        self.path = path


class SlotWriteError(UpdateError):
    """Writing the slot failed. The slot is 0/0/0 and will not be booted; the active slot is as it was."""

    def __init__(self, path: str, offset: int, problem: str) -> None:
        super().__init__(
            f"{path}: writing the slot failed at byte {offset}: {problem}; it stays out of use (0/0/0), the running system "
            "is not affected"
        )
        self.path, self.offset = path, offset


class OutsideSlotError(UpdateError):
    """A write would have left the slot. It was not carried out; the slot is 0/0/0 and will not be booted."""

    def __init__(self, path: str, offset: int, length: int, capacity: int) -> None:
        super().__init__(
            f"{path}: {length} bytes at byte {offset} of the slot are not whole sectors of its {capacity} bytes; nothing was "
            "written there, the slot stays out of use (0/0/0)"
        )
        self.path, self.offset, self.length = path, offset, length


class ImageReadError(UpdateError):
    """The slot image cannot be read to its end. The slot is 0/0/0 and will not be booted."""

    def __init__(self, path: str, offset: int, problem: str) -> None:
        super().__init__(
            f"{path}: reading the slot image failed at byte {offset}: {problem}; the slot stays out of use (0/0/0), fetch the "
            "update again"
        )
        self.path, self.offset = path, offset


class SlotChangedError(UpdateError):
    """The table of the disk was changed during the installation. The slot is not armed, and nothing is written any more."""

    def __init__(self, path: str, number: int) -> None:
        super().__init__(
            f"{path}: partition {number} is not what it was when the installation began: the table was changed meanwhile; the "
            "slot is not armed, install the update again"
        )
        self.path, self.number = path, number


class VerifyError(UpdateError):
    """What was read has another checksum than the update names. The slot is 0/0/0 and will not be booted."""

    def __init__(self, path: str, what: str, found: str, expected: str) -> None:
        super().__init__(
            f"{path}: {what} has the SHA-256 {found}, the update names {expected}; the slot stays out of use (0/0/0), fetch "
            "the update again or check the disk"
        )
        self.path, self.found, self.expected = path, found, expected
