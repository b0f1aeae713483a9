"""What ``image-builder artifacts`` wrote, read again and believed only as far as its checksums say the same.

A manifest ``NAME_VERSION_SLOT.json``, the slot image ``NAME_VERSION_SLOT.slot`` beside it, and the ``SHA256SUMS`` of the folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from bootselect.formats.update import LARGEST, DescriptionError, parse_description
from update_agent.publish.errors import ArtifactsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bootselect.formats.update import Description

SUMS = "SHA256SUMS"
_PACKAGES = ".spdx.json"
_LARGEST_SUMS = 8 << 20
_SUM = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class Artifacts:
    """An update: ``image`` is the slot image that ``description`` tells of, ``slot`` the name of its section in the definition.

    ``kernels``: releases that it has modules for; ``root_hash``: of its verity tree, in hexadecimal, None without one.
    """

    manifest: Path
    image: Path
    description: Description
    slot: str
    kernels: tuple[str, ...]
    root_hash: str | None

    @contextmanager
    def open(self) -> Iterator[_Image]:
        """The slot image, to be read to its end; that raises ArtifactsError, as this does."""
        with _told(self.image), self.image.open("rb") as file:
            yield _Image(self.image, file)


class _Image:
    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file

    def read(self, size: int) -> bytes:
        with _told(self._path):
            return self._file.read(size)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactsError(path, error.strerror or str(error)) from error


def read_artifacts(place: Path) -> Artifacts:
    """The update whose manifest is at ``place``, or the only one of that folder. Raises ArtifactsError.

    The manifest has the checksum that SHA256SUMS says, and of the image it says the same as SHA256SUMS; the image itself, which may
    be large, has the size that the manifest says, and is not read here.
    """
    manifest = _only_manifest(place) if place.is_dir() else place
    data, sums = _read(manifest, LARGEST), _sums(manifest.parent / SUMS)
    if sums.get(manifest.name) != hashlib.sha256(data).hexdigest():
        raise ArtifactsError(manifest, _differs(manifest.name, sums))
    found = _described(manifest, data)
    image, wanted = found.image, found.description
    if sums.get(image.name) != wanted.sha256:
        raise ArtifactsError(manifest, f"of {image.name} it does not say what {SUMS} says; build it again")
    with _told(image):
        size = image.stat().st_size
    if size != wanted.size:
        raise ArtifactsError(image, f"it has {size} bytes, and {manifest.name} says {wanted.size}; copy it again")
    return found


def _only_manifest(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("*.json") if not path.name.endswith(_PACKAGES))
    if not found:
        raise ArtifactsError(folder, "there is no manifest of an update in it; image-builder artifacts writes one")
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:10])
        raise ArtifactsError(folder, f"there are {len(found)} updates in it, name one of them: {names}")
    return found[0]


def _described(manifest: Path, data: bytes) -> Artifacts:
    try:
        description = parse_description(data)
    except DescriptionError as error:
        raise ArtifactsError(manifest, str(error)) from error
    fields: dict[str, Any] = json.loads(data)
    slot, kernels, root_hash = (fields.get(name) for name in ("slot", "kernels", "verity-root-hash"))
    if not isinstance(slot, str):
        raise ArtifactsError(manifest, "it does not say for which slot it is (the field 'slot')")
    if not isinstance(kernels, list) or not all(isinstance(one, str) for one in kernels):
        raise ArtifactsError(manifest, "it does not say which kernels it has modules for (the field 'kernels')")
    if root_hash is not None and not isinstance(root_hash, str):
        raise ArtifactsError(manifest, "the field 'verity-root-hash' is no text")
    image = manifest.with_suffix(".slot")
    if image.stem != f"{description.name}_{description.version}_{slot}":
        raise ArtifactsError(
            manifest, f"it is of {description.name} {description.version} for {slot}, and has another name"
        )
    return Artifacts(manifest, image, description, slot, tuple(kernels), root_hash)


def _sums(path: Path) -> dict[str, str]:
    """Checksums by name. Names that are escaped there are none of an update."""
    lines = _read(path, _LARGEST_SUMS).decode(errors="replace").splitlines()
    found = [match for line in lines if (match := _SUM.fullmatch(line))]
    return {match[2]: match[1].lower() for match in found}


def _differs(name: str, sums: dict[str, str]) -> str:
    if name not in sums:
        return f"{SUMS} does not name it; take the whole folder that image-builder artifacts wrote"
    return f"its SHA-256 is not the one in {SUMS}; copy it again"


def _read(path: Path, most: int) -> bytes:
    with _told(path), path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ArtifactsError(path, f"it has more than {most} bytes")
    return data
