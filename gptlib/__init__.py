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
    from gptlib.linux.kernel import KernelError, PartitionInUseError
    from gptlib.read.checks import table_findings
    from gptlib.read.findings import ERROR, NOTE, WARNING, Finding
    from gptlib.read.state import Examination, State
    from gptlib.table.attributes import (
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
    from gptlib.table.guid import Guid
    from gptlib.table.partition import Partition
    from gptlib.table.priorities import prioritize
    from gptlib.table.table import Table
    from gptlib.table.types import type_guid, type_name

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
    "Examination",
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
    "Attributes": "table.attributes",
    "Disk": "disk",
    "ERROR": "read.findings",
    "Examination": "read.state",
    "Finding": "read.findings",
    "GROW": "table.attributes",
    "Guid": "table.guid",
    "HAS_BOOTED_ONCE": "table.attributes",
    "KernelError": "linux.kernel",
    "LEGACY_BOOT": "table.attributes",
    "MAX_PRIORITY": "table.attributes",
    "MAX_TRIES": "table.attributes",
    "NOTE": "read.findings",
    "NO_AUTO": "table.attributes",
    "Partition": "table.partition",
    "PartitionInUseError": "linux.kernel",
    "READ_ONLY": "table.attributes",
    "REQUIRED": "table.attributes",
    "State": "read.state",
    "Table": "table.table",
    "WARNING": "read.findings",
    "prioritize": "table.priorities",
    "table_findings": "read.checks",
    "type_guid": "table.types",
    "type_name": "table.types",
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
