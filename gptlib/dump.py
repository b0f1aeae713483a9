r"""A text form of a table that can be reviewed, compared and written back exactly.

One line a partition; what is as it usually is (a protective MBR without boot code, zero reserved bytes) is left out. Sizes and places are
in sectors, text in double quotes has JSON's ``\uXXXX`` for what cannot be printed.
"""

from __future__ import annotations

import re
from struct import iter_unpack
from typing import TYPE_CHECKING, NamedTuple

from gptlib._record import unchecked
from gptlib.errors import GptError, InvalidValueError
from gptlib.layout.compiled import HEADER_SIZE, MbrBytes
from gptlib.table.attributes import SLOT_BITS, Attributes
from gptlib.table.guid import Guid
from gptlib.table.mbr import classify, protective_mbr
from gptlib.table.partition import MIN_ENTRY_SIZE, EntryArray, Partition, encode_partition
from gptlib.table.table import MAX_ARRAY_BYTES, REVISION, SECTOR_SIZES, Table, valid_entry_size
from gptlib.table.types import type_guid, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = "# gptctl dump 1"
_CODE = MbrBytes.boot_code.stop
_WORD = re.compile(r'([a-z-]+)=("(?:[^"\\]|\\u[0-9a-f]{4})*"|\S*)\s*')
_QUOTED = re.compile(r'"(?:[^"\\]|\\u[0-9a-f]{4})*"')
_SPECIAL = '"\\'
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")


class DumpError(GptError):
    """A text that is not a dump. Nothing was written."""

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(f"{path}: line {line}: {problem}; expected the output of 'gptctl dump'")
        self.path, self.line = path, line


class Dump(NamedTuple):
    """A table and the first 512 bytes of its disk."""

    table: Table
    mbr: bytes

    def __repr__(self) -> str:
        return f"<Dump: {self.table!r}, MBR {classify(self.mbr)}>"


def dump_text(dump: Dump) -> str:
    """The text form. ``parse_dump`` gives an equal Dump back."""
    return "".join(f"{line}\n" for line in (MAGIC, *_head(dump), *_entries(dump.table.entries)))


def _head(dump: Dump) -> Iterator[str]:
    table = dump.table
    yield f"disk sectors={table.total_sectors} sector-size={table.sector_size} guid={table.disk_guid}"
    yield f"usable first={table.first_usable_lba} last={table.last_usable_lba}"
    entries = table.entries
    yield (
        f"entries count={entries.capacity} size={entries.entry_size} primary={table.primary_entries_lba} "
        f"backup={table.backup_entries_lba}"
    )
    header = f"header backup={table.backup_lba} revision={table.revision:#010x} size={table.header_size}"
    extras = {
        "reserved": f"{table.reserved:#x}" if table.reserved else "",
        "primary-tail": table.primary_tail.rstrip(b"\0").hex(),
        "backup-tail": table.backup_tail.rstrip(b"\0").hex(),
    }
    yield header + "".join(f" {name}={value}" for name, value in extras.items() if value)
    code, rest = dump.mbr[:_CODE].rstrip(b"\0").hex(), dump.mbr[_CODE:]
    usual = rest == protective_mbr(b"", table.total_sectors)[_CODE:]
    yield "mbr" + ("" if usual else f" rest={rest.hex()}") + (f" code={code}" if code else "")


def _entries(entries: EntryArray) -> Iterator[str]:
    for number in range(1, entries.capacity + 1):
        raw = entries.raw_entry(number)
        if number in entries.partitions:
            yield _partition(number, entries.partitions[number], raw[MIN_ENTRY_SIZE:])
        elif any(raw):
            yield f"unused number={number} bytes={raw.rstrip(bytes(1)).hex()}"


def _partition(number: int, partition: Partition, tail: bytes) -> str:
    bits = partition.attributes
    other = bits & ~SLOT_BITS
    words = [
        f"partition number={number}",
        f"start={partition.first_lba}",
        f"size={partition.sectors}",
        f"label={_quote(partition.name)}",
        f"type={type_name(partition.type_guid)}",
        f"guid={partition.unique_guid}",
        str(bits),
    ]
    words += [f"other-attributes={other:#x}"] if other else []
    words += [f"tail={tail.rstrip(bytes(1)).hex()}"] if any(tail) else []
    return " ".join(words)


def _quote(text: str) -> str:
    return f'"{"".join(letter if letter.isprintable() and letter not in _SPECIAL else _escape(letter) for letter in text)}"'


def _escape(letter: str) -> str:
    units = iter_unpack("<H", letter.encode("utf-16-le", "surrogatepass"))
    return "".join(f"\\u{unit:04x}" for (unit,) in units)


def _unquote(text: str) -> str:
    if not _QUOTED.fullmatch(text):
        raise InvalidValueError(f"{text} is not text in double quotes")
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text[1:-1])


def parse_dump(text: str, path: str = "-") -> Dump:
    """Read the text form; empty lines and comments are skipped. Raises DumpError."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != MAGIC:
        raise DumpError(path, 1, f"it does not start with {MAGIC!r}")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        try:
            reader.take(words)
        except (InvalidValueError, KeyError, ValueError) as error:
            problem = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise DumpError(path, number, problem) from None
    try:
        return reader.dump()
    except KeyError as error:
        raise DumpError(path, len(lines), f"there is no {error.args[0]!r} line") from None
    except (InvalidValueError, ValueError) as error:
        raise DumpError(path, len(lines), str(error)) from None


def _words(text: str) -> dict[str, str]:
    words, at = {}, 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or match[1] in words:
            raise InvalidValueError(f"{text[at:]!r} is not understood")
        words[match[1]] = match[2]
        at = match.end()
    return words


class _Reader:
    """Collects the lines of a dump."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[str, str]] = {}
        self._entries: dict[int, bytes] = {}

    def take(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        words = _words(rest.strip())
        if kind == "partition":
            self._add(int(words["number"]), _entry(words))
        elif kind == "unused":
            self._add(int(words["number"]), bytes.fromhex(words["bytes"]))
        elif kind in {"disk", "usable", "entries", "header", "mbr"} and kind not in self._lines:
            self._lines[kind] = words
        else:
            raise InvalidValueError(f"a {kind!r} line is not expected here")

    def _add(self, number: int, entry: bytes) -> None:
        if number in self._entries:
            raise InvalidValueError(f"there are two entries {number}")
        self._entries[number] = entry

    def dump(self) -> Dump:
        disk, usable, header = self._lines["disk"], self._lines["usable"], self._lines["header"]
        entries, mbr = self._lines["entries"], self._lines["mbr"]
        sector_size = int(disk["sector-size"])
        if sector_size not in SECTOR_SIZES:
            raise InvalidValueError(f"sector-size is {sector_size}, not 512 or 4096")
        table = Table(
            sector_size=sector_size,
            total_sectors=int(disk["sectors"]),
            disk_guid=Guid.parse(disk["guid"]),
            first_usable_lba=int(usable["first"]),
            last_usable_lba=int(usable["last"]),
            entries=self._array(int(entries["count"]), int(entries["size"])),
            primary_entries_lba=int(entries["primary"]),
            backup_entries_lba=int(entries["backup"]),
            backup_lba=int(header["backup"]),
            revision=int(header.get("revision", str(REVISION)), 0),
            header_size=int(header.get("size", str(HEADER_SIZE))),
            reserved=int(header.get("reserved", "0"), 0),
            primary_tail=_tail(header.get("primary-tail", ""), sector_size),
            backup_tail=_tail(header.get("backup-tail", ""), sector_size),
        )
        if not HEADER_SIZE <= table.header_size <= sector_size:
            raise InvalidValueError(f"the header size cannot be {table.header_size}")
        code = bytes.fromhex(mbr.get("code", ""))
        usual = protective_mbr(b"", table.total_sectors)[_CODE:]
        rest = bytes.fromhex(mbr["rest"]) if "rest" in mbr else usual
        if len(code) > _CODE or len(rest) != len(usual):
            raise InvalidValueError("the MBR has not 512 bytes")
        return Dump(table, code.ljust(_CODE, b"\0") + rest)

    def _array(self, count: int, size: int) -> EntryArray:
        if not valid_entry_size(size) or not 1 <= count <= MAX_ARRAY_BYTES // size:
            raise InvalidValueError(f"{count} entries of {size} bytes are not allowed")
        wrong = [n for n, entry in self._entries.items() if not 1 <= n <= count or len(entry) > size]
        if wrong:
            raise InvalidValueError(f"entry {wrong[0]} does not fit into {count} entries of {size} bytes")
        return EntryArray(b"".join(self._entries.get(n, b"").ljust(size, b"\0") for n in range(1, count + 1)), size)


def _tail(text: str, sector_size: int) -> bytes:
    tail = bytes.fromhex(text)
    if len(tail) > sector_size - HEADER_SIZE:
        raise InvalidValueError(f"{len(tail)} bytes do not fit behind the header")
    return tail


def _entry(words: dict[str, str]) -> bytes:
    attributes = Attributes(int(words.get("other-attributes", "0"), 0)).with_slot(
        priority=int(words["priority"]), tries=int(words["tries"]), successful=bool(int(words["successful"]))
    )
    first = int(words["start"])
    partition = unchecked(
        Partition,
        type_guid=type_guid(words["type"]),
        unique_guid=Guid.parse(words["guid"]),
        first_lba=first,
        last_lba=first + int(words["size"]) - 1,
        attributes=attributes,
        name=_unquote(words["label"]),
    )
    return encode_partition(partition, legal=False) + bytes.fromhex(words.get("tail", ""))
