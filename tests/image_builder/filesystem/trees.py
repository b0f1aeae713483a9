"""A tree with everything that a file system has and that is easily lost, and what must be found of it.

Run in a fakeroot session, it makes the tree (see ``making``).
"""

# ruff: noqa: PTH101, PTH103, PTH118, PTH123, PTH211 - names are bytes, and some are no text

from __future__ import annotations

import json
import os
import stat
import struct
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from image_builder.filesystem.listing import Entry
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE, FOLDER, LINK, FIFO = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO
CHARACTER, BLOCK = stat.S_IFCHR, stat.S_IFBLK

CAPABILITY = (b"security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
"""cap_net_bind_service=ep, as setcap writes it."""


def posix_acl(*entries: tuple[int, int, int]) -> bytes:
    """include/uapi/linux/posix_acl_xattr.h."""
    return b"\x02\0\0\0" + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
ACL = posix_acl(
    (1, 6, NOBODY), (2, 4, 1000), (2, 6, 70000), (4, 4, NOBODY), (8, 4, 50), (16, 6, NOBODY), (32, 4, NOBODY)
)
ACL_TEXT = "user::rw-,user:1000:r--,user:70000:rw-,group::r--,group:50:r--,mask::rw-,other::r--"

MANY = 3000
TAR_OPTIONS = ("--format=pax", "--sparse", "--xattrs", "--xattrs-include=*")


def _odd_tree() -> dict[bytes, Entry]:
    tree = {
        b"": Entry(FOLDER | 0o1775, 7, 8, xattrs=((b"user.root", b"yes"),)),
        b"empty": Entry(FOLDER | 0o700, 0, 0),
        b"nothing": Entry(FILE | 0o644, 0, 0),
        b"setuid": Entry(FILE | 0o4755, 0, 0, 9),
        b"setgid": Entry(FILE | 0o2755, 0, 65534, 9),
        b"sticky": Entry(FOLDER | 0o3777, 1, 2),
        b"closed": Entry(FILE | 0o000, 5, 6, 3),
        b"far": Entry(FILE | 0o640, 70000, 4_000_000_000, 5),
        b"far folder": Entry(FOLDER | 0o750, 65536, 65537),
        b"sparse": Entry(FILE | 0o644, 0, 0, 3 * 2**20),
        b"dev": Entry(FOLDER | 0o755, 0, 0),
        b"dev/null": Entry(CHARACTER | 0o666, 0, 0, device=(1, 3)),
        b"dev/sda": Entry(BLOCK | 0o660, 0, 6, device=(8, 1)),
        b"dev/large": Entry(BLOCK | 0o660, 0, 6, device=(259, 70000)),
        b"dev/marked": Entry(CHARACTER | 0o600, 0, 0, device=(5, 1), xattrs=((b"security.x", b"d"),)),
        b"fifo": Entry(FIFO | 0o600, 3, 4),
        b"links": Entry(FOLDER | 0o755, 0, 0),
        b"links/b": Entry(FILE | 0o600, 9, 9, 11, first=b"links/a"),
        b"links/a": Entry(FILE | 0o600, 9, 9, 11, first=b"links/a"),
        b"other": Entry(FOLDER | 0o755, 0, 0),
        b"other/c": Entry(FILE | 0o600, 9, 9, 11, first=b"links/a"),
        b"other/device": Entry(CHARACTER | 0o600, 0, 0, device=(4, 7), first=b"other/device"),
        b"other/same device": Entry(CHARACTER | 0o600, 0, 0, device=(4, 7), first=b"other/device"),
        b"ping": Entry(FILE | 0o755, 0, 0, 4, xattrs=(CAPABILITY,)),
        b"trusted": Entry(FOLDER | 0o755, 0, 0, xattrs=((b"trusted.overlay.opaque", b"y"),)),
        b"acl": Entry(FILE | 0o664, 0, 0, 1, xattrs=((b"system.posix_acl_access", ACL), (b"user.beside", b"an acl"))),
        b"acl folder": Entry(FOLDER | 0o755, 0, 0, xattrs=((b"system.posix_acl_default", ACL),)),
        b"values": Entry(FILE | 0o644, 0, 0, xattrs=((b"user.binary", b"\0\xff=\n1 a=b\n"), (b"user.empty", b""))),
        b"large values": Entry(
            FILE | 0o644, 0, 0, xattrs=tuple((b"user.large%d" % n, bytes([n]) * 900) for n in range(3))
        ),
        b"marked link": Entry(LINK | 0o777, 11, 12, target=b"nowhere", xattrs=((b"trusted.link", b"1"),)),
        b"many": Entry(FOLDER | 0o755, 0, 0),
        b"deep": Entry(FOLDER | 0o755, 0, 0),
    }
    for number in range(4):  # with the others more than the first 60 bytes of a folder inside of its inode
        tree[b"dev/tty%d" % number] = Entry(CHARACTER | 0o620, 0, 5, device=(4, number))
    tree[b"values of their own"] = Entry(FOLDER | 0o755, 0, 0)
    for number in range(20):  # more than a metadata block of squashfs
        xattrs = tuple((b"user.%d" % part, bytes([number, part]) * 120) for part in range(3))
        tree[b"values of their own/%d" % number] = Entry(FILE | 0o644, 0, 0, xattrs=xattrs)
    for length in (1, 59, 60, 61, 255, 1000, 2000):
        tree[b"to %d" % length] = Entry(LINK | 0o777, 0, 0, target=(b"../" * 2000)[:length])
    for name in (
        b"new\nline",
        b"a blank",
        b"tab\t",
        "grün".encode(),
        b"\xff\xfe",
        b"n" * 254,
        b"-rf",
        b"back\\slash",
        b'"*?',
    ):
        tree[name] = Entry(FILE | 0o644, 0, 0, 1)
    for number in range(MANY):
        tree[b"many/file number %d" % number] = Entry(FILE | 0o644, 0, 0)
    for number in range(5):  # the same on several: erofs and squashfs store it once
        tree[b"shared %d" % number] = Entry(FILE | 0o644, 0, 0, xattrs=((b"user.shared", b"a value " * 20),))
    path = b"deep"
    for number in range(30):
        path += b"/%d" % number
        tree[path] = Entry(FOLDER | 0o755, 0, 0)
    return tree


ODD = _odd_tree()
LONGEST = {b"n" * 255: Entry(FILE | 0o644, 0, 0), b"to 4095": Entry(LINK | 0o777, 0, 0, target=b"x" * 4095)}
"""What mkfs.erofs 1.5 refuses ("Could not format the device"), and what needs blocks of 4 KiB in an ext4."""


def without_acls(tree: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """What a squashfs can hold."""
    return {
        path: replace(entry, xattrs=tuple(xattr for xattr in entry.xattrs if not xattr[0].startswith(b"system.")))
        for path, entry in tree.items()
    }


def listing_of(kind: str, variant: str) -> dict[bytes, Entry]:
    """What must be found in an image of conftest."""
    made = ODD if kind == "erofs" or variant == "small blocks" else ODD | LONGEST
    if kind == "squashfs":
        return without_acls(made)
    if kind == "ext4":  # mkfs.ext4 -d of 1.47.0 leaves mode and owner of the root as they are
        return made | {b"": replace(made[b""], mode=FOLDER | 0o755, uid=0, gid=0)}
    return made


def make(tree: dict[bytes, Entry], root: bytes) -> None:
    """Make it, with the calls that the kernel has for that."""
    for path, entry in sorted(tree.items()):
        place = os.path.join(root, path)
        if entry.first and entry.first != path:
            os.link(os.path.join(root, entry.first), place)
            continue
        _make_node(place, entry)
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
        for name, value in entry.xattrs:
            os.setxattr(place, name, value, follow_symlinks=False)
        if not stat.S_ISLNK(entry.mode):
            os.chmod(place, stat.S_IMODE(entry.mode))


def _make_node(place: bytes, entry: Entry) -> None:
    kind = stat.S_IFMT(entry.mode)
    if kind == FOLDER:
        os.makedirs(place, exist_ok=True)
    elif kind == LINK:
        os.symlink(entry.target, place)
    elif kind == FILE:
        with open(place, "xb") as file:
            file.truncate(entry.size)
            if entry.size:
                file.seek(entry.size - 1)
                file.write(b"x")
    else:
        os.mknod(place, entry.mode, os.makedev(*entry.device))


_RUN_ALL = "import json, subprocess, sys; [subprocess.run(argv, check=True) for argv in json.loads(sys.argv[1])]"


def in_fakeroot(*commands: Sequence[str | Path]) -> None:
    """Run commands one after the other in one session, so that each sees the owners and nodes that those before it made."""
    run_tool(
        "fakeroot", sys.executable, "-c", _RUN_ALL, json.dumps([[str(word) for word in argv] for argv in commands])
    )


def making(folder: Path, tree: str = "odd") -> tuple[str, ...]:
    """The command that makes the odd tree, or adds what is ``longest``."""
    return (sys.executable, "-m", "tests.image_builder.filesystem.trees", tree, str(folder))


if __name__ == "__main__":
    make({"odd": ODD, "longest": LONGEST}[sys.argv[1]], os.fsencode(sys.argv[2]))
