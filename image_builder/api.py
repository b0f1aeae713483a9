"""What programs call: build an image, or an update for machines that run one.

A build goes so: the definition becomes payloads, one for each thing that partitions hold; they are made side by side, those
of slots into the cache; the disk is put together of them; the formats that were asked for are written of that.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from image_builder.artifacts.artifact import Artifact, write_artifact
from image_builder.boot.chain import boot_of, command_line, initramfs_file, kernel_of
from image_builder.cache import Cache, cache_root, replacing, working_folder
from image_builder.content.build import Build
from image_builder.definition.load import load_definition
from image_builder.definition.model import Definition
from image_builder.definition.override import the_slot, with_slot
from image_builder.disk.assemble import assemble
from image_builder.disk.partitioning import plan_partitions
from image_builder.distribution.packages import TargetPackages
from image_builder.epoch import build_epoch
from image_builder.errors import DefinitionError, Mistake
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.hashing import sha256_of
from image_builder.loader.kinds import LOADERS
from image_builder.output.kinds import OUTPUTS
from image_builder.preconditions import check_preconditions
from image_builder.progress import SilentProgress
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from image_builder.content.content import Payload
    from image_builder.progress import Progress
    from image_builder.run import Runner

__all__ = [
    "Artifact",
    "BuiltImage",
    "Definition",
    "Initrd",
    "build_artifact",
    "build_image",
    "build_initrd",
    "load_definition",
]


@dataclass(frozen=True)
class BuiltImage:
    """A disk image. ``path`` is its first format, ``outputs`` all of them by name; ``size`` is that of the disk, in bytes.

    ``version`` is that of its slot: the first one where there are several, empty where there is none.
    """

    path: Path
    name: str
    version: str
    size: int
    outputs: Mapping[str, Path]

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of ``path``, in lower-case hexadecimal; read from the file when it is first asked for."""
        return sha256_of(self.path)


def build_image(
    definition: Definition | Path,
    out_dir: Path,
    *,
    slot: str | None = None,
    version: str | None = None,
    files: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
    cache: Path | None = None,
    refresh: bool = False,
) -> BuiltImage:
    """Write the disk image of a definition to ``out_dir``: whole or not at all; same inputs, same bytes.

    ``version`` replaces that of a slot; ``files`` are laid over it, by their absolute paths in it; ``slot`` is its name, None
    for the only one. ``refresh`` looks for newer packages of the target. Raises BuildError (DefinitionError before anything is
    made) and OSError; an older image is then as it was.
    """
    chosen = with_slot(_loaded(definition), version, files, slot=slot)
    plan_partitions(chosen)
    runner = runner or SystemRunner()
    formats = [OUTPUTS[name] for name in chosen.outputs]
    tools = [tool for partition in chosen.partitions for tool in partition.content.tools(chosen)]
    check_preconditions(runner, out_dir, [*tools, *(tool for output in formats for tool in output.tools)])
    build = _build(chosen, progress, runner, cache, refresh=refresh)
    with working_folder(out_dir) as folder:
        contents = _produce(build, folder)
        sizes = {number: file.stat().st_size for number, file in contents.items()}
        partitioning = plan_partitions(chosen, sizes)
        raw = out_dir / f"{chosen.name}.raw" if "raw" in chosen.outputs else folder / f"{chosen.name}.raw"
        with build.progress.step(f"disk image {raw.name}"):
            assemble(raw, partitioning, contents)
        written = {"raw": raw} if "raw" in chosen.outputs else {}
        for output in formats:
            if output.name != "raw":
                target = written[output.name] = out_dir / f"{chosen.name}{output.ending}"
                with build.progress.step(f"{output.name} {target.name}"):
                    output.write(runner, raw, target, epoch=build.epoch)
    version = chosen.slots[0].version if chosen.slots else ""
    outputs = {name: written[name] for name in chosen.outputs}
    return BuiltImage(outputs[chosen.outputs[0]], chosen.name, version, partitioning.size, outputs)


def build_artifact(
    definition: Definition | Path,
    out_dir: Path,
    *,
    slot: str | None = None,
    version: str | None = None,
    files: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
    cache: Path | None = None,
    refresh: bool = False,
) -> Artifact:
    """Write an update of a slot to ``out_dir``: what ``build_image`` would put into its partitions, and what tells about it.

    The arguments and errors are those of ``build_image``; TooLargeError too, where the slot would not fit into the
    definition's slot partitions.
    """
    chosen = with_slot(_loaded(definition), version, files, slot=slot)
    wanted = the_slot(chosen, slot)
    if not chosen.slot_partitions():
        problem = f"is {wanted.type}; expected the type of at least one partition that an update can be for"
        raise DefinitionError(Mistake(chosen.path, f"{wanted.name}.type", problem))
    runner = runner or SystemRunner()
    check_preconditions(runner, out_dir, [*wanted.tools(chosen), *FILESYSTEMS[wanted.filesystem].programs])
    build = _build(chosen, progress, runner, cache, refresh=refresh)
    return write_artifact(build, wanted, out_dir)


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
    runner = runner or SystemRunner()
    check_preconditions(runner, out_dir, LOADERS[boot_of(chosen).kind].tools(chosen))
    build = _build(chosen, progress, runner, cache, refresh=refresh)
    built = Initrd(*(out_dir / f"{chosen.name}.{suffix}" for suffix in ("vmlinuz", "initramfs", "cmdline")))
    for source, target in ((kernel_of(build).image, built.kernel), (initramfs_file(build), built.initramfs)):
        with replacing(target) as temporary:
            temporary.write_bytes(source.read_bytes())
    with replacing(built.cmdline) as temporary:
        temporary.write_text(f"{command_line(chosen)}\n")
    return built


def _loaded(definition: Definition | Path) -> Definition:
    return definition if isinstance(definition, Definition) else load_definition(definition)


def _build(
    definition: Definition, progress: Progress | None, runner: Runner, cache: Path | None, *, refresh: bool
) -> Build:
    progress = progress or SilentProgress()
    kept = Cache(cache or cache_root(), progress)
    packages = TargetPackages(runner, kept, refresh=refresh, progress=progress)
    return Build(definition, runner, kept, progress, packages, build_epoch(), refresh)


def _produce(build: Build, folder: Path) -> dict[int, Path]:
    """What each partition gets, by its number: files of ``folder``, of the cache, or of the definition."""
    planned = [
        (partition.number, payload)
        for partition in build.definition.partitions
        if (payload := partition.content.payload(build, partition)) is not None
    ]
    made = _side_by_side({payload.name: payload for _, payload in planned}.values(), folder)
    return {number: made[payload.name] for number, payload in planned}


def _side_by_side(payloads: Iterable[Payload], folder: Path) -> dict[str, Path]:
    """Make each payload once. The first error is raised when all have come to their end."""
    rooms = {}
    for place, payload in enumerate(payloads):
        room = folder / str(place)
        room.mkdir()
        rooms[payload.name] = (payload, room)
    with ThreadPoolExecutor(max(1, len(rooms))) as pool:
        running = {name: pool.submit(payload.produce, room) for name, (payload, room) in rooms.items()}
        # A signal interrupts the waiting here, and not that of the pool for its threads: they clean up before the process ends.
        wait(running.values())
    return {name: future.result() for name, future in running.items()}
