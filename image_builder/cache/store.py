"""The cache that a build takes its pieces from: made once, checked on each use, made again where they are damaged."""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.cache.record import compare, decode_record, record_of
from image_builder.cache.temporary import remove, temporary_folder, write_note
from image_builder.distribution.sources import builder_digest
from image_builder.errors import OutputError
from image_builder.progress import SilentProgress
from image_builder.room import reported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from image_builder.cache.record import Record
    from image_builder.progress import Progress


_TRIES = 3
"""That a piece is made again right away takes another process that damages it, or 'cache clean' at that moment."""


def cache_root(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of all caches: $SLOTBOOT_CACHE, else $XDG_CACHE_HOME/slotboot, else ~/.cache/slotboot."""
    environ = os.environ if environ is None else environ
    if own := environ.get("SLOTBOOT_CACHE"):
        return Path(own)
    if shared := environ.get("XDG_CACHE_HOME"):
        return Path(shared, "slotboot")
    return Path(environ.get("HOME") or Path.home(), ".cache", "slotboot")


def record_path(piece: Path) -> Path:
    """Where the record of a piece is. Who uses the piece holds a shared lock on it; its time is that of the last use."""
    return piece.with_name(f".{piece.name}.record")


def lock_path(piece: Path) -> Path:
    """Where the lock is that who makes a piece holds."""
    return piece.with_name(f".{piece.name}.lock")


class Cache:
    """The pieces in a folder. What was taken from it stays there as long as the object does: ``clean`` leaves it alone.

    Each piece is checked the first time that the object gives it out. Threads may share it.
    """

    def __init__(self, root: Path, progress: Progress | None = None) -> None:
        """``root`` is made when something is put into it; ``progress`` is told of what was damaged."""
        self.root = root.absolute()
        self._progress = progress or SilentProgress()
        self._used: dict[Path, int] = {}
        self._told: set[Path] = set()
        self._mutex = threading.Lock()
        weakref.finalize(self, _close_all, self._used)

    @classmethod
    def of(cls, cache: Cache | Path, progress: Progress | None = None) -> Cache:
        """A cache, or that of a folder."""
        return cache if isinstance(cache, Cache) else cls(cache, progress)

    def publish_folder(self, target: Path, fill: Callable[[Path], object], *, step: str = "") -> Path:
        """``target``, made by ``fill(empty folder)`` unless it is there and as it was made.

        ``target`` may be relative to the root. ``step`` is what the progress calls all of the work.
        Raises OutputError, NoSpaceError, and what ``fill`` raises.
        """

        def make(temporary: Path) -> None:
            temporary.mkdir()
            temporary.chmod(0o755)
            fill(temporary)

        return self._publish(target, make, step)

    def publish_file(self, target: Path, fill: Callable[[Path], object], *, step: str = "") -> Path:
        """``target``, made by ``fill(path to be written)`` unless it is there and as it was made. As ``publish_folder``."""
        return self._publish(target, fill, step)

    def intact(self, target: Path) -> bool:
        """Whether a piece is there and as it was made; then it is in use from now on. Damage is told to the progress."""
        target = self.root / target
        if not os.path.lexists(target):
            return False
        if target in self._used:
            return True
        fd = _open_shared(record_path(target))
        if fd is None:
            return False
        try:
            record = decode_record(_text(fd))
            problem, now = compare(target, record) if record else ("its record is damaged", record)
            if problem:
                self._tell(target, problem)
                return False
            if now is not None and now is not record and not _rewrite(record_path(target), fd, now):
                return False
            with suppress(OSError):  # the cache may be another user's
                os.utime(fd)
            with self._mutex:
                if target not in self._used:
                    self._used[target], fd = fd, -1
            return True
        finally:
            if fd >= 0:
                os.close(fd)

    def _publish(self, target: Path, fill: Callable[[Path], object], step: str) -> Path:
        target = self.root / target
        if self.intact(target):
            return target
        with (
            self._progress.step(step) if step else nullcontext(),
            reported(target),
            only_builder(target, self._progress),
        ):
            for _ in range(_TRIES + 1):
                if self.intact(target):
                    return target
                self._make(target, fill)
        raise OutputError(target, "it is another as soon as it is made")

    def _make(self, target: Path, fill: Callable[[Path], object]) -> None:
        with temporary_folder(target.parent, {target.name: target}) as folder:
            temporary = folder / target.name
            fill(temporary)
            record = record_of(temporary, builder_digest())
            record_path(target).unlink(missing_ok=True)
            remove(target.with_name(f".{target.name}.part"))  # of a builder before 0.2 that died
            if target.is_dir() and not target.is_symlink():
                target.rename(folder / "damaged")
            temporary.rename(target)
            if "" in record.items and not target.is_dir():
                record = compare(target, record)[1]  # its new name has changed its stamp
        write_note(record_path(target), record.encode())

    def _tell(self, target: Path, problem: str) -> None:
        with self._mutex:
            told = target in self._told
            self._told.add(target)
        if not told:
            self._progress.note(f"cache: {target} was damaged ({problem}); made again")


def publish_folder(target: Path, fill: Callable[[Path], object]) -> Path:
    """As ``Cache.publish_folder``; nothing keeps ``clean`` from ``target`` afterwards."""
    return Cache(target.parent).publish_folder(target, fill)


def publish_file(target: Path, fill: Callable[[Path], object]) -> Path:
    """As ``Cache.publish_file``; nothing keeps ``clean`` from ``target`` afterwards."""
    return Cache(target.parent).publish_file(target, fill)


@contextmanager
def only_builder(target: Path, progress: Progress | None = None) -> Iterator[None]:
    """Keep other builders of ``target`` waiting; the lock ends with the process at the latest. Raises OutputError."""
    with reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fd = _locked(lock_path(target), progress or SilentProgress())
    try:
        yield
    finally:
        os.close(fd)


def try_lock(path: Path) -> int | None:
    """The descriptor of a lock that nobody else holds on a file that is there; else None. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _locked(path: Path, progress: Progress) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"wait for another builder ({path})"):
                fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)  # 'cache clean' has removed it meanwhile


def _open_shared(path: Path) -> int | None:
    """A descriptor that holds a shared lock on a record; None where there is no record."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    fcntl.flock(fd, fcntl.LOCK_SH)
    if os.fstat(fd).st_nlink:
        return fd
    os.close(fd)
    return None


def _text(fd: int) -> str:
    with open(fd, encoding="utf-8", errors="replace", closefd=False) as file:
        return file.read()


def _rewrite(path: Path, fd: int, record: Record) -> bool:
    """Write a record with new stamps, unless others are using it, and hold the shared lock again; whether it is still there."""
    # In place: a new file would be one that nobody else holds a lock on.
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.write_text(record.encode())
    fcntl.flock(fd, fcntl.LOCK_SH)
    return os.fstat(fd).st_nlink > 0


def _close_all(descriptors: dict[Path, int]) -> None:
    while descriptors:
        os.close(descriptors.popitem()[1])
