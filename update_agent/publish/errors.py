"""What can go wrong when a repository is published: one class per situation.

Readers see the repository of before, whatever is raised here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class PublishError(UpdateError):
    """Base of everything that keeps a repository from being changed."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = str(path), problem


class NoRepositoryError(PublishError):
    """There is no repository in the folder, or not all of one."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(path, f"no repository: {problem}; make one with --init")


class AlreadyThereError(PublishError):
    """There is a repository already: a new one would have other keys, and no machine would believe it."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, "there is a repository already; take another folder")


class DamagedError(PublishError):
    """The metadata in the folder are not signed by the keys of its root: somebody else wrote them. They are not signed again."""


class KeyFileError(PublishError):
    """A file of the key folders cannot be read or written, or holds no ed25519 key in PEM."""


class KeyLockedError(KeyFileError):
    """The key in a file has a passphrase, and none that was ``given`` opens it."""

    def __init__(self, path: Path, *, given: bool) -> None:
        super().__init__(path, f"its passphrase is {'another one' if given else 'needed'}: see --passphrase-file")


class KeysMissingError(PublishError):
    """Too few of a role's keys are at hand. ``keyids``: those that the role has; ``locked``: files whose passphrase is missing."""

    def __init__(
        self,
        role: str,
        have: int,
        needed: int,
        keyids: Sequence[str],
        folders: Sequence[Path],
        locked: Sequence[Path] = (),
    ) -> None:
        where = ", ".join(str(folder) for folder in folders) or "no folder of keys is given (--keys)"
        short = ", ".join(keyid[:12] for keyid in keyids)
        closed = f"; no passphrase opens {', '.join(path.name for path in locked)}" if locked else ""
        super().__init__(
            where, f"{have} of the {needed} keys that sign {role} are here; it can be any of {short}{closed}"
        )
        self.role, self.have, self.needed, self.keyids = role, have, needed, tuple(keyids)


class UnknownKeyError(PublishError):
    """No role has a key of this id."""

    def __init__(self, path: Path | str, keyid: str) -> None:
        super().__init__(path, f"no role has the key {keyid[:80]!a}")
        self.keyid = keyid


class UnknownRoleError(PublishError):
    """TUF has no role of this name, or this repository has none."""

    def __init__(self, path: Path | str, role: str) -> None:
        super().__init__(path, f"there is no role {role[:80]!a}; expected root, targets, snapshot or timestamp")
        self.role = role


class TooFewKeysError(PublishError):
    """Without this key the role could not be signed any more."""

    def __init__(self, path: Path | str, role: str, left: int, threshold: int) -> None:
        super().__init__(
            path, f"{role} would have {left} keys and needs {threshold}; rotate the key instead of revoking it"
        )
        self.role, self.left, self.threshold = role, left, threshold


class AlreadyPublishedError(PublishError):
    """A release of this name, version and slot is there, with another content. Versions are never used twice."""

    def __init__(self, path: Path | str, target: str) -> None:
        super().__init__(path, f"{target} is there already with another content; give the new one a new version")
        self.target = target


class NoReleaseError(PublishError):
    """There is no such release."""

    def __init__(self, path: Path | str, name: str, version: str) -> None:
        super().__init__(path, f"there is no release {name!a} {version!a}")
        self.name, self.version = name, version


class GroupError(PublishError):
    """What was given is no name of a group."""


class BlobError(PublishError):
    """The bulk data of a release are not under blobs/, or have another length: put them there first."""


class TooLargeError(PublishError):
    """A file is larger than machines fetch. ``size`` and ``limit`` in bytes."""

    def __init__(self, path: Path | str, size: int, limit: int) -> None:
        super().__init__(path, f"it would have {size} bytes, and machines fetch at most {limit}; withdraw old releases")
        self.size, self.limit = size, limit


class WriteError(PublishError):
    """Writing failed. What readers see is the repository of before or, where only the last flush failed, the new one."""


class ArtifactsError(PublishError):
    """What was given to be published is not what ``image-builder artifacts`` writes, or is damaged."""


class OldBlobError(PublishError):
    """The published bulk data of an older release are not what they were published as; nothing can be made from them."""


class UnknownPastError(PublishError):
    """Nobody knows any more what machines may still fetch that began before the last change. Nothing was removed."""
