"""Images with other settings than the default one, built once for all workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from image_builder.api import build_artifact, build_image, load_definition
from image_builder.definition.identity import derived_guid
from image_builder.definition.override import with_content
from image_builder.filesystem.kinds import FILESYSTEMS
from qemu_tests.harness.shared import shared_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_builder.definition.model import Definition

DEFINITION = Path(__file__).parents[2] / "examples" / "minimal.toml"


@dataclass(frozen=True)
class Variant:
    """An image with version 1, and a medium with version 2."""

    image: Path
    update: Path


def build_variant(
    folder: Path,
    name: str,
    *,
    boot: Mapping[str, Any] | None = None,
    slot: Mapping[str, Any] | None = None,
    update: Mapping[str, Any] | None = None,
    files: Mapping[str, Path] | None = None,
    third_slot: bool = False,
    sector_size: int = 512,
) -> Variant:
    """Build both, once. ``boot`` and ``slot`` are fields of the definition's; ``update`` changes those of the update's slot.

    ``cmdline`` in ``update`` is that of the update's own kernel; ``files`` are laid over its slot.
    """

    def build() -> list[str]:
        target = folder / "variants" / name
        target.mkdir(parents=True)
        default = replace(load_definition(DEFINITION), sector_size=sector_size)
        definition = _changed(default, name, boot or {}, slot or {})
        if third_slot:
            definition = _with_third_slot(definition)
        newer = dict(update or {})
        cmdline = newer.pop("cmdline", None)
        following = _changed(definition, name, {"cmdline": cmdline} if cmdline else {}, newer)
        medium = build_artifact(following, target, version="2", files=files).medium
        return [str(build_image(definition, target, version="1").path), str(medium)]

    image, medium = shared_result(folder, f"variant-{name}", build)
    return Variant(Path(image), Path(medium))


def kexec_variant(folder: Path) -> Variant:
    """Slots with kernels of their own; the update's has ``second`` on its command line."""
    return build_variant(
        folder, "kexec", boot={"hand_over": "kexec"}, slot={"kernel": True}, update={"cmdline": "quiet second"}
    )


def sealed_variant(folder: Path, filesystem: str = "erofs") -> Variant:
    """Sealed slots, on a machine that boots no others."""
    slot = {"verity": True, "filesystem": filesystem, "compression": FILESYSTEMS[filesystem].default_compression}
    return build_variant(folder, f"sealed-{filesystem}", boot={"verity": "required"}, slot=slot)


def _with_third_slot(definition: Definition) -> Definition:
    second = next(partition for partition in definition.partitions if partition.label == "USR-B")
    number = len(definition.partitions) + 1
    third = replace(second, number=number, label="USR-C", unique_guid=derived_guid(definition.seed, "USR-C"))
    return replace(definition, partitions=(*definition.partitions, third))


def _changed(definition: Definition, name: str, boot: Mapping[str, Any], slot: Mapping[str, Any]) -> Definition:
    if definition.boot is None:
        raise TypeError("the default definition has a boot section")
    (only,) = definition.slots
    changed = with_content(definition, only, replace(only, **slot))
    partitions = changed.partitions
    if slot.get("kernel") or slot.get("filesystem") == "ext4":
        bigger = 64 << 20
        partitions = tuple(
            replace(partition, size=bigger) if partition.label.startswith("USR-") else partition
            for partition in partitions
        )
    return replace(changed, name=name, boot=replace(definition.boot, **boot), partitions=partitions)
