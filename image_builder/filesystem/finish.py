"""Gives an unpacked tree what unpacking could not: run as a program in a session of fakeroot, with the standard library only.

Argument: the tree. Standard input: JSON, for each path in sorted order (path, mode, uid, gid, extended attributes in
hexadecimal, file to copy from or null).
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Order = tuple[str, int, int, int, Sequence[tuple[str, str]], str | None]


def finish(tree: Path, order: Order) -> None:
    """Bring one path of the tree into order. Raises OSError."""
    path, mode, uid, gid, xattrs, source = order
    place = tree / path
    there = path == "" or place.is_symlink() or place.exists()
    if source is not None:
        place.unlink(missing_ok=True)
        shutil.copyfile(source, place)
        own(place, mode, uid, gid)
    elif not there:
        make(place, mode)
        own(place, mode, uid, gid)
    elif not path:
        own(place, mode, uid, gid)
    for name, value in xattrs:
        os.setxattr(place, name, bytes.fromhex(value), follow_symlinks=False)


def own(place: Path, mode: int, uid: int, gid: int) -> None:
    """Set owner and mode, in this order: a change of owner takes setuid away."""
    os.lchown(place, uid, gid)
    place.chmod(stat.S_IMODE(mode))


def make(place: Path, mode: int) -> None:
    """Make what archives do not name or cannot hold: folders on the way, and sockets."""
    if stat.S_ISDIR(mode):
        place.mkdir()
    elif stat.S_ISSOCK(mode):
        os.mknod(place, mode)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for each in json.load(sys.stdin.buffer):
        finish(root, each)
