"""GUID partition tables (UEFI 2.10 chapter 5): read, judge, change, and write so that a power cut leaves a table.

The names below are imported when they are first used: a program pays for what it needs only, and the boot path imports the
modules themselves.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.attributes import Attributes
    from gptlib.disk import Disk
    from gptlib.errors import (
        BusyError,
        CorruptGptError,
        GptError,
        InvalidValueError,
        NotGptError,
        ReadError,
        ReadOnlyError,
        TableError,
        TargetError,
        TruncatedDiskError,
        WriteError,
    )
    from gptlib.findings import Finding
    from gptlib.guid import Guid
    from gptlib.kernel import KernelError, PartitionInUseError
    from gptlib.partition import Partition
    from gptlib.reading import State
    from gptlib.table import Table
    from gptlib.types import type_guid, type_name

__all__ = [
    "Attributes",
    "BusyError",
    "CorruptGptError",
    "Disk",
    "Finding",
    "GptError",
    "Guid",
    "InvalidValueError",
    "KernelError",
    "NotGptError",
    "Partition",
    "PartitionInUseError",
    "ReadError",
    "ReadOnlyError",
    "State",
    "Table",
    "TableError",
    "TargetError",
    "TruncatedDiskError",
    "WriteError",
    "type_guid",
    "type_name",
]

_MODULES = {
    "Attributes": "attributes",
    "Disk": "disk",
    "Finding": "findings",
    "Guid": "guid",
    "KernelError": "kernel",
    "Partition": "partition",
    "PartitionInUseError": "kernel",
    "State": "reading",
    "Table": "table",
    "type_guid": "types",
    "type_name": "types",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gptlib' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"gptlib.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
