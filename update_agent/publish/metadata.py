"""The metadata of a repository as they are in its folder, and new ones, decided in memory and signed."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp

from update_agent.publish.errors import DamagedError, NoRepositoryError, TooLargeError
from update_agent.repository.fetcher import LONGEST
from update_agent.repository.repository import METADATA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from update_agent.publish.keys import Keyring

DAYS = "x-slotboot-days"
"""The field of a role's signed part that says for how long the next one holds."""
LIMITS = {"root": 512000, "timestamp": 16384, "snapshot": 2000000, "targets": 5000000}
"""Bytes of metadata that tuf's client takes, where nothing signed says less."""
T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True)
class Current:
    """What readers see: checked against the chain of roots, but for the dates."""

    root: Root
    targets: Targets
    snapshot: Snapshot
    timestamp: Timestamp

    def signed(self, role: str) -> Signed:
        """That of a role, by its name."""
        found: Signed = getattr(self, role)
        return found


def load(folder: Path) -> Current:
    """Raises NoRepositoryError, DamagedError."""
    place = folder / METADATA
    root = _load_root(place)
    timestamp = _load(place / "timestamp.json", root, Timestamp)
    snapshot = _load(
        place / f"{timestamp.snapshot_meta.version}.snapshot.json", root, Snapshot, timestamp.snapshot_meta
    )
    meta = snapshot.meta.get("targets.json")
    if meta is None:
        raise DamagedError(place, "the snapshot names no targets")
    targets = _load(place / f"{meta.version}.targets.json", root, Targets, meta)
    return Current(root, targets, snapshot, timestamp)


def _load_root(place: Path) -> Root:
    root = _load(place / "1.root.json", None, Root)
    while (path := place / f"{root.version + 1}.root.json").exists():
        following = _load(path, root, Root)
        if following.version != root.version + 1:
            raise DamagedError(path, f"its version is {following.version}")
        root = following
    return root


def _load(path: Path, root: Root | None, kind: type[T], meta: MetaFile | None = None) -> T:
    try:
        data = path.read_bytes()
        metadata: Metadata[T] = Metadata.from_bytes(data)
        signed = metadata.signed
        if not isinstance(signed, kind):
            raise DamagedError(path, f"it holds {signed.type}")
        for trusted in (root, signed if isinstance(signed, Root) else None):
            if trusted is not None:
                trusted.verify_delegate(signed.type, metadata.signed_bytes, metadata.signatures)
        if meta is not None:
            meta.verify_length_and_hashes(data)
    except FileNotFoundError as error:
        raise NoRepositoryError(path, "this file is missing") from error
    except OSError as error:
        raise NoRepositoryError(path, error.strerror or str(error)) from error
    except RepositoryError as error:
        raise DamagedError(path, f"{error}; it is not signed again") from error
    return signed


def days(signed: Signed) -> int:
    """For how many days a role's metadata hold when they are signed. Raises DamagedError."""
    found = signed.unrecognized_fields.get(DAYS)
    if type(found) is not int or found < 1:
        raise DamagedError(signed.type, f"the field {DAYS} is {found!a}; that is no repository of updatectl publish")
    return found


class Signing:
    """Makes the next versions of metadata. ``now`` in UTC."""

    def __init__(self, folder: Path, keyring: Keyring, now: datetime) -> None:
        self._place, self._keyring, self._now = folder / METADATA, keyring, now

    def first(self, signed: T, lasting: int) -> T:
        """Version 1 of a role, which holds for ``lasting`` days, as all after it."""
        signed.unrecognized_fields[DAYS] = lasting
        return self._dated(signed)

    def next(self, signed: T) -> T:
        """A copy with the next version and a new date."""
        copy = deepcopy(signed)
        copy.version += 1
        return self._dated(copy)

    def file(self, signed: Signed, root: Root, before: Root | None = None) -> bytes:
        """Signed by all keys of the role that are here, and by those that it had ``before``, as far as they are here.

        Raises KeysMissingError, TooLargeError.
        """
        return self._signed(signed, [root], before)

    def root_file(self, root: Root, before: Root | None) -> bytes:
        """Signed as the root before it and as it says itself. Raises KeysMissingError, TooLargeError."""
        return self._signed(root, [root] if before is None else [before, root])

    def top(
        self, root: Root, targets: Targets | None, current: Current, before: Root | None = None
    ) -> Mapping[str, bytes]:
        """The files of new targets (None: as they are), snapshot and timestamp, in the order in which they are written."""
        files = {}
        snapshot, timestamp = self.next(current.snapshot), self.next(current.timestamp)
        if targets is not None:
            data = files[f"{targets.version}.targets.json"] = self.file(targets, root, before)
            snapshot.meta["targets.json"] = MetaFile.from_data(targets.version, data, ["sha256"])
        data = files[f"{snapshot.version}.snapshot.json"] = self.file(snapshot, root, before)
        timestamp.snapshot_meta = MetaFile.from_data(snapshot.version, data, ["sha256"])
        files["timestamp.json"] = self.file(timestamp, root, before)
        return files

    def timestamp(self, root: Root, current: Current) -> Mapping[str, bytes]:
        """The file of a new timestamp of the snapshot as it is."""
        return {"timestamp.json": self.file(self.next(current.timestamp), root)}

    def _dated(self, signed: T) -> T:
        signed.expires = self._now + timedelta(days=days(signed))
        return signed

    def _signed(self, signed: Signed, roots: list[Root], before: Root | None = None) -> bytes:
        metadata = Metadata(signed)  # type: ignore[type-var]  # each of the four
        for root in roots:
            for signer in self._keyring.signers(root, signed.type):
                metadata.sign(signer, append=True)
        for signer in [] if before is None else self._keyring.available(before, signed.type):
            metadata.sign(signer, append=True)
        for root in roots:
            root.verify_delegate(signed.type, metadata.signed_bytes, metadata.signatures)
        data = metadata.to_bytes()
        limit = min(LIMITS[signed.type], LONGEST)
        if len(data) > limit:
            raise TooLargeError(self._place / f"{signed.type}.json", len(data), limit)
        return data
