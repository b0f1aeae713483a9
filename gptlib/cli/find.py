"""``gptctl find``: partitions by type, GUID, label or content."""

from __future__ import annotations

from gptlib._files import open_file, status
from gptlib.cli.common import JSON, complain, out, out_path
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk
from gptlib.errors import CorruptGptError, GptError, NotGptError
from gptlib.linux.nodes import partition_name
from gptlib.linux.resolve import resolve_target
from gptlib.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.cli.options import Parsed
    from gptlib.table.partition import Partition
    from gptlib.table.table import Table


_CHUNK = 1 << 20


class _Query:
    """What is looked for: any of type, GUID and label, and the content at an offset into the partition."""

    def __init__(self, parsed: Parsed) -> None:
        self.type_guid, self.guid, self.label = parsed.type_guid("t"), parsed.guid("u"), parsed.label("l")
        self.offset = parsed.number("O") or 0
        if self.type_guid is None and self.guid is None and self.label is None:
            raise UsageError("you must specify at least one of -t, -u, or -l")
        name = parsed.text("M")
        self.content, self.length = name, 0 if name is None else _length(name)

    def hits(self, disk: Disk, table: Table) -> Iterator[tuple[int, Partition]]:
        for index, partition in table.partitions.items():
            wanted = (
                partition.unique_guid == self.guid
                or partition.type_guid == self.type_guid
                or (self.label is not None and partition.label == self.label)
            )
            if wanted and self._has_content(disk, table, partition):
                yield index, partition

    def _has_content(self, disk: Disk, table: Table, partition: Partition) -> bool:
        if self.content is None:
            return True
        if self.offset + self.length > partition.sectors * table.sector_size:
            return False
        start = partition.first_lba * table.sector_size + self.offset
        try:
            with open_file(self.content, "rb") as file:
                return all(
                    _read(disk, start + at, min(_CHUNK, self.length - at)) == file.read(_CHUNK)
                    for at in range(0, self.length, _CHUNK)
                )
        except OSError as error:
            raise UsageError(f"unable to read from {self.content}: {error.strerror}") from None


def _read(disk: Disk, offset: int, length: int) -> bytes:
    # A device opened with O_DIRECT is read in whole sectors.
    size = disk.device.sector_size or 1
    start = offset % size
    return disk.device.read(offset - start, -(-(start + length) // size) * size)[start : start + length]


def _length(name: str) -> int:
    try:
        found = status(name)
    except OSError as error:
        raise UsageError(f"unable to read from {name}: {error.strerror}") from None
    if not found.st_size:
        raise UsageError(f"unable to read from {name}: it is empty")
    return found.st_size


Match = tuple[str, str, int, "Partition"]
"""Drive, node, number and entry of a partition that was found."""


def _search(path: str, query: _Query) -> list[Match]:
    with Disk.open(path) as disk:
        return [(path, partition_name(path, index), index, entry) for index, entry in query.hits(disk, disk.table())]


def _print(match: Match, parsed: Parsed) -> None:
    _, node, index, entry = match
    numeric = parsed.has("n")
    if numeric:
        out(f"{index}\n")
    else:
        out_path(node)
    if parsed.has("v"):
        from gptlib.cli.show import entry_details

        out(entry_details(entry, index, numeric=numeric, text=printable))


def _run(parsed: Parsed) -> int:
    query = _Query(parsed)
    matches: list[Match] = []
    paths = parsed.arguments
    if not paths:
        from gptlib.linux.scan import whole_disks

        paths = whole_disks()
    for path in paths:
        try:
            matches += _search(resolve_target(path).path, query)
        except (NotGptError, CorruptGptError) as error:
            if parsed.arguments:
                complain(f"ERROR: {error}")
        except GptError as error:
            complain(f"ERROR: {error}")
    if parsed.has("json"):
        from gptlib.cli.report import matches_json

        out(matches_json(matches))
    else:
        for match in matches:
            _print(match, parsed)
    return int(len(matches) != 1 if parsed.has("1") else not matches)


COMMAND = Command(
    "find",
    "[DRIVE...]",
    "Find a partition by its UUID or label. With no specified DRIVE it scans all physical drives.",
    (
        Option("t", "GUID", "Search for Partition Type GUID"),
        Option("u", "GUID", "Search for Partition Unique ID"),
        Option("l", "LABEL", "Search for Label"),
        Option("v", "", "Be verbose in displaying matches (repeatable)"),
        Option("n", "", "Numeric output only"),
        Option("1", "", "Fail if more than one match is found"),
        Option("M", "FILE", "Matching partition data must also contain FILE content"),
        Option("O", "NUM", "Byte offset into partition to match content (default 0)"),
        JSON,
    ),
    _run,
    types=True,
)
