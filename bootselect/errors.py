"""Errors of bootselect: one class per situation. None of them leaves anything half-written."""

from __future__ import annotations

from gptlib.errors import GptError


class BootselectError(Exception):
    """Base of everything that bootselect raises on purpose."""


def reason_of(error: BaseException) -> str:
    """An error in words: the message of one that is raised on purpose, else its class, its message and where it comes from."""
    if isinstance(error, (BootselectError, GptError)):
        return str(error)
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"


class NoSlotsError(BootselectError):
    """The disk has no partition of the slot type. Nothing was written."""

    def __init__(self, path: str, type_name: str) -> None:
        super().__init__(f"{path}: no partition has the slot type {type_name}; give the type of its slots (--type)")
        self.path, self.type_name = path, type_name


class NotASlotError(BootselectError):
    """What was named is not a slot of this disk. Nothing was written."""

    def __init__(self, path: str, wanted: str, known: str) -> None:
        super().__init__(f"{path}: {wanted} is not a slot of this disk; its slots are {known}")
        self.path, self.wanted = path, wanted


class NothingBootableError(BootselectError):
    """No slot may be booted under the policy, and there is no last resort. Nothing was written."""

    def __init__(self, path: str, slots: str) -> None:
        super().__init__(
            f"{path}: no slot is bootable ({slots}); make one good (bootselect mark-good) or arm one (bootselect arm)"
        )
        self.path = path


class RefusedError(BootselectError):
    """A verb that would leave the machine worse off. Nothing was written."""


class ActiveUnknownError(BootselectError):
    """The active slot cannot be told: the running system was not booted from a slot that can be found."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the active slot is not known: {detail}; name a disk or image and a slot")


class DiskChoiceError(BootselectError):
    """No disk, or more than one, could be the disk of this machine's slots. Nothing was written."""

    def __init__(self, message: str, *, may_change: bool = False) -> None:
        """``may_change``: a disk that has not appeared yet could settle it."""
        super().__init__(message)
        self.may_change = may_change
