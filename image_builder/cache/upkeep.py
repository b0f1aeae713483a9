"""What ``image-builder cache`` does: see what is kept, check it, clear it away."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.cache.record import compare, decode_record
from image_builder.cache.store import lock_path, record_path, try_lock
from image_builder.cache.temporary import remove, sweep
from image_builder.distribution.sources import builder_digest
from image_builder.progress import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_builder.cache.record import Record
    from image_builder.progress import Progress

_PINS = "pins"
"""The folder, beside ``packages``, of the notes which version of a package is used (``image_builder.distribution.packages``)."""


@dataclass(frozen=True)
class Kept:
    """A piece in the cache. ``size`` is in bytes, the times are in seconds since 1970.

    ``recorded`` is False where nothing says what it should hold: it is made again when it is needed.
    """

    path: Path
    kind: str
    name: str
    size: int
    made: float
    used: float
    recorded: bool


@dataclass(frozen=True)
class Damage:
    """A piece that is not as it was made. It is made again when it is needed."""

    path: Path
    what: str


@dataclass(frozen=True)
class Cleaned:
    """What was removed, and what was not because a builder is using or making it."""

    removed: tuple[Kept, ...]
    held: tuple[Kept, ...]


def list_cache(root: Path) -> list[Kept]:
    """All pieces, ordered by kind and name. An empty list where there is no cache. Raises OSError."""
    found = [_kept(path) for path in _pieces(root)]
    return sorted(found, key=lambda kept: (kept.kind, kept.name))


def verify_cache(root: Path, progress: Progress | None = None) -> list[Damage]:
    """Read every piece whole and compare it with its record. What has no record is left out. Raises OSError."""
    progress = progress or SilentProgress()
    damaged = []
    for kept in list_cache(root):
        path = record_path(kept.path)
        if kept.recorded or path.exists():
            with progress.step(f"{kept.kind} {kept.name}"):
                record = _record(kept.path)
                problem = compare(kept.path, record, whole=True)[0] if record else "its record is damaged"
            if problem:
                damaged.append(Damage(kept.path, problem))
    return damaged


def clean(root: Path, *, older_than: float | None = None, unused: bool = False) -> Cleaned:
    """Remove pieces: all of them, or those that were not used for ``older_than`` seconds, or that are of no use any more.

    Of no use (``unused``) are packages that no pin names, and other pieces that were made by another version of the builder; with
    both, either is enough. What a builder is using or making stays, and so do pins, unless everything is removed. The
    leftovers of dead builders go in any case. Raises OSError.
    """
    everything = older_than is None and not unused
    removed: list[Kept] = []
    held: list[Kept] = []
    for folder in _folders(root):
        sweep(folder)
    for kept in list_cache(root):
        old = older_than is not None and kept.used < time.time() - older_than
        if everything or old or (unused and _is_of_no_use(kept)):
            (removed if _remove(kept) else held).append(kept)
    if everything and not held:
        for pins in [folder for folder in _folders(root) if folder.name == _PINS]:
            remove(pins)
    return Cleaned(tuple(removed), tuple(held))


def _pieces(root: Path) -> Iterator[Path]:
    for folder in _folders(root):
        yield from (path for path in _children(folder) if _is_piece(path))


def _folders(root: Path) -> Iterator[Path]:
    """The folders that pieces are in."""
    if root.is_dir():
        yield root
        for path in _children(root):
            if not path.is_symlink() and path.is_dir() and not _is_piece(path):
                yield from _folders(path)


def _children(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _is_piece(path: Path) -> bool:
    """Pieces have a record. Builders before 0.2 made none, but a lock; one that a folder of pieces, or for them, had as well."""
    if record_path(path).exists():
        return True
    if not lock_path(path).exists():
        return False
    return not path.is_dir() or (any(path.iterdir()) and not any(path.glob(".*.lock")))


def _record(piece: Path) -> Record | None:
    try:
        return decode_record(record_path(piece).read_text(errors="replace"))
    except FileNotFoundError:
        return None


def _kept(path: Path) -> Kept:
    record = _record(path)
    if record is None:
        made = used = path.lstat().st_mtime
        size = _size_below(path) if path.is_dir() else path.lstat().st_size
    else:
        made, used, size = record.made, record_path(path).stat().st_mtime, record.size
    return Kept(path, path.parent.name, path.name, size, made, used, record is not None)


def _size_below(folder: Path) -> int:
    return sum(os.lstat(Path(place, name)).st_size for place, _, names in os.walk(folder) for name in names)


def _is_of_no_use(kept: Kept) -> bool:
    if kept.kind == "packages":
        pins = kept.path.parent.with_name(_PINS)
        return not any(pin.read_text().strip() == kept.name for pin in pins.glob("[!.]*"))
    record = _record(kept.path)
    return record is None or record.builder != builder_digest()


def _remove(kept: Kept) -> bool:
    """Remove a piece that nobody is making (its lock) or using (its record's lock); whether it is gone."""
    lock, record = lock_path(kept.path), record_path(kept.path)
    held: list[int] = []
    try:
        for path in (lock, record):
            if path.exists():
                fd = try_lock(path)
                if fd is None:
                    return False
                held.append(fd)
        # In this order: what is found later is a piece without a record, which is made again.
        record.unlink(missing_ok=True)
        remove(kept.path)
        lock.unlink(missing_ok=True)
    finally:
        for fd in held:
            os.close(fd)
    return True
