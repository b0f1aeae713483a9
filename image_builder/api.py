"""What programs call: build an image, or an update for machines that run one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.artifacts import Artifact, sha256_of, write_artifact
from image_builder.cache import cache_root, replacing
from image_builder.definition.load import load_definition
from image_builder.definition.model import ESP, SLOT, STATE, Definition
from image_builder.definition.override import with_slot
from image_builder.disk.assemble import assemble
from image_builder.disk.esp import make_esp
from image_builder.disk.partitioning import plan_partitions
from image_builder.disk.state import make_state
from image_builder.distribution.packages import TargetPackages
from image_builder.payloads import Payloads
from image_builder.preconditions import check_preconditions
from image_builder.progress import SilentProgress
from image_builder.run import SystemRunner
from image_builder.slot.tree import working_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_builder.progress import Progress
    from image_builder.run import Runner

__all__ = ["Artifact", "BuiltImage", "Definition", "build_artifact", "build_image", "load_definition"]


@dataclass(frozen=True)
class BuiltImage:
    """A disk image. ``version`` is that of its slot, empty where it has none; ``size`` is in bytes."""

    path: Path
    name: str
    version: str
    size: int

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the image, in lower-case hexadecimal; read from the file when it is first asked for."""
        return sha256_of(self.path)


def build_image(
    definition: Definition | Path,
    out_dir: Path,
    *,
    version: str | None = None,
    files: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
    cache: Path | None = None,
    refresh: bool = False,
) -> BuiltImage:
    """Write the disk image of a definition to ``out_dir``/NAME.raw: sparse, whole or not at all, same inputs, same bytes.

    ``version`` replaces that of the definition's slot; ``files`` are laid over the slot, by their absolute paths in it;
    ``refresh`` looks for newer packages of the target.
    Raises BuildError (DefinitionError before anything is made) and OSError; an older image is then as it was.
    """
    chosen = with_slot(_loaded(definition), version, files)
    partitioning = plan_partitions(chosen)
    progress, runner = progress or SilentProgress(), runner or SystemRunner()
    check_preconditions(runner, out_dir, chosen, {partition.content for partition in chosen.partitions})
    payloads = _payloads(chosen, progress, runner, cache, refresh=refresh)
    output = out_dir / f"{chosen.name}.raw"
    with working_folder() as folder:
        contents: dict[int, Path] = {}
        slot = folder / "slot"
        for partition in chosen.partitions:
            content = partition.content
            if isinstance(content, Path):
                contents[partition.number] = content
                continue
            file = slot if content == SLOT else folder / f"{partition.number}"
            if content == ESP:
                make_esp(runner, file, payloads.uki(), chosen, partition)
            elif content == STATE:
                make_state(runner, file, chosen, partition)
            elif content == SLOT and not slot.exists():
                payloads.write_slot(slot)
            if file.exists():
                contents[partition.number] = file
        with progress.step(f"disk image {output}"):
            assemble(output, partitioning, contents)
    return BuiltImage(output, chosen.name, chosen.slot.version if chosen.slot else "", partitioning.size)


def build_artifact(
    definition: Definition | Path,
    out_dir: Path,
    *,
    version: str | None = None,
    files: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
    cache: Path | None = None,
    refresh: bool = False,
) -> Artifact:
    """Write an update to ``out_dir``: the slot NAME-VERSION.slot, its medium NAME-VERSION.update, and their checksums.

    ``version``, ``files`` and ``refresh`` as for ``build_image``; errors too, and TooLargeError where the slot would not fit
    into the definition's slot partitions.
    """
    chosen = with_slot(_loaded(definition), version, files)
    progress, runner = progress or SilentProgress(), runner or SystemRunner()
    check_preconditions(runner, out_dir, chosen, {SLOT})
    payloads = _payloads(chosen, progress, runner, cache, refresh=refresh)
    return write_artifact(runner, chosen, out_dir, payloads.write_slot)


@dataclass(frozen=True)
class Initrd:
    """What a boot loader starts: three files."""

    kernel: Path
    initramfs: Path
    cmdline: Path


def build_initrd(
    definition: Definition | Path,
    out_dir: Path,
    *,
    progress: Progress | None = None,
    runner: Runner | None = None,
    cache: Path | None = None,
    refresh: bool = False,
) -> Initrd:
    """Write kernel, initramfs and command line of a definition to ``out_dir``. Errors as ``build_image``."""
    chosen = _loaded(definition)
    progress, runner = progress or SilentProgress(), runner or SystemRunner()
    check_preconditions(runner, out_dir, chosen, {ESP})
    payloads = _payloads(chosen, progress, runner, cache, refresh=refresh)
    built = Initrd(*(out_dir / f"{chosen.name}.{suffix}" for suffix in ("vmlinuz", "initramfs", "cmdline")))
    for source, target in ((payloads.kernel, built.kernel), (payloads.initramfs(), built.initramfs)):
        with replacing(target) as temporary:
            temporary.write_bytes(source.read_bytes())
    with replacing(built.cmdline) as temporary:
        temporary.write_text(f"{payloads.cmdline}\n")
    return built


def _loaded(definition: Definition | Path) -> Definition:
    return definition if isinstance(definition, Definition) else load_definition(definition)


def _payloads(
    definition: Definition, progress: Progress, runner: Runner, cache: Path | None, *, refresh: bool
) -> Payloads:
    root = (cache or cache_root()).absolute()
    packages = TargetPackages(runner, root, refresh=refresh, progress=progress)
    return Payloads(definition, runner, root, progress, packages)
