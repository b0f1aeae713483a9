"""Access control lists as the kernel shows them: the value of system.posix_acl_access and system.posix_acl_default.

include/uapi/linux/posix_acl_xattr.h: version 2, then per entry tag, permissions and id. ext4 and tar have forms of their own.
"""

from __future__ import annotations

import struct

ACCESS, DEFAULT = b"system.posix_acl_access", b"system.posix_acl_default"

_VERSION, _VERSION_OF_EXT4 = 2, 1
_ENTRY = struct.Struct("<HHI")
_SHORT = struct.Struct("<HH")
_NO_ID = 0xFFFFFFFF
_USER, _GROUP = 0x02, 0x08
_TAGS = {"user": (0x01, _USER), "group": (0x04, _GROUP), "mask": (0x10, 0x10), "other": (0x20, 0x20)}
"""Word of the text form -> tag without and with a name."""


def from_ext4(value: bytes) -> bytes:
    """The list in an ext4 inode (fs/ext4/acl.h), where only named entries have an id. Raises ValueError or struct.error."""
    if value[:4] != _VERSION_OF_EXT4.to_bytes(4, "little"):
        raise ValueError("an access control list of an unknown version")
    entries, offset = [], 4
    while offset < len(value):
        tag, permissions = _SHORT.unpack_from(value, offset)
        named = tag in (_USER, _GROUP)
        entries.append(_ENTRY.unpack_from(value, offset) if named else (tag, permissions, _NO_ID))
        offset += _ENTRY.size if named else _SHORT.size
    return _encode(entries)


def from_text(text: str) -> bytes:
    """The list that tar stores as SCHILY.acl.access, in words. Raises ValueError for a name whose number is not told."""
    entries = []
    for line in text.replace(",", "\n").splitlines():
        words = line.partition("#")[0].strip().split(":")
        if words == [""]:
            continue
        if len(words) < 3 or words[0] not in _TAGS:
            raise ValueError(f"no entry of an access control list: {line!r}")
        kind, name, permissions = words[:3]
        number = words[3] if len(words) > 3 else name
        if name and not number.isdecimal():
            raise ValueError(f"an access control list names {kind} {name!r} without a number")
        bits = sum(bit for letter, bit in zip("rwx", (4, 2, 1), strict=True) if letter in permissions)
        entries.append((_TAGS[kind][bool(name)], bits, int(number) if name else _NO_ID))
    return _encode(sorted(entries, key=lambda entry: (entry[0], entry[2])))


def _encode(entries: list[tuple[int, int, int]]) -> bytes:
    return _VERSION.to_bytes(4, "little") + b"".join(_ENTRY.pack(*entry) for entry in entries)
