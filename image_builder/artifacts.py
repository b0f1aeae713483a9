"""Update artifacts: the slot as a file, and the medium that a machine installs it from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect.formats.update import DESCRIPTION, IMAGE, encode_description
from bootselect.slots import slot_type
from image_builder.cache import replacing
from image_builder.definition.identity import derived_uuid
from image_builder.disk.assemble import check_fits
from image_builder.errors import DefinitionError
from image_builder.slot.erofs import make_erofs
from image_builder.slot.tree import working_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from image_builder.definition.model import Definition, SlotDefinition
    from image_builder.run import Runner


@dataclass(frozen=True)
class Artifact:
    """An update: ``slot`` is the slot's file system, ``medium`` a disk image that ``updatectl install`` takes.

    ``sha256`` (lower-case hexadecimal) and ``size`` (bytes) are those of ``slot``; ``checksums`` is a file for ``sha256sum -c``.
    """

    name: str
    version: str
    slot: Path
    medium: Path
    checksums: Path
    size: int
    sha256: str


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_artifact(
    runner: Runner, definition: Definition, out_dir: Path, write_slot: Callable[[Path], None]
) -> Artifact:
    """Write slot, medium and checksums to ``out_dir``; same inputs, same bytes. Each appears whole or not at all.

    The medium is an erofs that holds the slot and its description. Raises OutputError, TooLargeError, and what
    ``Runner.run`` and ``write_slot`` raise.
    """
    slot = definition.slot
    if slot is None:
        raise DefinitionError(definition.path, "slot", "there is no such section; expected one that says what to build")
    name = f"{definition.name}-{slot.version}"
    artifact, medium, checksums = (out_dir / f"{name}.{ending}" for ending in ("slot", "update", "sha256"))
    with working_folder(out_dir) as folder:
        image = folder / IMAGE
        write_slot(image)
        _check_fits(definition, slot, image)
        size, sha256 = image.stat().st_size, sha256_of(image)
        description = encode_description(
            name=definition.name, version=slot.version, slot_type=slot.type, size=size, sha256=sha256
        )
        write_text(folder / DESCRIPTION, description)
        uuid = derived_uuid(definition.seed, f"medium {slot.version} {sha256}")
        with replacing(medium) as temporary:
            # The slot is compressed already.
            make_erofs(runner, folder, temporary, uuid=uuid, compression="none")
        with replacing(artifact) as temporary:
            image.rename(temporary)
    with replacing(checksums) as temporary:
        temporary.write_text(
            "".join(f"{sha256_of(file)}  {file.name}\n" for file in (artifact, medium)), encoding="ascii"
        )
    return Artifact(definition.name, slot.version, artifact, medium, checksums, size, sha256)


def _check_fits(definition: Definition, slot: SlotDefinition, image: Path) -> None:
    places = [partition for partition in definition.partitions if partition.type_guid == slot_type(slot.type)]
    smallest = min(places, key=lambda partition: partition.size)
    check_fits(image, smallest.size, smallest.label)
