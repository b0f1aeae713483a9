"""``tuf``'s client with what it lacks: a clock that is passed in, and a state folder that survives a power cut.

What is overridden has private names there; ``tests/update_agent/repository/test_client.py`` fails where a new version of ``tuf``
does not call them any more.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.ngclient import Updater

from update_agent.repository.files import link, settle, store

if TYPE_CHECKING:
    from tuf.api.metadata import Signed, TargetFile
    from tuf.ngclient import FetcherInterface, UpdaterConfig

    from update_agent.repository.files import Files

ROLES = ("root", "timestamp", "snapshot", "targets")


class Client(Updater):
    """One refresh against one date. Whoever makes one holds the lock of the folder.

    On the disk, whenever it ends: each file is the old or the new one, whole and flushed. All of them are checked again at the next
    start, and fetched again where they do not fit each other.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        fetcher: FetcherInterface,
        bootstrap: bytes,
        now: datetime,
        files: Files,
        *,
        config: UpdaterConfig | None = None,
        target_dir: Path | None = None,
        target_base_url: str | None = None,
    ) -> None:
        self._files = files
        files.make_folder(folder / "root_history")
        super().__init__(
            str(folder),
            url,
            None if target_dir is None else str(target_dir),
            target_base_url,
            fetcher,
            config,
            bootstrap=bootstrap,
        )
        # Without this name the date that is passed in would be ignored, silently.
        if not isinstance(getattr(self._trusted_set, "reference_time", None), datetime):
            raise TypeError(
                "this version of tuf takes the date from elsewhere; use one that update_agent was tested with"
            )
        self._trusted_set.reference_time = now

    def signed(self, role: str) -> Signed | None:
        """What is trusted of a role so far."""
        found: Signed | None = self._trusted_set.get(role)
        return found

    def trusted_targets(self) -> dict[str, TargetFile]:
        """All targets, by name, after a refresh."""
        return dict(self._trusted_set.targets.targets)

    def _persist_file(self, filename: str, data: bytes) -> None:
        path = Path(filename)
        if _read(path) != data:
            store(self._files, path, data)
            settle(self._files, path.parent)

    def _update_root_symlink(self) -> None:
        folder = Path(self._dir)
        path, target = folder / "root.json", f"root_history/{self._trusted_set.root.version}.root.json"
        if not path.is_symlink() or str(path.readlink()) != target:
            link(self._files, path, target)
            settle(self._files, folder)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
