"""What independent tools see on an image: Debian's cgpt, sgdisk, sfdisk, libblkid (by way of partx and blkid)."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from gptlib import Disk, GptError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gptlib import Table


class Seen(NamedTuple):
    """A partition as a tool shows it. GUIDs are in upper case; what the tool cannot tell is None."""

    number: int
    start: int
    size: int
    type: str
    uuid: str
    label: str | None
    attributes: int | None


View = tuple[Seen, ...] | None
"""The partitions by number; None where the tool finds no table."""


def run(*argv: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool. Labels may be any bytes; they are kept apart as surrogates."""
    words = [str(word) for word in argv]
    return subprocess.run(
        words, input=text, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
    )


def tool(*argv: object, text: str | None = None) -> str:
    """Run a tool that must succeed."""
    result = run(*argv, text=text)
    assert result.returncode == 0, f"{argv}: {result.stdout}{result.stderr}"
    return result.stdout


_CGPT_ENTRY = re.compile(
    r'^ *(\d+) +(-?\d+) +(\d+)  Label: "(.*)"\n +Type: (\S+)\n +UUID: (\S+)\n +Attr: \[([0-9a-f]+)\]\n', re.MULTILINE
)


def cgpt(path: Path) -> View:
    """ChromeOS's cgpt; of the attributes it shows bits 48 to 63."""
    result = run("cgpt", "show", "-n", path)
    if result.returncode:
        return None
    found = [
        Seen(int(number), int(start), int(size), kind, uuid, label, int(bits, 16) << 48)
        for start, size, number, label, kind, uuid, bits in _CGPT_ENTRY.findall(result.stdout)
    ]
    return tuple(sorted(set(found)))


_SGDISK_ROW = re.compile(r"^ +(\d+) +\d+ +\d+ ", re.MULTILINE)
_SGDISK_FIELD = re.compile(r"^([A-Z][\w ]+): +(.*)$", re.MULTILINE)


def sgdisk(path: Path) -> View:
    """GPT fdisk. It answers for any disk; that it found a GPT shows in its table of both copies."""
    listing = run("sgdisk", "-p", path)
    if listing.returncode or "Creating new GPT entries" in listing.stdout:
        return None
    numbers = [int(number) for number in _SGDISK_ROW.findall(listing.stdout)]
    if not numbers:
        return ()
    shown = run("sgdisk", *(word for number in numbers for word in ("-i", number)), path)
    blocks = re.findall(r"Partition GUID code.*?Partition name: '[^\n]*'\n", shown.stdout, re.DOTALL)
    return tuple(_sgdisk_entry(number, block) for number, block in zip(numbers, blocks, strict=True))


def _sgdisk_entry(number: int, block: str) -> Seen:
    fields = dict(_SGDISK_FIELD.findall(block))
    return Seen(
        number,
        int(fields["First sector"].split()[0]),
        int(fields["Partition size"].split()[0]),
        fields["Partition GUID code"].split()[0],
        fields["Partition unique GUID"],
        fields["Partition name"][1:-1],
        int(fields["Attribute flags"], 16),
    )


_SFDISK_NAMES = {"RequiredPartition": 1, "NoBlockIOProtocol": 2, "LegacyBIOSBootable": 4}


def sfdisk(path: Path) -> View:
    """Of libfdisk; it names the bits 0 to 2 and 48 to 63 of the attributes."""
    result = run("sfdisk", "--json", path)
    if result.returncode:
        return None
    table = json.loads(result.stdout)["partitiontable"]
    if table["label"] != "gpt":
        return None
    found = [
        Seen(
            int(entry["node"].removeprefix(f"{path}").lstrip("p")),
            entry["start"],
            entry["size"],
            entry["type"],
            entry["uuid"],
            entry.get("name", ""),
            _sfdisk_bits(entry.get("attrs") or ""),
        )
        for entry in table.get("partitions", [])
    ]
    return tuple(sorted(found))


def _sfdisk_bits(text: str) -> int:
    bits = 0
    for word in text.split():
        if word in _SFDISK_NAMES:
            bits |= _SFDISK_NAMES[word]
        else:
            bits |= sum(1 << int(bit) for bit in word.removeprefix("GUID:").split(","))
    return bits


_PARTX_FIELD = re.compile(r'(\w+)="([^"]*)"')


def blkid(path: Path) -> View:
    """Of libblkid: blkid must say that it is a GPT, partx lists what the library found."""
    if run("blkid", "-p", "-s", "PTTYPE", "-o", "value", path).stdout.strip() != "gpt":
        return None
    listing = run("partx", "--pairs", "-o", "NR,START,SECTORS,TYPE,UUID,NAME,FLAGS", path).stdout
    found = []
    for line in listing.splitlines():
        fields = dict(_PARTX_FIELD.findall(line))
        label = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), fields["NAME"])
        found.append(
            Seen(
                int(fields["NR"]),
                int(fields["START"]),
                int(fields["SECTORS"]),
                fields["TYPE"].upper(),
                fields["UUID"].upper(),
                label.encode("latin-1").decode("utf-8", "surrogateescape"),
                int(fields["FLAGS"], 16),
            )
        )
    return tuple(sorted(found))


def view_of(table: Table) -> tuple[Seen, ...]:
    """A table of ours in the same form."""
    return tuple(
        Seen(number, p.first_lba, p.sectors, str(p.type_guid), str(p.unique_guid), p.label, int(p.attributes))
        for number, p in table.partitions.items()
    )


def gptlib(path: Path) -> View:
    """Of our own library."""
    try:
        with Disk.open(path) as disk:
            return view_of(disk.table())
    except GptError:
        return None


PEERS: dict[str, Callable[[Path], View]] = {"cgpt": cgpt, "sgdisk": sgdisk, "sfdisk": sfdisk, "blkid": blkid}

_SFDISK_BITS = 0xFFFF000000000007


def expected(view: tuple[Seen, ...], peer: str) -> tuple[Seen, ...]:
    """What a peer shows of these partitions: cgpt has no bits below 48, sfdisk none from 3 to 47."""
    if peer == "cgpt":
        # It has room for 71 bytes of UTF-8.
        view = tuple(seen._replace(label=(seen.label or "").encode()[:71].decode(errors="ignore")) for seen in view)
    masks = {"cgpt": 0xFFFF << 48, "sfdisk": _SFDISK_BITS}
    mask = masks.get(peer, (1 << 64) - 1)
    return tuple(seen._replace(attributes=(seen.attributes or 0) & mask) for seen in view)
