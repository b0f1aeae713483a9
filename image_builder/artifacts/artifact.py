"""Writes an update: of the very bytes that an image gets."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect.formats.update import DESCRIPTION, IMAGE, encode_description
from image_builder.artifacts.manifest import Manifest
from image_builder.artifacts.names import artifact_names
from image_builder.artifacts.packages import packages_in
from image_builder.artifacts.spdx import spdx_document
from image_builder.artifacts.sums import update_sums
from image_builder.artifacts.tools import tool_versions
from image_builder.cache import replacing, working_folder
from image_builder.definition.identity import derived_uuid
from image_builder.definition.model import ROOT, AutoSize
from image_builder.disk.assemble import check_fits
from image_builder.disk.partitioning import partition_sizes
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.filesystem.source import FolderSource
from image_builder.filesystem.tree import write_text
from image_builder.hashing import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.artifacts.names import ArtifactNames
    from image_builder.artifacts.packages import Package
    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.content.system import Facts

_DISTRIBUTION = "debian"
"""What package URLs name where the system does not say what it is."""


@dataclass(frozen=True)
class Artifact:
    """An update: ``slot`` is the slot itself, ``medium`` a disk image that ``updatectl install`` takes.

    ``manifest`` tells about it (``image_builder.artifacts.manifest``), ``packages`` lists what is in it (SPDX 2.3; None where that is
    not known), ``checksums`` is the SHA256SUMS of the folder, for ``sha256sum -c`` and systemd-sysupdate. ``sha256`` (lower-case
    hexadecimal) and ``size`` (bytes) are those of ``slot``; ``fill`` is the percentage of the smallest partition that it fills.
    """

    name: str
    version: str
    slot: Path
    medium: Path
    manifest: Path
    packages: Path | None
    checksums: Path
    size: int
    sha256: str
    fill: float


def write_artifact(build: Build, slot: Slot, out_dir: Path) -> Artifact:
    """Write an update of a slot to ``out_dir``; same inputs, same bytes. Each file appears whole or not at all.

    Raises ArtifactNameError, OutputError, TooLargeError, and what producing the slot and ``Runner.run`` raise.
    """
    names = artifact_names(build.definition.name, slot.version, slot.section)
    image, facts = slot.produce(build)
    limit = slot_limit(build, image)
    with build.progress.step(f"update {names.medium}"):
        with replacing(out_dir / names.slot) as temporary:
            shutil.copyfile(image, temporary)
        size, sha256 = image.stat().st_size, sha256_of(out_dir / names.slot)
        _write_medium(build, slot, facts, image, out_dir / names.medium, sha256)
        known = packages_in({path: text.encode() for path, text in facts.records.items()})
        packages = None if known is None else _write_packages(build, slot, facts, known, out_dir, names, sha256)
        manifest = _manifest(build, slot, facts, size, sha256, limit, None if known is None else len(known))
        _write(out_dir / names.manifest, manifest.to_json())
        others = [out_dir / names.medium, out_dir / names.manifest, *([packages] if packages else [])]
        checksums = update_sums(out_dir, {names.slot: sha256, **{file.name: sha256_of(file) for file in others}})
    if any(isinstance(partition.size, AutoSize) for partition in build.definition.slot_partitions()):
        build.progress.note(
            f"note: slot partitions are sized by their content: {names.slot} may not fit into older machines"
        )
    elif manifest.is_nearly_full:
        build.progress.note(
            f"warning: {names.slot} fills its partition to {manifest.fill} %: a larger update may not fit"
        )
    return Artifact(
        name=build.definition.name,
        version=slot.version,
        slot=out_dir / names.slot,
        medium=out_dir / names.medium,
        manifest=out_dir / names.manifest,
        packages=packages,
        checksums=checksums,
        size=size,
        sha256=sha256,
        fill=manifest.fill,
    )


def slot_limit(build: Build, image: Path) -> int:
    """Bytes of the smallest partition that a slot goes into. Raises TooLargeError where it does not fit there."""
    definition, size = build.definition, image.stat().st_size
    places = definition.slot_partitions()
    sizes = partition_sizes(definition, {partition.number: size for partition in places})
    smallest = min(places, key=lambda partition: sizes[partition.number])
    check_fits(image, sizes[smallest.number], smallest.label)
    return sizes[smallest.number]


def _manifest(
    build: Build, slot: Slot, facts: Facts, size: int, sha256: str, limit: int, packages: int | None
) -> Manifest:
    return Manifest(
        name=build.definition.name,
        version=slot.version,
        slot=slot.section,
        slot_type=slot.type,
        size=size,
        sha256=sha256,
        filesystem=slot.filesystem,
        compression=slot.compression,
        root_hash=facts.root_hash,
        limit=limit,
        kernels=facts.releases,
        own_kernel=slot.kernel,
        packages=packages,
        tools=tool_versions(build.runner, slot.tools(build.definition)),
        epoch=build.epoch,
    )


def _write_packages(
    build: Build,
    slot: Slot,
    facts: Facts,
    packages: tuple[Package, ...],
    out_dir: Path,
    names: ArtifactNames,
    sha256: str,
) -> Path:
    text = spdx_document(
        packages,
        name=build.definition.name,
        version=slot.version,
        slot=names.slot,
        sha256=sha256,
        seed=build.definition.seed,
        epoch=build.epoch,
        distribution=_distribution(facts),
    )
    return _write(out_dir / names.packages, text)


def _distribution(facts: Facts) -> str:
    """ID of os-release(5)."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        for line in facts.records.get(name, "").splitlines():
            if line.startswith("ID="):
                return line.removeprefix("ID=").strip("\"'")
    return _DISTRIBUTION


def _write(path: Path, text: str) -> Path:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _write_medium(build: Build, slot: Slot, facts: Facts, image: Path, medium: Path, sha256: str) -> None:
    """A file system with the slot and its description, of the kind that the machine can mount for sure: its slot's."""
    description = encode_description(
        name=build.definition.name,
        version=slot.version,
        slot_type=slot.type,
        size=image.stat().st_size,
        sha256=sha256,
        releases=facts.releases,
        own_kernel=slot.kernel,
    )
    with working_folder(medium.parent) as folder:
        inner = folder / "medium"
        inner.mkdir()
        inner.chmod(0o755)
        write_text(inner / DESCRIPTION, description)
        shutil.copyfile(image, inner / IMAGE)
        (inner / IMAGE).chmod(0o644)
        with replacing(medium) as temporary:
            # The slot is compressed already.
            FILESYSTEMS[slot.filesystem].write(
                build.runner,
                FolderSource(inner, owners=ROOT, xattrs=False),
                temporary,
                uuid=derived_uuid(build.definition.seed, f"medium {slot.version} {sha256}"),
                compression="none",
                epoch=build.epoch,
            )
