"""Errors of gptlib: one class per situation, each with the path and the values that explain it.

The text of every error is one line that says where, what was found, what was expected and what to do. None of them
leaves anything half-written unless its docstring says so.
"""

from __future__ import annotations


class GptError(Exception):
    """Base of everything that gptlib raises on purpose."""


class InvalidValueError(GptError, ValueError):
    """A value that no GPT can hold: raised when the value is made, before any disk is touched."""


class TableError(GptError):
    """A change that would make the table illegal (overlap, out of range, no such entry). Nothing was written."""


class TargetError(GptError):
    """The target cannot be opened or is not a disk, partition node or image file."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class NotGptError(GptError):
    """Neither copy carries a GPT signature. Nothing was written."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: no GUID partition table: {detail}")
        self.path = path


class CorruptGptError(GptError):
    """There are traces of a GPT, or sectors that cannot be read, but no complete valid copy. Nothing was written."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(
            f"{path}: both copies of the GPT are damaged: {detail}; restore it from a dump (gptctl restore)"
        )
        self.path = path


class TruncatedDiskError(GptError):
    """The disk ends before the table says it does and partitions lie beyond the end. Nothing was written."""

    def __init__(self, path: str, *, sectors: int, needed: int) -> None:
        super().__init__(
            f"{path}: the disk ends after {sectors} sectors but its table needs {needed}: it was truncated or copied to "
            "a smaller disk; copy the whole image again or use a disk that is large enough"
        )
        self.path, self.sectors, self.needed = path, sectors, needed


class BusyError(GptError):
    """Another writer holds the lock of the disk. Nothing was written."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(
            f"{path}: another program is writing this disk (its lock was not free within {seconds:g} s); try again"
        )
        self.path, self.seconds = path, seconds


class ReadOnlyError(GptError):
    """The target is read-only or was opened for reading only. Nothing was written."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: cannot be written: {detail}")
        self.path = path


class ReadError(GptError):
    """The device failed to read a sector that is needed."""

    def __init__(self, path: str, offset: int, length: int, reason: str) -> None:
        super().__init__(f"{path}: reading {length} bytes at byte {offset} failed: {reason}")
        self.path, self.offset, self.length = path, offset, length


class WriteError(GptError):
    """The device failed in the middle of a write.

    On the disk: one of the states that a power cut at the same place would have left, which every reader of the order
    of writes in ``gptlib.write.plan`` takes for the old or for the new table. The next successful write repairs the rest.
    """

    def __init__(self, path: str, offset: int, length: int, reason: str) -> None:
        super().__init__(
            f"{path}: writing {length} bytes at byte {offset} failed: {reason}; the table on the disk is still the old or "
            "the new one, run 'gptctl repair' once the disk can be written again"
        )
        self.path, self.offset, self.length = path, offset, length
