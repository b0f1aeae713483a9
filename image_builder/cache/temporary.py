"""Temporary files: beside what they become, gone when their builder is, and never mixed up with those of a living one.

All are in folders ``.slotboot-XXXXXXXXXXXX`` that their builder holds a ``flock`` on. A folder whose lock can be had belongs to a
dead process, whatever process has its number now; the next builder that works beside it takes the lock and removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder import stop
from image_builder.errors import BuildError
from image_builder.room import reported

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLUSHERS = 16
_OURS = re.compile(r"\.slotboot-[0-9a-f]{12}")
_OLD_PART = re.compile(r"\..+\.([0-9]+)-[0-9]+\.part")
"""What builders before 0.2 left: ``.NAME.PID-THREAD.part``, with no lock."""
_HIDDEN = "<temporary>"
"""How errors call a folder that is gone when they are read."""


@contextmanager
def working_folder(near: Path) -> Iterator[Path]:
    """An empty folder in the folder ``near``, of mode 0755, that is gone when the block ends. Raises OutputError and OSError.

    Errors that leave the block do not name it.
    """
    with temporary_folder(near, {}) as folder:
        yield folder


@contextmanager
def replacing(target: Path, *, needed: int | None = None) -> Iterator[Path]:
    """A temporary path beside ``target`` that takes its place, flushed, when the block ends well, and is gone when not.

    For output files, which are made again each time. ``needed`` (bytes, where known) is told when there is no room. What the
    umask forbids is taken from the file's mode. Errors that leave the block name ``target``. Raises OutputError when the folder
    cannot be written, and NoSpaceError.
    """
    with reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with (
        temporary_folder(target.parent, {target.name: target}) as folder,
        reported(target, only_room=True, needed=needed),
    ):
        temporary = folder / target.name
        yield temporary
        with reported(target, needed=needed):
            temporary.chmod(stat.S_IMODE(temporary.stat().st_mode) & ~_umask())
            flush_tree(temporary)
            temporary.replace(target)
            flush(target.parent)


def write_note(target: Path, text: str) -> None:
    """Write a small file in one step, without waiting for the disk: for what can be found out again. Raises OutputError."""
    with reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(target.parent, {target.name: target}) as folder, reported(target):
        (folder / target.name).write_text(text)
        (folder / target.name).replace(target)


@contextmanager
def temporary_folder(near: Path, become: dict[str, Path]) -> Iterator[Path]:
    """An empty folder in ``near``; errors name what the files in it ``become``, by their names. Raises OutputError."""
    near = near.absolute()
    sweep(near)
    path = near / f".slotboot-{secrets.token_hex(6)}"
    stop.expect(path, remove)
    lock = -1
    try:
        with reported(near):
            lock = _locked_folder(path)
        yield path
    except (BuildError, OSError) as error:
        _name_finally(error, {**{str(path / name): str(final) for name, final in become.items()}, str(path): _HIDDEN})
        raise
    finally:
        try:
            remove(path)
        finally:
            if lock >= 0:
                os.close(lock)
        stop.forget(path)


def sweep(folder: Path) -> None:
    """Remove what dead builders have left in ``folder``. What cannot be removed stays."""
    with suppress(OSError):
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(".")]
        for name in names:
            old = _OLD_PART.fullmatch(name)
            if _OURS.fullmatch(name):
                _take_over(folder / name)
            elif old and not Path("/proc", old[1]).exists():
                remove(folder / name)


def remove(path: Path) -> None:
    """Remove a file or a tree, of folders that may not be written, too; what is not there is no error. Raises OSError."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        shutil.rmtree(path, ignore_errors=True)  # somebody else removes it, too
    except PermissionError:
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)


def flush_tree(path: Path) -> None:
    """Flush a file, or all regular files and folders of a tree: several at a time, which one journal commit serves."""
    with ThreadPoolExecutor(_FLUSHERS) as pool:
        for done in [pool.submit(flush, item) for item in _to_flush(path)]:
            done.result()


def flush(path: Path) -> None:
    """Flush one file or folder. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _to_flush(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for folder, _, names in os.walk(path):
            yield Path(folder)
            for name in names:
                file = Path(folder, name)
                if file.is_file() and not file.is_symlink():
                    yield file
    else:
        yield path


def _locked_folder(path: Path) -> int:
    """Make a folder and hold its lock; the descriptor. Between the two, another builder may take it for one of a dead one."""
    while True:
        path.mkdir(exist_ok=True)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        os.fchmod(fd, 0o755)
        with suppress(OSError):  # some network file systems lock no folders: nobody can take it over there
            fcntl.flock(fd, fcntl.LOCK_EX)
        if _is_still(path, fd):
            return fd
        os.close(fd)


def _take_over(path: Path) -> None:
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, fd):
                remove(path)
        finally:
            os.close(fd)


def _is_still(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _name_finally(error: BuildError | OSError, names: dict[str, str]) -> None:
    """Put the final names in place of the temporary ones, in what an error says."""

    def renamed(value: object) -> object:
        if isinstance(value, str | Path):
            text = str(value)
            for temporary, final in names.items():
                text = text.replace(temporary, final)
            return type(value)(text)
        return tuple(renamed(item) for item in value) if isinstance(value, tuple) else value

    error.args = tuple(renamed(value) for value in error.args)
    if isinstance(error, OSError):
        error.filename, error.filename2 = renamed(error.filename), renamed(error.filename2)
    for name, value in vars(error).items():
        setattr(error, name, renamed(value))


def _umask() -> int:
    """Of this process; asking with ``os.umask`` would change it for a moment, for all threads."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"^Umask:\s+([0-7]+)$", status, re.MULTILINE)[0], 8)
