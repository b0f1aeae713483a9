"""Releases in the metadata of targets, found and put there. Nothing here touches a disk."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tuf.api.metadata import TargetFile

from update_agent.publish.errors import TooLargeError
from update_agent.repository.fetcher import LONGEST
from update_agent.repository.release import Release, Target, parse_release
from update_agent.repository.repository import BLOBS, BLOCK, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tuf.api.metadata import Targets


def made(
    block: Mapping[str, object], index: bytes, deltas: Mapping[str, bytes]
) -> tuple[Release, dict[str, TargetFile]]:
    """A new release and the targets that make it one. Raises ReleaseError, TooLargeError."""
    name = "_".join(str(block.get(part)) for part in ("name", "version", "slot")) + ".index"
    files = {name: index, **deltas}
    for path, data in files.items():
        if len(data) > LONGEST:
            raise TooLargeError(path, len(data), LONGEST)
    targets = {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in files.items()}
    targets[name].unrecognized_fields["custom"] = {BLOCK: dict(block)}
    return parse_release(
        _target(targets[name]), block, {path: _target(file) for path, file in targets.items()}
    ), targets


def releases(targets: Targets) -> dict[str, Release]:
    """By the name of the target. Raises ReleaseError: nothing that is not understood is signed again."""
    found = {path: _target(file) for path, file in targets.targets.items()}
    blocks = {
        path: file.custom[BLOCK] for path, file in targets.targets.items() if file.custom and BLOCK in file.custom
    }
    return {path: parse_release(found[path], block, found) for path, block in sorted(blocks.items())}


def named(targets: Targets, name: str, version: str) -> tuple[Release, ...]:
    """Those of one version, one for each slot that it has."""
    return tuple(one for one in releases(targets).values() if (one.name, one.version) == (name, version))


def surplus(found: Iterable[Release], number: int) -> tuple[Release, ...]:
    """Those that are not among the ``number`` that were published last, for any of their groups, of their name and kind of slot.

    What is offered to no group is surplus.
    """
    newest, kept = sorted(found, key=lambda one: one.published, reverse=True), Counter[tuple[object, ...]]()
    gone = []
    for release in newest:
        places = [(release.name, release.slot, release.slot_type, group) for group in release.groups]
        if all(kept[place] >= number for place in places):
            gone.append(release)
        kept.update(places)
    return tuple(gone)


def without(targets: Targets, gone: Iterable[Release]) -> Targets:
    """A copy of metadata without these releases and their deltas."""
    copy = deepcopy(targets)
    for release in gone:
        for path in (release.index.name, *(delta.index.name for delta in release.deltas)):
            copy.targets.pop(path, None)
    return copy


def files_of(targets: Targets) -> frozenset[str]:
    """The paths below the repository that machines fetch for these metadata: small files and bulk data.

    Also of metadata of a format that is not known, as far as that can be seen.
    """
    found = {f"{TARGETS}/{file.hashes['sha256']}.{path}" for path, file in targets.targets.items()}
    for file in targets.targets.values():
        block = (file.custom or {}).get(BLOCK, {})
        blobs = [block.get("blob"), *(one.get("blob") for one in block.get("deltas", []))]
        found |= {f"{BLOBS}/{blob}" for blob in blobs if blob}
    return frozenset(found)


def block_of(targets: Targets, release: Release) -> dict[str, Any]:
    """What the metadata say of a release, to be changed."""
    block: dict[str, Any] = targets.targets[release.index.name].custom[BLOCK]
    return block


def is_same(one: TargetFile, other: TargetFile) -> bool:
    """Whether two releases are the same in all that never changes of one."""
    return _fixed(one) == _fixed(other)


def _fixed(file: TargetFile) -> tuple[str, dict[str, object]]:
    block = {key: value for key, value in file.custom[BLOCK].items() if key not in {"groups", "waves", "published"}}
    return file.hashes["sha256"], block


def _target(file: TargetFile) -> Target:
    return Target(file.path, file.length, file.hashes["sha256"])
