"""A publisher that is killed at any write, or whose disk is full, leaves the old or the new repository."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from operator import methodcaller
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.repository.world import Killed, Mortal, World, block
from update_agent.errors import UpdateError
from update_agent.publish.check import check
from update_agent.publish.errors import AlreadyThereError, KeyFileError, WriteError
from update_agent.publish.publisher import Publisher
from update_agent.repository.errors import AbsentError, BusyError
from update_agent.repository.files import Files, locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from update_agent.repository.repository import Trusted

    Act = Callable[[Publisher], object]

ACTS: dict[str, Act] = {
    "add": lambda publisher: publisher.add_release(b"index of 1.1", block(b"frames of 1.1", "1.1")),
    "promote": lambda publisher: publisher.promote("os", "1.0", "stable"),
    "withdraw": lambda publisher: publisher.withdraw("os", "1.0"),
    "refresh": lambda publisher: publisher.refresh(),
    **{f"rotate {role}": methodcaller("rotate", role) for role in ("root", "targets", "snapshot", "timestamp")},
    "rotate a lost key": methodcaller("rotate", "snapshot"),
    "revoke": lambda publisher: publisher.revoke(publisher.keys()["root"][2]),
}


def seen(world: World, state: str) -> Trusted:
    return world.machine(state=state).refresh()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "error"), [*((name, None) for name in ACTS), ("add", errno.ENOSPC), ("rotate timestamp", errno.EIO)]
)
def test_killed_at_any_write_readers_see_the_old_or_the_new(world: World, name: str, error: int | None) -> None:
    world.publish("1.0")
    (world.folder / "blobs" / block(b"frames of 1.1")["blob"]).write_bytes(b"frames of 1.1")
    world.hand.pass_days(1)
    if name == "rotate a lost key":
        (world.keys / "snapshot-1.pem").unlink()
    old = seen(world, "machine")
    kept = world.place / "kept"
    for source in (world.folder, world.keys):
        shutil.copytree(source, kept / source.name)

    def again() -> None:
        for folder in (world.folder, world.keys):
            shutil.rmtree(folder)
            shutil.copytree(kept / folder.name, folder)

    def publisher(files: Files) -> Publisher:
        return Publisher(world.folder, [world.keys], world.hand.clock(), files=files)

    files = Mortal(-1)
    ACTS[name](publisher(files))
    new = seen(world, "new")
    results = set()
    for at in range(files.calls):
        again()
        with pytest.raises((Killed, WriteError, KeyFileError)):
            ACTS[name](publisher(Mortal(at, error)))
        # A machine that was there before, and one that never was.
        shutil.copytree(world.place / "machine", world.place / f"before-{at}", symlinks=True)
        report = check(world.folder, world.bootstrap, world.hand.clock())
        assert report.problems == ()
        for trusted in (seen(world, f"before-{at}"), report.trusted):
            assert trusted.releases in (old.releases, new.releases)
            results.add(trusted.releases == new.releases and trusted.versions["timestamp"] == new.versions["timestamp"])
        # And the next one takes it up where it is.
        if name == "withdraw" and report.trusted.releases == ():
            continue
        if name == "revoke":
            publisher(Mortal(-1)).refresh()
            continue
        ACTS[name](publisher(Mortal(-1)))
        assert seen(world, f"before-{at}").releases == new.releases
    assert files.calls >= 5
    assert results == {True, False} or name in {"rotate root", "revoke"}


@pytest.mark.slow
def test_killed_at_any_write_of_init_it_is_taken_up_again(tmp_path: Path) -> None:
    for at in range(1000):
        place = tmp_path / str(at)
        files = Mortal(at)

        def publisher(files: Files, place: Path = place) -> Publisher:
            return Publisher(place / "repository", [place / "keys"], files=files)

        try:
            publisher(files).init()
        except Killed:
            if (place / "repository").is_dir():
                try:
                    assert check(place / "repository").trusted.releases == ()
                except AbsentError:
                    publisher(Mortal(-1)).init()
                else:
                    with pytest.raises(AlreadyThereError):
                        publisher(Mortal(-1)).init()
            else:
                publisher(Mortal(-1)).init()
            assert check(place / "repository").problems == ()
            assert len(list((place / "keys").glob("*.pem"))) == 6
        else:
            break
    assert at > 30


def test_everything_is_on_the_disk_before_the_timestamp_or_a_root_has_its_name(world: World) -> None:
    flushed: set[str] = set()
    named: list[str] = []

    class Recorded(Files):
        def fsync(self, descriptor: int) -> None:
            flushed.add(os.path.realpath(f"/proc/self/fd/{descriptor}"))

        def replace(self, source: Path, target: Path) -> None:
            assert str(source.resolve()) in flushed, "a name for what may be lost"
            if target.name == "timestamp.json" or target.name.endswith("root.json"):
                assert all(str(folder.resolve()) in flushed for folder in waiting), "a name that may be lost"
                waiting.clear()
            super().replace(source, target)
            flushed.discard(str(target.parent.resolve()))
            waiting.append(target.parent)
            named.append(target.name.rpartition("_")[2])

    waiting: list[Path] = []
    (world.folder / "blobs" / block()["blob"]).write_bytes(b"frames")
    publisher = Publisher(world.folder, [world.keys], world.hand.clock(), files=Recorded())
    publisher.add_release(b"index", block())
    assert named == ["usr.index", "2.targets.json", "2.snapshot.json", "timestamp.json"]
    named.clear()
    publisher.rotate("targets")
    assert named == [
        "targets-2.pem",
        "2.root.json",
        "3.targets.json",
        "3.snapshot.json",
        "timestamp.json",
        "3.root.json",
    ]
    assert all(str(folder.resolve()) in flushed for folder in waiting)


def test_two_publishers_exclude_each_other(world: World) -> None:
    impatient = Publisher(world.folder, [world.keys], world.hand.clock(), wait=3)
    with locked(world.folder, 0, world.hand.clock()):
        for act in ACTS.values():
            with pytest.raises(BusyError, match="for 3 s"):
                act(impatient)


def test_what_several_publishers_add_at_once_is_all_there(world: World) -> None:
    for number in range(6):
        content = f"frames of {number}".encode()
        (world.folder / "blobs" / block(content)["blob"]).write_bytes(content)
    errors: list[UpdateError] = []

    def add(number: int) -> None:
        publisher = Publisher(world.folder, [world.keys])
        try:
            publisher.add_release(b"index", block(f"frames of {number}".encode(), str(number)))
        except UpdateError as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert [release.version for release in world.publisher.releases()] == ["0", "1", "2", "3", "4", "5"]
