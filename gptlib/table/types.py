"""Partition types by name: those of both cgpt families, of the other A/B systems, and of UEFI and Linux.

Sources: UEFI 2.10 table 5.7; vboot_reference and seismograph (the aliases and descriptions of their ``cgpt``);
Bottlerocket; the Discoverable Partitions Specification. A name is accepted wherever a type GUID is.
"""

from __future__ import annotations

from gptlib.errors import InvalidValueError
from gptlib.table.guid import ZERO, Guid
from gptlib.table.slot_types import SLOT_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COREOS_USR = "coreos-usr"
CHROMEOS_KERNEL = "chromeos-kernel"

_COREOS_RESIZE = "3884dd41-8582-4404-b9a8-e9b84f2df50e"
_COREOS_RESERVED = "c95dc21a-df0e-4340-8d7b-26cbfa9a03e0"
_COREOS_ROOT_RAID = "be9067b9-ea49-4f15-b4f6-f36f8c9e1818"
_LINUX_DATA = "0fc63daf-8483-4772-8e79-3d69d8477de4"
_LINUX_SWAP = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"
_XBOOTLDR = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
_HOME = "933ac7e1-2eb4-4f13-b844-0e14e2aef915"
_BASIC_DATA = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
_ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
_CHROMEOS = {
    "rootfs": "3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec",
    "firmware": "cab6e88e-abf3-4102-a07a-d4bb9be3c1d3",
    "reserved": "2e0a753d-9e48-43b0-8337-b15192cb1b5e",
    "minios": "09845860-705f-4bb5-b16c-8a8a099caf52",
    "hibernate": "3f0f8318-f146-4e6b-8222-c28c8f02e0d5",
}

# The first name of a GUID is the one that type_name gives.
_GUIDS = {
    **SLOT_TYPES,
    "coreos-resize": _COREOS_RESIZE,
    "flatcar-resize": _COREOS_RESIZE,
    "coreos-reserved": _COREOS_RESERVED,
    "flatcar-reserved": _COREOS_RESERVED,
    "coreos-root-raid": _COREOS_ROOT_RAID,
    "flatcar-root-raid": _COREOS_ROOT_RAID,
    **{f"chromeos-{name}": guid for name, guid in _CHROMEOS.items()},
    "kernel": SLOT_TYPES[CHROMEOS_KERNEL],
    **_CHROMEOS,
    "esp": _ESP,
    "efi": _ESP,
    "bios": "21686148-6449-6e6f-744e-656564454649",
    "xbootldr": _XBOOTLDR,
    "linux-boot": _XBOOTLDR,
    "linux-data": _LINUX_DATA,
    "data": _LINUX_DATA,
    "linux-generic": _LINUX_DATA,
    "linux-swap": _LINUX_SWAP,
    "swap": _LINUX_SWAP,
    "linux-home": _HOME,
    "home": _HOME,
    "srv": "3b8f8425-20e0-4f3b-907f-1a25a76f98e8",
    "var": "4d21b016-b534-45c2-a9fb-5c16e091fd2d",
    "tmp": "7ec6f557-3bc5-4aca-b293-16ef5df639d1",
    "linux-lvm": "e6d6d379-f507-44c2-a23c-238f2a3df928",
    "linux-raid": "a19d880f-05fc-4d3b-a006-743f0f84911e",
    "linux-reserved": "8da63339-0007-60c0-c436-083ac8230908",
    "mswin-data": _BASIC_DATA,
    "chromeos-data": _BASIC_DATA,
    "basicdata": _BASIC_DATA,
    "root-x86-64-verity": "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
    "root-x86-64-verity-sig": "41092b05-9fc8-4523-994f-2def0408b176",
    "usr-x86-64-verity": "77ff5f63-e7b6-4633-acf4-1565b864c0e6",
    "usr-x86-64-verity-sig": "e7bb33fb-06cf-4e81-8273-e543b413e2e2",
    "root-arm64-verity": "df3300ce-d69f-4c92-978c-9bfb0f38d820",
    "root-arm64-verity-sig": "6db69de6-29f4-4758-a7a5-962190f00ce3",
    "usr-arm64-verity": "6e11a4e7-fbca-4ded-b9e9-e1a512bb664e",
    "usr-arm64-verity-sig": "c23ce4ff-44bd-4b00-b2d4-b41b3419e02a",
    "unused": "00000000-0000-0000-0000-000000000000",
}

# What the two cgpt print. Where they differ, ChromeOS's word stands ("Linux data", "Basic data").
_DESCRIPTIONS = {
    "chromeos-firmware": "ChromeOS firmware",
    CHROMEOS_KERNEL: "ChromeOS kernel",
    "chromeos-rootfs": "ChromeOS rootfs",
    "chromeos-reserved": "ChromeOS reserved",
    "chromeos-minios": "ChromeOS miniOS",
    "chromeos-hibernate": "ChromeOS hibernate",
    "linux-data": "Linux data",
    "mswin-data": "Basic data",
    "esp": "EFI System Partition",
    "bios": "BIOS Boot Partition",
    "unused": "Unused (nonexistent) partition",
    "linux-swap": "Linux swap",
    "xbootldr": "Linux /boot",
    "linux-home": "Linux /home",
    "linux-lvm": "Linux LVM",
    "linux-raid": "Linux RAID",
    "linux-reserved": "Linux reserved",
    COREOS_USR: "Alias for coreos-rootfs",
    "coreos-resize": "CoreOS auto-resize",
    "coreos-reserved": "CoreOS reserved",
    "coreos-root-raid": "CoreOS RAID containing root",
}


def type_guid(text: str) -> Guid:
    """The type GUID that a name or the text of a GUID stands for. Raises InvalidValueError for neither.

    >>> type_guid("coreos-usr")
    Guid.parse('5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6')
    """
    known = _GUIDS.get(text)
    if known is not None:
        return Guid.parse(known)
    try:
        return Guid.parse(text)
    except InvalidValueError:
        raise InvalidValueError(f"{text!r} is neither a partition type that is known by name nor a GUID") from None


def type_name(guid: Guid) -> str:
    """The name of a type (``coreos-usr``), or the text of the GUID in upper case where it has none."""
    return _names().get(guid) or str(guid)


def type_description(guid: Guid) -> str:
    """What ``cgpt show`` prints for a type (``EFI System Partition``); the GUID for types that neither cgpt knows."""
    return _DESCRIPTIONS.get(_names().get(guid, ""), str(guid))


def type_names() -> Iterator[tuple[str, Guid, str]]:
    """Every name with its GUID and description, in the order of the help texts."""
    for name, text in _GUIDS.items():
        guid = Guid.parse(text)
        yield name, guid, type_description(guid)


def is_slot_type(guid: Guid) -> bool:
    """Whether A/B systems keep slots in partitions of this type, so that the slot bits of its attributes mean something."""
    return _names().get(guid, "") in SLOT_TYPES


_BY_GUID: dict[bytes, str] = {ZERO: "unused"}


def _names() -> dict[bytes, str]:
    if len(_BY_GUID) == 1:
        for name, text in _GUIDS.items():
            _BY_GUID.setdefault(Guid.parse(text), name)
    return _BY_GUID
