"""What the commands share: targets, and lines for people."""

from __future__ import annotations

import os
import sys

from gptlib.cli.options import Option, UsageError
from gptlib.errors import TargetError
from gptlib.linux.resolve import resolve_target
from gptlib.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gptlib.cli.options import Parsed
    from gptlib.disk import Disk
    from gptlib.linux.resolve import Target
    from gptlib.read.findings import Finding
    from gptlib.table.table import Table

JSON = Option("", "", "Output as JSON", "json")


def target_of(parsed: Parsed) -> Target:
    """The disk that the command line names, and a partition: that of ``-i``, or the one whose node was given.

    Raises UsageError when they differ, TargetError when there is no such disk.
    """
    target = resolve_target(parsed.argument())
    number = parsed.number("i", 0) or None
    if number is None or target.partition in {None, number}:
        return target._replace(partition=number or target.partition)
    raise UsageError(f"{parsed.argument()} is partition {target.partition} but -i {number} was given")


def whole_disk(parsed: Parsed) -> str:
    """The disk or image that the command line names. Raises TargetError for the node of a partition."""
    path = parsed.argument()
    target = resolve_target(path)
    if target.partition is not None:
        raise TargetError(path, f"is partition {target.partition} of {target.path}; give the whole disk")
    return target.path


def entry_number(table: Table, number: int) -> int:
    """Check that the table has an entry of this number. Raises UsageError."""
    if not 1 <= number <= table.entries.capacity:
        raise UsageError(f"invalid partition number: {number}; this table has entries 1 to {table.entries.capacity}")
    return number


def out(text: str) -> None:
    """Write to stdout in UTF-8, whatever the locale; lone surrogates of a damaged label become U+FFFD."""
    sys.stdout.flush()
    try:
        data = text.encode()
    except UnicodeEncodeError:
        # The codec is a module of its own, which nobody else needs.
        data = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def out_path(path: str) -> None:
    """Write a path and a newline to stdout, byte for byte: a script opens what it reads here."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.buffer.flush()


def change(disk: Disk, table: Table) -> None:
    """Write a changed table, and tell on stderr what had to be left alone. Raises as ``Disk.write``."""
    disk.write(table)
    for notice in disk.notices:
        complain(f"WARNING: {disk.path}: {notice}")


def shown(text: str) -> str:
    """Text from a disk as it is where a program reads it (a pipe, a file: as cgpt), escaped on a terminal."""
    return printable(text) if sys.stdout.isatty() else text


def complain(line: str) -> None:
    """Tell a person one line on stderr, escaped: it may quote what stands on a disk."""
    print(printable(line), file=sys.stderr)


def report(path: str, findings: Iterable[Finding]) -> None:
    """Tell what is wrong, one line each on stderr."""
    for finding in findings:
        complain(f"{finding.severity.upper()}: {path}: {finding.where}: {finding.message}")
