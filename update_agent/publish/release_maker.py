"""Turns an update of ``image-builder artifacts`` into a release: frames, their index, differences to what machines run now.

Blobs come first, each whole and flushed, under names that nobody asks for yet; then ``Publisher`` signs. So an error, a kill or a
power cut at any moment leaves the repository of before, and at most blobs that the next try finds and ``prune`` removes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from update_agent.payload import delta as difference
from update_agent.payload.frames import write_frames
from update_agent.publish.blobs import DELTA, FRAMES, Blobs
from update_agent.publish.errors import AlreadyPublishedError, ArtifactsError, GroupError, OldBlobError
from update_agent.publish.old_image import old_image
from update_agent.publish.plan import ONLINE
from update_agent.publish.releases import made
from update_agent.repository.clock import Clock
from update_agent.repository.files import Files
from update_agent.repository.release import delta_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from update_agent.payload.frames import Made
    from update_agent.payload.index import DeltaIndex, Index
    from update_agent.publish.artifacts import Artifacts
    from update_agent.publish.publisher import Publisher
    from update_agent.repository.release import Release

    Report = Callable[[str, int, int], None]

DELTAS: Final = 3
"""Releases from which there are differences to a new one."""

_TRIAL: Final = {"published": "2000-01-01T00:00:00Z", "blob": f"{'0' * 64}.{FRAMES}", "compressed": 1}
"""What is not known of a release before it is made."""


@dataclass(frozen=True)
class Terms:
    """Who is offered a release, and when: ``waves`` as the metadata have them, none for at once."""

    groups: Sequence[str]
    waves: Sequence[Mapping[str, object]] = ()
    minimum_version: str | None = None


@dataclass(frozen=True)
class Added:
    """``left_out``: older versions from which there is no difference, and why. Not ``is_new``: it was there, nothing was written."""

    release: Release
    is_new: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)


class ReleaseMaker:
    """Adds releases to the repository at ``folder``, which ``publisher`` signs.

    ``report`` is given a step, the bytes of it that are done, and all of them.
    """

    def __init__(
        self,
        folder: Path,
        publisher: Publisher,
        report: Report = lambda *_: None,
        *,
        files: Files | None = None,
        clock: Clock | None = None,
        wait: float = 300,
    ) -> None:
        self._folder, self._publisher, self._report = folder, publisher, report
        self._blobs = Blobs(folder, files or Files(), clock or Clock(), wait)

    def add(self, artifacts: Artifacts, terms: Terms, deltas: int = DELTAS) -> Added:
        """Publish an update, with differences from the last ``deltas`` releases for the same kind of slot.

        The same update with the same terms again changes nothing. Takes 120 MiB of memory and, for differences, the room of one
        slot image on the repository's file system. Raises ArtifactsError, AlreadyPublishedError, GroupError, KeysMissingError,
        ReleaseError, and a PublishError or BusyError.
        """
        fields = _fields(artifacts, terms)
        # What machines would refuse is refused before it has cost an hour.
        trial, _ = made({**fields, **_TRIAL}, b"", {})
        with self._blobs.locked():
            published = self._publisher.releases()
            there = [one for one in published if one.index.name == trial.index.name]
            if there:
                return self._again(there[0], trial)
            self._publisher.require_keys("targets", *ONLINE)
            full = self._frames(artifacts)
            fields |= {"blob": f"{full.blob_sha256}.{FRAMES}", "compressed": full.blob_size}
            blocks, indexes, left_out = [], {}, {}
            for old in _predecessors(published, trial, deltas):
                try:
                    delta = self._delta(artifacts, old, full.blob_size)
                except OldBlobError as error:
                    left_out[old.version] = str(error)
                    continue
                if delta is None:
                    left_out[old.version] = f"it would not be smaller than the whole image, {full.blob_size} bytes"
                    continue
                block = _delta_block(trial, old, delta)
                blocks.append(block)
                indexes[str(block["target"])] = delta.index.encode()
            release = self._publisher.add_release(full.index.encode(), {**fields, "deltas": blocks}, indexes)
        return Added(release, left_out=left_out)

    def _again(self, there: Release, trial: Release) -> Added:
        if _content(there) != _content(trial):
            raise AlreadyPublishedError(self._folder, there.index.name)
        if not set(trial.groups) <= set(there.groups) or (trial.waves and trial.waves != there.waves):
            raise GroupError(
                self._folder,
                f"{there.name} {there.version} is published already, for {', '.join(there.groups) or 'nobody'}; "
                "promote changes groups and waves",
            )
        return Added(there, is_new=False)

    def _frames(self, artifacts: Artifacts) -> Made[Index]:
        made_now: list[Made[Index]] = []

        def keep(made: Made[Index]) -> bool:
            _require_image(artifacts, made.index.size, made.index.sha256)
            made_now.append(made)
            return True

        report, total = self._step("compress"), artifacts.description.size
        with artifacts.open() as image:
            self._blobs.write(
                FRAMES, lambda blob: write_frames(image, blob, progress=lambda done: report(done, total)), keep
            )
        return made_now[0]

    def _delta(self, artifacts: Artifacts, old: Release, limit: int) -> Made[DeltaIndex] | None:
        made_now: list[Made[DeltaIndex]] = []

        def keep(made: Made[DeltaIndex]) -> bool:
            _require_image(artifacts, made.index.size, made.index.sha256)
            if made.blob_size < limit:
                made_now.append(made)
            return bool(made_now)

        unpacked, differs = self._step(f"unpack {old.version}"), self._step(f"delta from {old.version}")
        total = artifacts.description.size
        with (
            old_image(self._folder, old, lambda done: unpacked(done, old.size)) as before,
            artifacts.open() as image,
        ):
            self._blobs.write(
                DELTA,
                lambda blob: difference.make(before, image, blob, progress=lambda done: differs(done, total)),
                keep,
            )
        return made_now[0] if made_now else None

    def _step(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self._report(what, done, total)


def _fields(artifacts: Artifacts, terms: Terms) -> dict[str, Any]:
    told = artifacts.description
    return {
        "format": 1,
        "name": told.name,
        "version": told.version,
        "slot": artifacts.slot,
        "slot-type": str(told.slot_type),
        "groups": list(terms.groups),
        "waves": [dict(wave) for wave in terms.waves],
        "size": told.size,
        "sha256": told.sha256,
        "kernel-releases": list(artifacts.kernels),
        "own-kernel": told.own_kernel,
        "root-hash": artifacts.root_hash,
        "minimum-version": terms.minimum_version,
        "deltas": [],
    }


def _delta_block(new: Release, old: Release, delta: Made[DeltaIndex]) -> dict[str, object]:
    return {
        "from-version": old.version,
        "from-sha256": old.sha256,
        "target": delta_name(new.name, old.version, new.version, new.slot),
        "blob": f"{delta.blob_sha256}.{DELTA}",
        "compressed": delta.blob_size,
    }


def _predecessors(published: Sequence[Release], new: Release, number: int) -> list[Release]:
    """The releases that were published last for the same kind of slot, the last one first."""
    kind = (new.name, new.slot, new.slot_type)
    same = [one for one in published if (one.name, one.slot, one.slot_type) == kind]
    return sorted(same, key=lambda one: one.published, reverse=True)[:number]


def _content(release: Release) -> tuple[object, ...]:
    """What never changes of a release, as far as its artifacts and terms say it."""
    return (
        release.slot_type,
        release.size,
        release.sha256,
        release.kernel_releases,
        release.own_kernel,
        release.root_hash,
        release.minimum_version,
    )


def _require_image(artifacts: Artifacts, size: int, sha256: str) -> None:
    wanted = artifacts.description
    if (size, sha256) != (wanted.size, wanted.sha256):
        raise ArtifactsError(
            artifacts.image,
            f"it has {size} bytes with the SHA-256 {sha256}, and {artifacts.manifest.name} says {wanted.size} bytes with "
            f"{wanted.sha256}; copy it again",
        )
