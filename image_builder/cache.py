"""Where finished pieces are kept, and how they appear there: whole or not at all.

Everything is made under a temporary name beside its final one, flushed, and renamed. A builder that dies leaves a
temporary name, which the next builder of the same piece removes. Builders of the same piece wait for each other
(``flock`` on a file beside it), and the second one takes what the first has made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_WRITE_ERRORS = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EEXIST,
        errno.EFBIG,
        errno.EISDIR,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""What a full, foreign or read-only folder answers; anything else is not about the place that is written to."""

_FLUSHERS = 16


def cache_root(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of all caches: $SLOTBOOT_CACHE, else $XDG_CACHE_HOME/slotboot, else ~/.cache/slotboot."""
    environ = os.environ if environ is None else environ
    if own := environ.get("SLOTBOOT_CACHE"):
        return Path(own)
    if shared := environ.get("XDG_CACHE_HOME"):
        return Path(shared, "slotboot")
    return Path(environ.get("HOME") or Path.home(), ".cache", "slotboot")


def publish_folder(target: Path, fill: Callable[[Path], object]) -> Path:
    """``target``, made by ``fill(empty folder)`` unless it is already there. Raises OutputError, and what ``fill`` raises."""

    def make(temporary: Path) -> None:
        temporary.mkdir()
        fill(temporary)

    return _publish(target, make)


def publish_file(target: Path, fill: Callable[[Path], object]) -> Path:
    """``target``, made by ``fill(path to be written)`` unless it is already there. Errors as ``publish_folder``."""
    return _publish(target, fill)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target`` that takes its place, flushed, when the block ends well, and is gone when not.

    For output files, which are made again each time. Raises OutputError when the folder cannot be written.
    """
    temporary = _beside(target)
    with _reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
    try:
        yield temporary
        with _reported(target):
            _flush_tree(temporary)
            temporary.replace(target)
            _flush(target.parent)
    finally:
        _remove(temporary)


def write_note(target: Path, text: str) -> None:
    """Write a small file in one step, without waiting for the disk: for what can be found out again. Raises OutputError."""
    temporary = _beside(target)
    with _reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text)
        temporary.replace(target)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder that is removed when the block ends. One builder at a time may use it (see ``only_builder``)."""
    with _reported(path):
        _remove(path)
        path.mkdir(parents=True)
    try:
        yield path
    finally:
        _remove(path)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")


def _publish(target: Path, fill: Callable[[Path], object]) -> Path:
    if target.exists():
        return target
    with _reported(target), only_builder(target):
        if target.exists():
            return target
        temporary = target.with_name(f".{target.name}.part")
        _remove(temporary)
        try:
            fill(temporary)
            _flush_tree(temporary)
            temporary.rename(target)
            _flush(target.parent)
        finally:
            _remove(temporary)
    return target


@contextmanager
def only_builder(target: Path) -> Iterator[None]:
    """Keep other builders of ``target`` waiting; the lock ends with the process at the latest. Raises OutputError."""
    with _reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _reported(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _WRITE_ERRORS:
            raise
        raise OutputError(target, error.strerror or str(error)) from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush_tree(path: Path) -> None:
    """Flush a file, or all regular files and folders of a tree: several at a time, which one journal commit serves."""
    with ThreadPoolExecutor(_FLUSHERS) as pool:
        for done in [pool.submit(_flush, item) for item in _to_flush(path)]:
            done.result()


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


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
