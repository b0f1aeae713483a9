"""How keys are exchanged so that every machine believes what is there after each step. Nothing here touches a disk."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Root

    from update_agent.publish.metadata import Current, Signing


@dataclass(frozen=True)
class Rotation:
    """What became of a role's keys: the ids of the new and the revoked ones, and the version of the root that says so."""

    role: str
    added: tuple[str, ...]
    revoked: tuple[str, ...]
    root_version: int


def exchange(
    signing: Signing, current: Current, role: str, new: Sequence[CryptoSigner], old: Sequence[str]
) -> tuple[Rotation, Mapping[str, bytes]]:
    """The files below metadata/, in their order, that give a role new keys and take old ones from it.

    A root that knows the old and the new keys (where there are new ones); what the role signs, by those that will be left; a root
    that knows these alone. The old keys sign, too, where they are here: a machine may have asked for a newer root just before, and ask
    for the rest just after; without them it would fail this once. The root role needs one step: a root is signed by the keys of the one before it, too.
    Raises KeysMissingError, TooLargeError.
    """
    files: dict[str, bytes] = {}
    before, both = current.root, _with(current.root, role, new)
    if new and role != "root":
        both = signing.next(both)
        files[f"{both.version}.root.json"] = signing.root_file(both, before)
        before = both
    after = signing.next(_without(both, role, old))
    if role != "root":
        targets = signing.next(current.targets) if role == "targets" else None
        files |= signing.top(after, targets, current, current.root)
    files[f"{after.version}.root.json"] = signing.root_file(after, before)
    added = tuple(signer.public_key.keyid for signer in new)
    return Rotation(role, added, tuple(old), after.version), files


def _with(root: Root, role: str, new: Iterable[CryptoSigner]) -> Root:
    copy = deepcopy(root)
    for signer in new:
        copy.add_key(signer.public_key, role)
    return copy


def _without(root: Root, role: str, old: Iterable[str]) -> Root:
    copy = deepcopy(root)
    for keyid in old:
        copy.revoke_key(keyid, role)
    return copy
