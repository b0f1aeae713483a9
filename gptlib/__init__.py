"""GUID partition tables (UEFI 2.10 chapter 5): read, validate, change, and write so that a power cut leaves a table.

A ``Table`` is a value; a ``Disk`` reads and writes it. Every change of a table gives a new one, and nothing reaches the disk
before ``Disk.write``:

    >>> from gptlib import Attributes, Disk, Guid, Partition, Table, type_guid
    >>> with open("disk.img", "wb") as file:
    ...     size = file.truncate(64 << 20)
    >>> slot = Partition(type_guid("coreos-usr"), Guid.random(), 2048, 34815, Attributes(0), "USR-A")
    >>> with Disk.open("disk.img", write=True) as disk:
    ...     epochs = disk.create(Table.new(total_sectors=size // 512).add(slot, 3))

    >>> with Disk.open("disk.img", write=True) as disk:
    ...     table = disk.table()
    ...     armed = table.partition(3).attributes.with_slot(priority=1, tries=3)
    ...     epochs = disk.write(table.with_attributes(3, armed))
    >>> with Disk.open("disk.img") as disk:
    ...     print(disk.table().partition(3).attributes)
    priority=1 tries=3 successful=0

Errors are ``GptError``s, one class for each situation. The names below are imported when they are first used: a program pays
for what it needs only, and the boot path imports the modules themselves.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.attributes import (
        GROW,
        HAS_BOOTED_ONCE,
        LEGACY_BOOT,
        MAX_PRIORITY,
        MAX_TRIES,
        NO_AUTO,
        READ_ONLY,
        REQUIRED,
        Attributes,
    )
    from gptlib.check import table_findings
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
    from gptlib.findings import ERROR, NOTE, WARNING, Finding
    from gptlib.guid import Guid
    from gptlib.kernel import KernelError, PartitionInUseError
    from gptlib.partition import Partition
    from gptlib.priorities import prioritize
    from gptlib.reading import State
    from gptlib.table import Table
    from gptlib.types import type_guid, type_name

__all__ = [
    "ERROR",
    "GROW",
    "HAS_BOOTED_ONCE",
    "LEGACY_BOOT",
    "MAX_PRIORITY",
    "MAX_TRIES",
    "NOTE",
    "NO_AUTO",
    "READ_ONLY",
    "REQUIRED",
    "WARNING",
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
    "__version__",
    "prioritize",
    "table_findings",
    "type_guid",
    "type_name",
]

_MODULES = {
    "Attributes": "attributes",
    "Disk": "disk",
    "ERROR": "findings",
    "Finding": "findings",
    "GROW": "attributes",
    "Guid": "guid",
    "HAS_BOOTED_ONCE": "attributes",
    "KernelError": "kernel",
    "LEGACY_BOOT": "attributes",
    "MAX_PRIORITY": "attributes",
    "MAX_TRIES": "attributes",
    "NOTE": "findings",
    "NO_AUTO": "attributes",
    "Partition": "partition",
    "PartitionInUseError": "kernel",
    "READ_ONLY": "attributes",
    "REQUIRED": "attributes",
    "State": "reading",
    "Table": "table",
    "WARNING": "findings",
    "prioritize": "priorities",
    "table_findings": "check",
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
    return sorted(__all__)
