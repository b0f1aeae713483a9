"""Removes what no machine can ask for any more. Roots and all other metadata stay for ever."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets

from update_agent.publish.blobs import UNFINISHED, Blobs
from update_agent.publish.errors import UnknownPastError, WriteError
from update_agent.publish.folder import Folder
from update_agent.publish.metadata import days, load
from update_agent.publish.releases import files_of, releases, without
from update_agent.repository.clock import Clock
from update_agent.repository.files import Files
from update_agent.repository.repository import BLOBS, METADATA, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from update_agent.publish.metadata import Current
    from update_agent.repository.release import Release

GRACE: Final = timedelta(days=14)
"""For how long machines may go on with what they began: a timestamp of 7 days, and a week for the slowest line."""
_OURS = {
    BLOBS: re.compile(rf"[0-9a-f]{{64}}\.(?:frames|delta)|{re.escape(UNFINISHED)}", re.ASCII),
    TARGETS: re.compile(r"[0-9a-f]{64}\..+|\.[0-9a-f]{64}\..+\.new", re.ASCII),
}


@dataclass(frozen=True)
class Pruned:
    """``files``: paths below the repository; ``size``: their bytes; ``later``: those that go when their grace is over."""

    files: tuple[str, ...]
    size: int
    later: tuple[str, ...]


def prune(
    folder: Path,
    *,
    grace: timedelta = GRACE,
    dry_run: bool = False,
    as_if_withdrawn: Iterable[Release] = (),
    clock: Clock | None = None,
    files: Files | None = None,
    wait: float = 300,
) -> Pruned:
    """Remove bulk data and small files that no metadata name, now or within the ``grace`` before now; and nothing else.

    What is younger than ``grace`` stays as well, and so do files that no publisher has made. An error or a kill leaves some of them
    for the next time. ``dry_run``: nothing is removed, and these releases count as
    withdrawn now. Needs no keys. Raises UnknownPastError, DamagedError, NoRepositoryError,
    WriteError, BusyError; ReleaseError for a repository that this program does not understand.
    """
    clock, files = clock or Clock(), files or Files()
    oldest = clock.now() - grace
    with ExitStack() as stack:
        stack.enter_context(Blobs(folder, files, clock, wait).locked())
        stack.enter_context(Folder(folder, files, clock, wait).locked())
        current = load(folder)
        releases(current.targets)
        named = files_of(without(current.targets, as_if_withdrawn if dry_run else ()))
        past = [files_of(one) for one in _replaced_after(oldest, folder, current)]
        before = named.union(*past, files_of(current.targets) if grace else ())
        gone, later, size = [], [], 0
        for name, path in _found(folder):
            stat = path.stat()
            if name in named:
                continue
            if name in before or datetime.fromtimestamp(stat.st_mtime, UTC) > oldest:
                later.append(name)
                continue
            gone.append(name)
            size += stat.st_size
            if not dry_run:
                _remove(files, path)
    return Pruned(tuple(gone), size, tuple(later))


def _found(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, form in _OURS.items():
        for path in sorted((folder / place).iterdir()):
            if form.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                yield f"{place}/{path.name}", path


def _replaced_after(oldest: datetime, folder: Path, current: Current) -> Iterator[Targets]:
    """Metadata of targets that machines may have begun with since ``oldest``. When they were replaced is signed."""
    following = current.targets
    while following.version > 1 and following.expires - timedelta(days=days(following)) > oldest:
        following = _read(folder / METADATA / f"{following.version - 1}.targets.json")
        yield following


def _read(path: Path) -> Targets:
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    except (OSError, RepositoryError) as error:
        raise UnknownPastError(path, f"{error}; nothing was removed; a grace of 0 does not look at it") from error
    if not isinstance(metadata.signed, Targets):
        raise UnknownPastError(path, "it holds something else; nothing was removed")
    return metadata.signed


def _remove(files: Files, path: Path) -> None:
    try:
        files.remove(path)
    except OSError as error:
        raise WriteError(path, error.strerror or str(error)) from error
