"""A repository that ``updatectl publish`` made, and machines that look at it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.update_agent.publish.built import answer, build, image, patched, publish
from update_agent.repository.folder import FolderFetcher
from update_agent.repository.repository import Repository

if TYPE_CHECKING:
    from pathlib import Path

OLD = image(1)
NEW = patched(OLD, 2)


class Place:
    """A repository that the command made, and machines that look at it."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder, self.keys = path, path / "repository", path / "keys"
        publish("init", self.folder, "--keys", self.keys)
        self.root = (self.folder / "metadata/1.root.json").read_bytes()

    def build(self, version: str, content: bytes, **changes: object) -> Path:
        return build(self.path / f"out-{version}", version, content, **changes)

    def add(self, version: str, content: bytes, *words: object) -> dict[str, object]:
        """Build and publish a version, for alpha."""
        folder = self.build(version, content)
        found: dict[str, object] = answer("add", self.folder, folder, "--keys", self.keys, "--group", "alpha", *words)
        return found

    def machine(self, state: str = "state") -> Repository:
        floor = datetime(2026, 1, 1, tzinfo=UTC)
        return Repository(self.folder.as_uri(), self.path / state, self.root, FolderFetcher(self.folder), floor=floor)

    def versions(self) -> list[str]:
        return [release.version for release in self.machine().refresh().releases]

    def blobs(self) -> dict[str, int]:
        """Names, and when they were written."""
        return {path.name: path.stat().st_mtime_ns for path in (self.folder / "blobs").iterdir()}
