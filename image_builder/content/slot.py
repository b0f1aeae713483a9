"""A slot: a read-only system, made once for all partitions that hold it and for its update."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from bootselect.initramfs.config import AUTO, KEXEC, REQUIRED, SWITCH_ROOT
from bootselect.slots import DEFAULT_TYPE, slot_type
from image_builder.boot.chain import kernel_of, own_kernel_files
from image_builder.cache import working_folder
from image_builder.content.content import Payload
from image_builder.content.image import Image
from image_builder.content.inside import machine_ids_in, records_of, releases_in, require_system
from image_builder.content.system import Facts
from image_builder.content.systems import SYSTEMS
from image_builder.content.tree import Tree
from image_builder.definition import values
from image_builder.definition.files import read_files
from image_builder.definition.identity import derived_uuid
from image_builder.definition.model import DROP, KEPT, OWNERS, REFUSE, SlotFile
from image_builder.distribution.sources import builder_digest, digest_of
from image_builder.filesystem.compare import require_same
from image_builder.filesystem.errors import NoPlaceError
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.filesystem.overlay import digest_of_files
from image_builder.filesystem.seal import seal_image
from image_builder.filesystem.source import ImageSource
from image_builder.filesystem.staging import STAGING_TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gptlib.table.guid import Guid
    from image_builder.content.build import Build
    from image_builder.content.system import System
    from image_builder.definition.model import Definition, PartitionDefinition
    from image_builder.definition.section import Section
    from image_builder.filesystem.listing import Listing
    from image_builder.filesystem.source import Source

_IMAGE, _FACTS = "slot.img", "facts.json"


@dataclass(frozen=True)
class Slot:
    """``section`` is its name in the definition; ``type`` the partition type of slots as the definition names it.

    ``filesystem`` and ``compression`` are how it is stored; ``unsupported`` says what becomes of metadata that it has no place for. ``verity``: it is sealed with a dm-verity tree. ``kernel``: it
    brings a kernel and initramfs of its own for ``hand-over = "kexec"``. ``files`` are laid over all of this.
    """

    section: str
    system: System
    type: str
    version: str
    filesystem: str
    compression: str
    verity: bool
    kernel: bool
    owners: str
    unsupported: str
    files: tuple[SlotFile, ...]

    @property
    def name(self) -> str:
        """See ``Content``."""
        return f"slot.{self.section}"

    @cached_property
    def type_guid(self) -> Guid:
        """The partition type."""
        return slot_type(self.type)

    @classmethod
    def read(cls, section: Section, name: str) -> Slot:
        """A section [slot.NAME]."""
        kind = section.choice("kind", tuple(SYSTEMS))
        if kind in SYSTEMS:
            system = SYSTEMS[kind].read(section)
        else:
            section.accept_all()
            system = Tree(section.folder)
        finished = isinstance(system, Image)
        filesystem = (
            system.filesystem
            if isinstance(system, Image)
            else section.choice("filesystem", tuple(FILESYSTEMS), "erofs")
        )
        stored = FILESYSTEMS.get(filesystem, FILESYSTEMS["erofs"])
        compression = stored.default_compression
        return cls(
            section=name,
            system=system,
            type=section.parse("type", values.slot_type_name, DEFAULT_TYPE),
            version=section.parse("version", values.slot_version, "1"),
            filesystem=filesystem,
            compression="" if finished else section.choice("compression", stored.compressions, compression),
            verity=section.get("verity", bool, default=False),
            kernel=not finished and section.get("kernel", bool, default=False),
            owners=KEPT if finished else section.choice("owners", OWNERS, KEPT),
            unsupported=REFUSE if finished else section.choice("unsupported", (REFUSE, DROP), REFUSE),
            files=() if finished else read_files(section),
        )

    def tools(self, definition: Definition) -> Iterable[str]:
        """Those of the system, of its file system, of the seal, and of the initramfs that it brings."""
        yield from self.system.tools(self)
        if not isinstance(self.system, Image):
            yield from FILESYSTEMS[self.filesystem].programs
            yield from () if isinstance(self.system, Tree) and not self.files and not self.kernel else STAGING_TOOLS
        if self.verity:
            yield "veritysetup"
        if self.kernel and definition.boot is not None:
            yield definition.boot.compression

    def mistakes(self, definition: Definition) -> Iterator[tuple[str, str]]:
        """What it is and what the boot chain wants of it, where the two exclude each other."""
        for key, detail in self.system.mistakes(self):
            yield f"{self.name}.{key}", detail
        boot = definition.boot
        if boot is None:
            if self.kernel:
                yield f"{self.name}.kernel", "is true, and there is no section [boot] that says which kernel"
            return
        if boot.verity == REQUIRED and not self.verity:
            detail = (
                f"is false, and boot.verity is {REQUIRED!r}: it would never boot; expected {self.name}.verity = true, or "
                f"boot.verity = {AUTO!r}"
            )
            yield f"{self.name}.verity", detail
        if boot.hand_over == KEXEC and not self.kernel and not isinstance(self.system, Image):
            detail = (
                f"is false, and boot.hand-over is {KEXEC!r}: there would be nothing to start; expected {self.name}.kernel = true, "
                f"or boot.hand-over = {SWITCH_ROOT!r}"
            )
            yield f"{self.name}.kernel", detail

    def payload(self, build: Build, partition: PartitionDefinition) -> Payload:  # noqa: ARG002
        """Its file system with its seal, in the cache."""
        return Payload(self.name, lambda _: self.produce(build)[0])

    def produce(self, build: Build) -> tuple[Path, Facts]:
        """The finished slot, a file in the cache, and what was found out about it.

        Raises NoSystemError, NotKeptError, UnreadableError, and what the packages, the tools and the cache raise.
        """
        folder = build.cache.publish_folder(Path("slots", self._key(build)), lambda new: self._make(build, new))
        return folder / _IMAGE, Facts.from_json((folder / _FACTS).read_text(encoding="utf-8"))

    def _key(self, build: Build) -> str:
        settings = (
            self.version,
            self.filesystem,
            self.compression,
            repr((self.verity, self.kernel, self.owners, self.unsupported)),
        )
        kernel: tuple[str, ...] = ()
        if self.kernel:
            kernel = (kernel_of(build).identity, repr(build.definition.boot))
        what = (self.system.kind, self.system.key(build, self), self.section, build.definition.seed, str(build.epoch))
        return digest_of({}, builder_digest(), *what, *settings, *kernel, digest_of_files(self.files))

    def _make(self, build: Build, folder: Path) -> None:
        with working_folder(folder) as scratch:
            with build.progress.step(f"{self.name}: {self.system.kind}, version {self.version}"):
                own = own_kernel_files(build, scratch) if self.kernel else {}
                files = (*self.files, *(SlotFile(f"/{path}", file) for path, file in own.items()))
                room = scratch / "system"
                room.mkdir()
                source = self.system.source(build, self, files, room)
            image = folder / _IMAGE
            with build.progress.step(f"{self.name}: {self.filesystem}"):
                releases = self._write(build, source, image)
            records = records_of(source)
        root_hash = None
        if self.verity:
            with build.progress.step(f"{self.name}: hash tree"):
                uuid = self._uuid(build)
                root_hash = seal_image(build.runner, image, uuid=uuid, salt=UUID(uuid).bytes).root_hash.hex()
        facts = Facts(releases, root_hash, records)
        (folder / _FACTS).write_text(facts.to_json(), encoding="utf-8")

    def _write(self, build: Build, source: Source | ImageSource, image: Path) -> tuple[str, ...]:
        """Write the file system, and see that everything is in it. The releases of the kernels that it has modules for."""
        stored = FILESYSTEMS[self.filesystem]
        if isinstance(source, ImageSource):
            shutil.copyfile(source.path, image)
            found = stored.read_listing(image)
            return self._looked_at(build, found)
        with ThreadPoolExecutor(1) as pool:
            listed = pool.submit(source.listing)
            try:
                stored.write(
                    build.runner,
                    source,
                    image,
                    uuid=self._uuid(build),
                    compression=self.compression,
                    epoch=build.epoch,
                )
            finally:
                expected = listed.result()  # its errors say more than those of the programs, which meet them, too
        releases = self._looked_at(build, expected)
        held, left_out = stored.without_place(expected)
        if left_out and self.unsupported == REFUSE:
            raise NoPlaceError(self.name, self.filesystem, expected, held)
        if left_out:
            build.progress.note(
                f"{self.name}: {self.filesystem} has no place for attributes of {left_out} files; left out"
            )
        require_same(image, held, stored.read_listing(image))
        return releases

    def _looked_at(self, build: Build, listing: Listing) -> tuple[str, ...]:
        """The releases of the kernels that there are modules for; people are told what only some want. Raises NoSystemError."""
        require_system(self.name, listing)
        for path in machine_ids_in(listing):
            build.progress.note(f"warning: {self.name}: {path} holds the id of one machine, and all would have it")
        return releases_in(listing)

    def _uuid(self, build: Build) -> str:
        what = f"{self.name} {self.version} {digest_of_files(self.files)}"
        return derived_uuid(build.definition.seed, what)
