"""A file system in memory that forgets what was not flushed, and that can fail, or be killed, at any system call.

Written from what journalling file systems promise and no more: the content of a file is there after fsync of the file, its name
after fsync of the folder. What was done to the names of a folder since then is done up to some point after a power cut, and undone from there
on; the contents know nothing of that, and of what was not flushed any part may be there.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


class Killed(BaseException):
    """The process is gone, right after a system call, or right before it."""


@dataclass
class Node:
    """The content of a file, now and as it is on stable storage."""

    data: bytes = b""
    stable: bytes = b""


@dataclass
class Folders:
    """Folder -> name -> file, and the folders that there are."""

    names: dict[str, dict[str, Node]] = field(default_factory=dict)

    def copy(self) -> Folders:
        return Folders({folder: dict(names) for folder, names in self.names.items()})


class Disk:
    """The methods of ``update_agent.state.files.Files``.

    ``fail_at`` is the number of the call (from 1 on) that fails with ``number``; ``die_before`` and ``die_after`` that at which the
    process is killed. ``short``: a write takes half of its bytes, and the next one the rest; one that fails has taken half all the same.
    """

    def __init__(self) -> None:
        self.now = Folders({"/": {}})
        self.stable = Folders({"/": {}})
        self.calls = 0
        self.log: list[str] = []
        self.fail_at = self.die_before = self.die_after = 0
        self.number = errno.EIO
        self.short = False
        self._unsure: dict[str, list[dict[str, Node | None]]] = {}
        self._open: dict[int, tuple[str, Node | None]] = {}
        self._next = 3
        self.locked: set[int] = set()

    def arm(self, *, fail_at: int = 0, die_before: int = 0, die_after: int = 0, number: int = errno.EIO) -> None:
        self.calls, self.log = 0, []
        self.fail_at, self.die_before, self.die_after, self.number = fail_at, die_before, die_after, number

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self.calls += 1
        self.log.append(name)
        if self.calls == self.die_before:
            raise Killed
        try:
            if self.calls == self.fail_at:
                raise OSError(self.number, "as told")
            yield
        finally:
            if self.calls == self.die_after:
                raise Killed

    @staticmethod
    def _split(path: str) -> tuple[str, str]:
        folder, _, name = path.rpartition("/")
        return folder or "/", name

    def _folder(self, path: str) -> dict[str, Node]:
        if path not in self.now.names:
            raise FileNotFoundError(errno.ENOENT, "no such folder", path)
        return self.now.names[path]

    def _node(self, folder: str, name: str) -> Node:
        names = self._folder(folder)
        if name not in names:
            self._change(folder, {name: Node()})
        return names[name]

    def _change(self, folder: str, changes: dict[str, Node | None]) -> None:
        """One step of the names of a folder; it is on stable storage with the next flush."""
        _apply(self._folder(folder), changes)
        self._unsure.setdefault(folder, []).append(changes)

    def _fd(self, path: str, node: Node | None) -> int:
        self._next += 1
        self._open[self._next] = (path, node)
        return self._next

    def read(self, path: str, limit: int) -> bytes:
        with self._call("read"):
            folder, name = self._split(path)
            if name not in self._folder(folder):
                raise FileNotFoundError(errno.ENOENT, "no such file", path)
            data = self.now.names[folder][name].data
            if len(data) > limit:
                raise OSError(errno.EFBIG, "too large")
        return data

    def create(self, path: str) -> int:
        with self._call("create"):
            folder, name = self._split(path)
            node = self._node(folder, name)
            node.data = b""
        return self._fd(path, node)

    def append(self, path: str) -> int:
        with self._call("append"):
            folder, name = self._split(path)
            node = self._node(folder, name)
        return self._fd(path, node)

    def write(self, fd: int, data: bytes) -> int:
        node = self._open[fd][1]
        assert node is not None
        half = data[: len(data) // 2]
        if self.calls + 1 in (self.fail_at, self.die_before):
            node.data += half
        with self._call("write"):
            taken = half if self.short and len(data) > 1 else data
            node.data += taken
        return len(taken)

    def fsync(self, fd: int) -> None:
        path, node = self._open[fd]
        with self._call("fsync"):
            if node is not None:
                node.stable = node.data
            else:
                self.stable.names[path] = dict(self.now.names[path])
                self._unsure.pop(path, None)

    def close(self, fd: int) -> None:
        self._open.pop(fd)
        self.locked.discard(fd)

    def rename(self, old: str, new: str) -> None:
        with self._call("rename"):
            (folder, before), (_, name) = self._split(old), self._split(new)
            self._change(folder, {before: None, name: self._folder(folder)[before]})

    def unlink(self, path: str) -> None:
        with self._call("unlink"):
            folder, name = self._split(path)
            if name not in self._folder(folder):
                raise FileNotFoundError(errno.ENOENT, "no such file", path)
            self._change(folder, {name: None})

    def open_folder(self, path: str) -> int:
        with self._call("open_folder"):
            self._folder(path)
        return self._fd(path, None)

    def make_folder(self, path: str) -> None:
        with self._call("make_folder"):
            folder, name = self._split(path)
            if path in self.now.names:
                raise FileExistsError(errno.EEXIST, "it is there", path)
            self._change(folder, {name: Node()})
            self.now.names[path] = {}

    def lock(self, path: str) -> int:
        with self._call("lock"):
            folder, name = self._split(path)
            node = self._node(folder, name)
            if any(self._open[fd][0] == path for fd in self.locked):
                raise BlockingIOError(errno.EAGAIN, "locked")
        fd = self._fd(path, node)
        self.locked.add(fd)
        return fd

    def kill(self) -> None:
        """The process is gone: what it wrote stays, what it held does not."""
        self._open, self.locked = {}, set()
        self.arm()

    def power_cut(self, chance: random.Random) -> None:
        """Only what was flushed is sure to be there."""
        self.kill()
        for folder in self.now.names:
            steps = self._unsure.pop(folder, [])
            self.now.names[folder] = dict(self.stable.names.get(folder, {}))
            for step in steps[: chance.randint(0, len(steps))]:
                _apply(self.now.names[folder], step)
        for folder in [name for name in self.now.names if name != "/"]:
            above, name = self._split(folder)
            if name not in self.now.names.get(above, {}):
                self.now.names.pop(folder)
        for node in {id(node): node for names in self.now.names.values() for node in names.values()}.values():
            # What is added to a file takes nothing of what was there; a file that was begun anew may be empty, or full of zeros.
            kept_bytes = len(node.stable) if node.data.startswith(node.stable) else 0
            length = chance.randint(kept_bytes, len(node.data))
            zeros = node.data[:kept_bytes] + bytes(len(node.data) - kept_bytes)
            node.data = chance.choice([node.stable, node.data, node.data[:length], zeros])
            node.stable = node.data
        self.stable = self.now.copy()


def _apply(names: dict[str, Node], changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        names.pop(name, None)
        if node is not None:
            names[name] = node
