"""Changes a repository: releases, groups, dates and keys. Readers see the old one or the new one, at every moment.

Files that are new come first, under names that nobody asks for yet, and are flushed; ``timestamp.json`` is renamed last. What is
replaced stays: a reader that began with the old timestamp finds all of its files. No root is ever deleted: a machine that comes
from a shelf walks from the one it was built with to the last one.

>>> from pathlib import Path
>>> publisher = Publisher(Path("repository"), [Path("keys")])
>>> text = publisher.init()
>>> [release.version for release in publisher.releases()]
[]
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tuf.api.metadata import MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.metadata import Role as KeysOfRole

from update_agent.publish.errors import (
    AlreadyPublishedError,
    AlreadyThereError,
    GroupError,
    KeysMissingError,
    NoReleaseError,
    TooFewKeysError,
    UnknownKeyError,
    UnknownRoleError,
)
from update_agent.publish.folder import Folder, below
from update_agent.publish.keys import Keyring
from update_agent.publish.metadata import Current, Signing, days, load
from update_agent.publish.plan import Plan, describe
from update_agent.publish.releases import block_of, is_same, made, named, releases, surplus, without
from update_agent.publish.rotation import Rotation, exchange
from update_agent.repository.client import ROLES
from update_agent.repository.clock import Clock
from update_agent.repository.files import Files
from update_agent.repository.release import Release, group_name
from update_agent.repository.repository import METADATA, TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class Expiry:
    """Until when a role's metadata hold (UTC), and whether that is less than half of their time away."""

    role: str
    expires: datetime
    due: bool


class Publisher:
    """The repository in ``folder``, signed by the keys in the folders ``keys``; new keys go into the first of them.

    Each method holds the folder's lock, decides in memory, and writes at the end; where it raises, readers see the old repository.
    All raise a PublishError, and BusyError when another publisher has been at work for ``wait`` seconds.
    """

    def __init__(
        self,
        folder: Path,
        keys: Sequence[Path],
        clock: Clock | None = None,
        *,
        files: Files | None = None,
        wait: float = 300,
        passphrases: Sequence[bytes] = (),
    ) -> None:
        files, self._clock = files or Files(), clock or Clock()
        self._folder = Folder(folder, files, self._clock, wait)
        self._keyring = Keyring(keys, files, passphrases)

    def init(self, plan: Plan | None = None) -> str:
        """Make keys and an empty repository. Returns the text that says where each key belongs; it lies beside the keys too.

        An --init that was cut off is taken up again, with the keys that it made. Raises AlreadyThereError.
        """
        roles = (plan or Plan()).roles()
        self._folder.make()
        with self._folder.locked(), self._new_keys():
            if self._folder.has_timestamp():
                raise AlreadyThereError(self._folder.path)
            signing = self._signing()
            root = Root(roles={role: KeysOfRole([], one.threshold) for role, one in roles.items()})
            for role, one in roles.items():
                for signer in self._keyring.first(role, one.keys):
                    root.add_key(signer.public_key, role)
            files = _first_files(
                signing, signing.first(root, roles["root"].days), {role: one.days for role, one in roles.items()}
            )
            text = describe(
                plan or Plan(), {role: self._keyring.names(keys.keyids) for role, keys in root.roles.items()}
            )
            self._keyring.save()
            self._keyring.describe(text)
            self._folder.write(below(METADATA, files))
            return text

    def releases(self) -> tuple[Release, ...]:
        """What is published, in all groups."""
        return tuple(releases(self._current().targets).values())

    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of each role's keys."""
        return {role: tuple(keys.keyids) for role, keys in self._current().root.roles.items()}

    def key_files(self) -> Mapping[str, str]:
        """The names of the files that hold the keys that are here, by the ids of these keys. Raises KeyFileError."""
        root = self._current().root
        return {keyid: ", ".join(names) for keyid in root.keys if (names := self._keyring.names([keyid]))}

    def require_keys(self, *roles: str) -> None:
        """Raises KeysMissingError where one of these roles could not sign now."""
        root = self._current().root
        for role in roles:
            self._keyring.signers(root, role)

    def expiries(self) -> tuple[Expiry, ...]:
        """Until when each role holds."""
        return self._expiries(self._current())

    def add_release(
        self, index: bytes, block: Mapping[str, object], deltas: Mapping[str, bytes] | None = None
    ) -> Release:
        """Publish a release: its index, what the signed metadata say of it, and the indexes of its deltas by target name.

        ``format``, ``published``, ``waves`` and ``deltas`` of the block may be left out. The blobs must be under blobs/. Where the
        very same is there already, nothing is written. Raises ReleaseError, AlreadyPublishedError, BlobError, TooLargeError.
        """
        published = f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"
        full: dict[str, object] = {"format": 1, "published": published, "waves": [], "deltas": [], **block}
        with self._folder.locked():
            current = load(self._folder.path)
            release, new = made(full, index, deltas or {})
            for blob, size in (
                (release.blob, release.compressed),
                *((one.blob, one.compressed) for one in release.deltas),
            ):
                self._folder.require_blob(blob, size)
            name = release.index.name
            there = current.targets.targets.get(name)
            if there is not None:
                if not is_same(there, new[name]):
                    raise AlreadyPublishedError(self._folder.path, name)
                return releases(current.targets)[name]
            targets = self._signing().next(current.targets)
            targets.targets.update(new)
            contents = {name: index, **(deltas or {})}
            small = {f"{file.hashes['sha256']}.{path}": contents[path] for path, file in new.items()}
            self._publish(current, targets, below(TARGETS, small))
            return release

    def promote(
        self, name: str, version: str, group: str, waves: Sequence[Mapping[str, object]] | None = None
    ) -> tuple[Release, ...]:
        """Offer a release to one more group, for every slot that it has; nothing is uploaded again. ``waves`` replace those it has.

        Raises NoReleaseError, GroupError, ReleaseError.
        """
        try:
            group_name(group)
        except ValueError as error:
            raise GroupError(self._folder.path, str(error)) from error

        def change(block: dict[str, Any]) -> None:
            if group not in block["groups"]:
                block["groups"].append(group)
            if waves is not None:
                block["waves"] = [dict(wave) for wave in waves]

        return self._edit(name, version, change)

    def withdraw(self, name: str, version: str, group: str | None = None) -> tuple[Release, ...]:
        """Offer a release no more, to one group or to nobody at all. Its files stay; machines that run it are not touched.

        Raises NoReleaseError.
        """
        if group is not None:
            return self._edit(
                name, version, lambda block: block.update(groups=[one for one in block["groups"] if one != group])
            )
        with self._folder.locked():
            current = load(self._folder.path)
            return self._drop(current, self._named(current.targets, name, version))

    def keep(self, number: int) -> tuple[Release, ...]:
        """Withdraw all but the last ``number`` releases of each group, name and slot. Returns those that are gone."""
        with self._folder.locked():
            current = load(self._folder.path)
            return self._drop(current, surplus(releases(current.targets).values(), number))

    def refresh(self) -> tuple[Expiry, ...]:
        """Sign the timestamp again, and those others that are due and whose keys are here. Returns until when each role holds then.

        For a timer: needs the keys of timestamp and snapshot only. What is due and could not be signed is still ``due`` afterwards.
        """
        with self._folder.locked():
            current, signing = load(self._folder.path), self._signing()
            due = {one.role for one in self._expiries(current) if one.due and self._has_keys(current.root, one.role)}
            root, files = current.root, {}
            if "root" in due:
                root = signing.next(current.root)
                files[f"{root.version}.root.json"] = signing.root_file(root, current.root)
            targets = signing.next(current.targets) if "targets" in due else None
            only_timestamp = targets is None and "snapshot" not in due
            files |= signing.timestamp(root, current) if only_timestamp else signing.top(root, targets, current)
            self._folder.write(below(METADATA, files))
            return self._expiries(load(self._folder.path))

    def rotate(self, role: str, keyid: str | None = None) -> Rotation:
        """Replace all keys of a role, or one, by new ones: the remedy when one was lost or stolen, and for routine.

        Every machine believes what is there after each step; cut off in between, call it again. Stolen keys of timestamp or snapshot
        may have signed versions far ahead: machines forget these together with the key, so rotate both roles then.
        Raises UnknownRoleError, UnknownKeyError, KeysMissingError.
        """
        with self._folder.locked(), self._new_keys():
            current = load(self._folder.path)
            if role not in current.root.roles:
                raise UnknownRoleError(self._folder.path, role)
            old = current.root.roles[role].keyids
            if keyid is not None and keyid not in old:
                raise UnknownKeyError(self._folder.path, keyid)
            old = [keyid] if keyid is not None else list(old)
            rotation, files = exchange(self._signing(), current, role, self._keyring.make(role, len(old)), old)
            self._keyring.save()
            self._folder.write(below(METADATA, files))
            return rotation

    def revoke(self, keyid: str) -> tuple[Rotation, ...]:
        """Take a key from every role that has it; those that are left must reach the threshold.

        Raises UnknownKeyError, TooFewKeysError, KeysMissingError.
        """
        with self._folder.locked():
            roles = {role: keys for role, keys in load(self._folder.path).root.roles.items() if keyid in keys.keyids}
            if not roles:
                raise UnknownKeyError(self._folder.path, keyid)
            for role, keys in roles.items():
                if len(keys.keyids) <= keys.threshold:
                    raise TooFewKeysError(self._folder.path, role, len(keys.keyids) - 1, keys.threshold)
            done = []
            for role in roles:
                rotation, files = exchange(self._signing(), load(self._folder.path), role, [], [keyid])
                self._folder.write(below(METADATA, files))
                done.append(rotation)
            return tuple(done)

    def _current(self) -> Current:
        with self._folder.locked():
            return load(self._folder.path)

    def _publish(self, current: Current, targets: Targets, before: Mapping[str, bytes] | None = None) -> None:
        top = self._signing().top(current.root, targets, current)
        self._folder.write({**(before or {}), **below(METADATA, top)})

    def _drop(self, current: Current, gone: tuple[Release, ...]) -> tuple[Release, ...]:
        if gone:
            self._publish(current, self._signing().next(without(current.targets, gone)))
        return gone

    def _edit(self, name: str, version: str, change: Callable[[dict[str, Any]], None]) -> tuple[Release, ...]:
        with self._folder.locked():
            current = load(self._folder.path)
            before = self._named(current.targets, name, version)
            targets = self._signing().next(current.targets)
            for release in before:
                change(block_of(targets, release))
            after = self._named(targets, name, version)
            if after != before:
                self._publish(current, targets)
            return after

    def _named(self, targets: Targets, name: str, version: str) -> tuple[Release, ...]:
        found = named(targets, name, version)
        if not found:
            raise NoReleaseError(self._folder.path, name, version)
        return found

    def _expiries(self, current: Current) -> tuple[Expiry, ...]:
        now, every = self._clock.now(), [(role, current.signed(role)) for role in ROLES]
        return tuple(
            Expiry(role, one.expires, one.expires - now < timedelta(days=days(one)) / 2) for role, one in every
        )

    def _has_keys(self, root: Root, role: str) -> bool:
        try:
            return bool(self._keyring.signers(root, role))
        except KeysMissingError:
            # Those of timestamp and snapshot are what refresh is for: without them it says so.
            return role in {"timestamp", "snapshot"}

    def _signing(self) -> Signing:
        return Signing(self._folder.path, self._keyring, self._clock.now())

    @contextmanager
    def _new_keys(self) -> Iterator[None]:
        """Keys that are made and not saved are gone afterwards."""
        try:
            yield
        finally:
            self._keyring.forget()


def _first_files(signing: Signing, root: Root, lasting: Mapping[str, int]) -> dict[str, bytes]:
    targets, snapshot = signing.first(Targets(), lasting["targets"]), signing.first(Snapshot(), lasting["snapshot"])
    timestamp = signing.first(Timestamp(), lasting["timestamp"])
    files = {"1.targets.json": signing.file(targets, root)}
    snapshot.meta["targets.json"] = MetaFile.from_data(1, files["1.targets.json"], ["sha256"])
    files["1.snapshot.json"] = signing.file(snapshot, root)
    timestamp.snapshot_meta = MetaFile.from_data(1, files["1.snapshot.json"], ["sha256"])
    return {**files, "1.root.json": signing.root_file(root, None), "timestamp.json": signing.file(timestamp, root)}
