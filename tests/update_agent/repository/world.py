"""A repository, who publishes it, who attacks it, and machines that look at it."""

from __future__ import annotations

import errno
import hashlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from update_agent.publish.publisher import Publisher
from update_agent.repository.clock import Clock
from update_agent.repository.fetcher import HttpFetcher
from update_agent.repository.files import Files
from update_agent.repository.folder import FolderFetcher
from update_agent.repository.repository import Repository
from update_agent.transport.network import Network
from update_agent.transport.pace import Limits
from update_agent.transport.retry import Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from update_agent.repository.release import Release

    T = TypeVar("T", Root, Timestamp, Snapshot, Targets)

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
FLOOR = datetime(2026, 11, 1, tzinfo=UTC)
OPEN: list[HttpFetcher] = []
"""Whoever has a connection that was kept; they are closed after each test."""


@dataclass
class Hand:
    """A clock that a test moves; ``tick`` seconds pass at each look at it."""

    date: datetime = NOW
    seconds: float = 0.0
    tick: float = 0.0
    slept: list[float] = field(default_factory=list)
    looks: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def clock(self) -> Clock:
        return Clock(lambda: self.date, self._monotonic, self._sleep)

    def pass_days(self, days: float) -> None:
        self.date += timedelta(days=days)

    def _monotonic(self) -> float:
        self.seconds += self.tick
        self.looks.release()
        return self.seconds

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def network(hand: Hand | None = None, **changes: Any) -> Network:  # noqa: ANN401
    """One whose time is in a test's hand: two tries for a file, and 100 seconds."""
    clock = (hand or Hand()).clock()
    values: dict[str, Any] = {
        "limits": Limits(5, 1000, 60),
        "patience": Patience(failures=2),
        "metadata": 100.0,
        "now": clock.now,
        "clock": clock.monotonic,
        "sleep": clock.sleep,
        "chance": lambda: 0.5,
    }
    return Network(**{**values, **changes})


def fetching(hand: Hand | None = None, **changes: Any) -> HttpFetcher:  # noqa: ANN401
    """What fetches by it."""
    OPEN.append(HttpFetcher(network(hand, **changes)))
    return OPEN[-1]


class Fast(Files):
    """Does not wait for the disk: what these tests end is processes, not the power."""

    def fsync(self, descriptor: int) -> None:
        pass


class Killed(BaseException):
    """The process is gone."""


class Mortal(Files):
    """Fails at the call number ``at`` (from 0): killed, so that nothing changes any more, or with an error of the disk."""

    def __init__(self, at: int, error: int | None = None) -> None:
        self.calls, self._at, self._error, self._dead = 0, at, error, False

    def _step(self) -> bool:
        if self._dead:
            raise Killed
        self.calls += 1
        return self.calls - 1 == self._at

    def _fail(self) -> None:
        if self._error is not None:
            raise OSError(self._error, errno.errorcode[self._error])
        self._dead = True
        raise Killed

    def create(self, path: Path, mode: int) -> int:
        if self._step():
            self._fail()
        return super().create(path, mode)

    def write(self, descriptor: int, data: bytes) -> None:
        if self._step():
            super().write(descriptor, data[: len(data) // 2])
            self._fail()
        super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        del descriptor
        if self._step():
            self._fail()

    def replace(self, source: Path, target: Path) -> None:
        if self._step():
            self._fail()
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        if self._step():
            self._fail()
        super().remove(path)

    def symlink(self, path: Path, target: str) -> None:
        if self._step():
            path.unlink(missing_ok=True)
            self._fail()
        super().symlink(path, target)

    def make_folder(self, path: Path, mode: int = 0o755) -> None:
        if self._step():
            self._fail()
        super().make_folder(path, mode)


def block(content: bytes = b"frames", version: str = "1.0", **changes: object) -> dict[str, Any]:
    """What is said of a release whose bulk data are ``content``."""
    fields = {
        "name": "os",
        "version": version,
        "slot": "usr",
        "slot-type": "coreos-usr",
        "groups": ["alpha"],
        "size": 4096,
        "sha256": hashlib.sha256(b"raw" + content).hexdigest(),
        "blob": f"{hashlib.sha256(content).hexdigest()}.frames",
        "compressed": len(content),
        "kernel-releases": ["6.1.0-42-cloud-amd64"],
        "own-kernel": False,
        "root-hash": None,
        "minimum-version": None,
    }
    return {**fields, **{name.replace("_", "-"): value for name, value in changes.items()}}


class World:
    """A repository with nothing in it, and a place for machines."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder, self.keys = place, place / "repository", place / "keys"
        self.hand = Hand()
        self.publisher = Publisher(self.folder, [self.keys], self.hand.clock(), files=Fast())
        self.publisher.init()
        self.bootstrap = self.metadata("1.root.json").read_bytes()

    def metadata(self, name: str) -> Path:
        return self.folder / "metadata" / name

    def publish(self, version: str = "1.0", **changes: object) -> Release:
        """A release, with its bulk data."""
        content = f"frames of {version}".encode()
        fields = block(content, version, **changes)
        (self.folder / "blobs" / fields["blob"]).write_bytes(content)
        return self.publisher.add_release(f"index of {version}".encode(), fields)

    def machine(self, url: str | None = None, state: str = "state", **options: Any) -> Repository:  # noqa: ANN401
        """One that fetches by HTTP, or from the folder."""
        options.setdefault("files", Fast())
        options.setdefault("floor", FLOOR)
        options.setdefault("clock", self.hand.clock())
        options.setdefault("bootstrap", self.bootstrap)
        fetcher = options.pop("fetcher", None)
        if fetcher is None:
            fetcher = FolderFetcher(self.folder) if url is None else fetching(self.hand)
        return Repository(url or self.folder.as_uri(), self.place / state, fetcher=fetcher, **options)

    def signers(self, *names: str) -> list[CryptoSigner]:
        """Keys, stolen by the names of their files."""
        found = [load_pem_private_key((self.keys / f"{name}.pem").read_bytes(), None) for name in names]
        return [CryptoSigner(key) for key in found]

    def load(self, name: str) -> Metadata[Any]:
        return Metadata.from_file(str(self.metadata(name)))

    def forge(self, source: str, to: str, change: Callable[[Any], object], *keys: str) -> MetaFile:
        """Change metadata and sign them with stolen keys; returns what others have to say of the file."""
        metadata = self.load(source)
        change(metadata.signed)
        metadata.signatures.clear()
        for signer in self.signers(*keys):
            metadata.sign(signer, append=True)
        self.metadata(to).write_bytes(metadata.to_bytes())
        return MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])

    def versions(self) -> list[str]:
        """Versions of the releases that a machine sees that has never seen this repository."""
        found = self.machine(state=f"new-{len(list(self.place.iterdir()))}").refresh()
        return [release.version for release in found.releases]
