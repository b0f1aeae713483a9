"""A machine in a file: a disk with two slots, the real selector, the real agent, and a repository that it looks at."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bootselect.policy import DEFAULT_POLICY, choose
from bootselect.selection import select
from bootselect.slot_disk import SlotDisk
from gptlib import type_guid
from gptlib.disk import Disk
from tests.update_agent.published import LAYOUT, disk_with, image
from tests.update_agent.repository.world import FLOOR, Fast, Hand
from tests.update_agent.updates import A, B
from update_agent.agent.online import selector_of
from update_agent.agent.rebooting import PLAIN
from update_agent.agent.session import session_of
from update_agent.agent.tick import tick
from update_agent.agent.world import World
from update_agent.config.settings import Settings
from update_agent.payload import delta as differences
from update_agent.payload.frames import write_frames
from update_agent.publish.publisher import Publisher
from update_agent.repository.open import open_repository
from update_agent.repository.release import delta_name
from update_agent.state.resume import BootFacts
from update_agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from update_agent.agent.session import Session
    from update_agent.agent.shelf import Shelf
    from update_agent.reboot.inhibitors import Inhibitor
    from update_agent.repository.release import Release
    from update_agent.repository.repository import Repository
    from update_agent.state.files import Files
    from update_agent.state.machine import Machine
    from update_agent.transport.source import Source

NAME, SLOT_TYPE = "os", "coreos-usr"
SIZE = 3 << 20
POLICY = DEFAULT_POLICY


def system(version: str, size: int = SIZE) -> bytes:
    """A slot image that says which version it is. Versions differ here and there, not everywhere."""
    whole = bytearray(image(7, size))
    whole[:32] = f"VERSION={version}\n".encode().ljust(32, b"\0")
    for place in range(1 << 18, size, 1 << 20):
        whole[place : place + 8] = version.encode().ljust(8, b"\0")
    return bytes(whole)


class Repo:
    """A repository in a folder, and who publishes in it."""

    def __init__(self, place: Path, hand: Hand) -> None:
        self.folder, self.keys = place / "repository", place / "keys"
        self.publisher = Publisher(self.folder, [self.keys], hand.clock(), files=Fast())
        self.publisher.init()
        self.root = (self.folder / "metadata/1.root.json").read_bytes()

    def publish(self, version: str, *, since: str | None = None, group: str = "stable", **more: object) -> Release:
        """A release, with the difference to the version ``since``."""
        content, blob, second = system(version), io.BytesIO(), io.BytesIO()
        made = write_frames(io.BytesIO(content), blob, level=1)
        deltas, entries = {}, []
        if since is not None:
            difference = differences.make(io.BytesIO(system(since)), io.BytesIO(content), second)
            target = delta_name(NAME, since, version, "usr")
            deltas[target] = difference.index.encode()
            entries.append(
                {
                    "from-version": since,
                    "from-sha256": difference.index.from_sha256,
                    "target": target,
                    "blob": f"{difference.blob_sha256}.delta",
                    "compressed": difference.blob_size,
                }
            )
            (self.folder / "blobs" / f"{difference.blob_sha256}.delta").write_bytes(second.getvalue())
        (self.folder / "blobs" / f"{made.blob_sha256}.frames").write_bytes(blob.getvalue())
        block = {
            "name": NAME,
            "version": version,
            "slot": "usr",
            "slot-type": SLOT_TYPE,
            "groups": [group],
            "size": made.index.size,
            "sha256": made.index.sha256,
            "blob": f"{made.blob_sha256}.frames",
            "compressed": made.blob_size,
            "kernel-releases": [],
            "own-kernel": False,
            "root-hash": None,
            "minimum-version": None,
            "deltas": entries,
            **more,
        }
        return self.publisher.add_release(made.index.encode(), block, deltas)


class Noted:
    """A repository; ``asked`` are the blobs that were opened."""

    def __init__(self, repository: Repository, asked: list[str]) -> None:
        self._repository, self._asked = repository, asked
        self.refresh, self.read = repository.refresh, repository.read

    def open_blob(self, name: str) -> Source:
        self._asked.append(name)
        return self._repository.open_blob(name)


class Box:
    """One machine. ``running`` is the number of the slot that it runs from; ``broken`` versions never prove themselves."""

    def __init__(self, place: Path, repo: Repo, hand: Hand, first: str = "1.0", **settings: object) -> None:
        self.place, self.repo, self.hand = place, repo, hand
        self.disk, self.boots, self.running = place / "disk", 1, A
        disk_with(self.disk, system(first))
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self.rebooting = False
        self.told: list[str] = []
        self.seen: list[Machine] = []
        plain = Settings(state_folder=str(place / "state"), reboot_strategy="reboot", repository=str(repo.folder))
        self.settings = replace(plain, **settings)  # type: ignore[arg-type]
        self.files: Files | None = None
        self.reboots = PLAIN
        self.held: tuple[Inhibitor, ...] = ()

    def fill(self, version: str) -> None:
        """The passive slot holds an older version, which has proved itself: 2/0/1 and 1/0/1."""
        content = system(version)
        with self.disk.open("r+b") as file:
            file.seek(LAYOUT.bytes_of(B).start)
            file.write(content)
        with Disk.open(self.disk, write=True) as disk:
            table = disk.table().with_slot(A, priority=2, tries=0, successful=True)
            disk.write(table.with_slot(B, priority=1, tries=0, successful=True))

    @property
    def found(self) -> SlotDisk:
        found = SlotDisk(str(self.disk), type_guid(SLOT_TYPE))
        found.__dict__["running"] = (self.running,)
        return found

    def version_in(self, number: int) -> str:
        with self.disk.open("rb") as file:
            file.seek(LAYOUT.bytes_of(number).start)
            return file.read(32).rstrip(b"\0").decode(errors="replace").removeprefix("VERSION=").strip()

    @property
    def version(self) -> str:
        """Of the running system."""
        return self.version_in(self.running)

    def facts(self) -> BootFacts:
        found = self.found
        with Disk.open(found.path) as disk:
            table = disk.table()
        slots = found.slots(table)
        choice = choose(POLICY, slots)
        names = {slot.number: table.partition(slot.number).unique_guid.text for slot in slots}
        running = names[self.running]
        return BootFacts(
            f"boot-{self.boots}",
            running,
            {names[slot.number]: slot.attributes for slot in slots},
            names[choice.number] if choice else None,
            {running: self.version},
        )

    @contextmanager
    def shelf(self) -> Iterator[Shelf]:
        with open_repository(
            self.settings,
            self.repo.root,
            self.place / "tuf",
            FLOOR,
            clock=self.hand.clock(),
            files=Fast(),
            tell=self.told.append,
        ) as repository:
            yield Noted(repository, self.asked)

    def reboot(self) -> None:
        self.rebooting = True

    @property
    def world(self) -> World:
        world = World(
            self.settings, self.found, NAME, "machine", None, self.facts, self.shelf, self.reboot, self.hand.clock()
        )
        if not self.settings.selected:
            return world
        return replace(world, selector=selector_of(self.settings, world, self.told.append))

    @contextmanager
    def session(self) -> Iterator[Session]:
        with session_of(self.world, [self.seen.append], self.told.append, self.files) as session:
            yield session

    def tick(self, *, due: bool = True) -> float | None:
        with self.session() as session:
            return tick(session, self.reboots, due=due)

    def boot(self) -> None:
        """Power off and on, as often as a healthy system or a dead one does, until one runs for good or is to be proved."""
        self.rebooting = False
        while True:
            self.boots += 1
            with Disk.open(self.disk, write=True) as disk:
                self.running = select(disk, POLICY, type_guid(SLOT_TYPE)).number
            if self.version not in self.broken:
                return

    def prove(self) -> None:
        """What ``bootselect mark-good`` does."""
        with Disk.open(self.disk, write=True) as disk:
            disk.write(disk.table().with_slot(self.running, tries=0, successful=True))

    def live(self, limit: int = 20) -> None:
        """Tick, boot and prove until nothing is left to do."""
        for _ in range(limit):
            state = self.machine.state
            self.tick()
            if self.rebooting:
                self.boot()
            elif self.machine.state == "proving":
                self.prove()
            elif self.machine.state == state == "idle":
                return
        raise AssertionError(f"no end: {self.machine}")

    @property
    def machine(self) -> Machine:
        return Store(self.settings.state_folder).load(self.hand.date)

    @property
    def state(self) -> str:
        return str(self.machine.state)

    def attributes(self) -> dict[str, str]:
        """Of both slots, by the version that is in them."""
        with Disk.open(self.disk) as disk:
            table = disk.table()
        return {self.version_in(number): table.partition(number).attributes.short for number in (A, B)}

    def later(self, **delta: float) -> datetime:
        self.hand.date += timedelta(**delta)
        return self.hand.date
