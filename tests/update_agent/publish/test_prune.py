"""What no machine can ask for any more goes, when its grace is over, and nothing else does."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.publish.built import answer, build, contents, image, patched, publish
from tests.update_agent.repository.world import Fast, Killed, Mortal, World
from tests.update_agent.updates import refusal, updatectl
from update_agent.publish.artifacts import read_artifacts
from update_agent.publish.blobs import UNFINISHED
from update_agent.publish.check import check
from update_agent.publish.errors import DamagedError, UnknownPastError
from update_agent.publish.payloads import Payloads
from update_agent.publish.prune import GRACE, Pruned, prune
from update_agent.publish.publisher import Publisher
from update_agent.publish.release_maker import ReleaseMaker, Terms
from update_agent.publish.sources import sources

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = timedelta(0)


def add(world: World, version: str, content: bytes, *groups: str) -> None:
    publisher = Publisher(world.folder, [world.keys], world.hand.clock(), files=Fast())
    maker = ReleaseMaker(world.folder, publisher, files=Fast(), clock=world.hand.clock())
    folder, before = build(world.place / f"out-{version}", version, content), {*world.folder.rglob("*.*")}
    maker.add(read_artifacts(folder), Terms(groups or ["alpha"]))
    # Files are as old as the clock says.
    for path in {*world.folder.rglob("*.*")} - before:
        os.utime(path, (world.hand.date.timestamp(),) * 2)


@pytest.fixture
def world(disks: Path) -> World:
    """1.0, 1.1 and 1.2, a day between them; they have deltas."""
    world = World(disks)
    for number in range(3):
        add(world, f"1.{number}", patched(image(1), number))
        world.hand.pass_days(1)
    return world


def pruned(world: World, grace: timedelta = GRACE, *, dry_run: bool = False) -> Pruned:
    return prune(world.folder, grace=grace, dry_run=dry_run, clock=world.hand.clock(), files=Fast())


def whole(world: World) -> list[str]:
    with sources(world.folder) as source_of:
        report = check(world.folder, world.bootstrap, world.hand.clock(), payloads=Payloads(source_of))
    assert report.problems == ()
    return [release.version for release in report.trusted.releases]


def test_where_nothing_was_withdrawn_nothing_goes(world: World) -> None:
    before = contents(world.folder)
    world.hand.pass_days(100)
    for grace in (NOTHING, GRACE):
        assert pruned(world, grace) == Pruned((), 0, ())
    assert contents(world.folder) == before


def test_a_release_that_was_withdrawn_goes_when_its_grace_is_over(world: World) -> None:
    before = contents(world.folder)
    release = world.machine().refresh().releases[1]
    names = {f"blobs/{release.blob}", f"targets/{release.index.sha256}.{release.index.name}"}
    for delta in release.deltas:
        names |= {f"blobs/{delta.blob}", f"targets/{delta.index.sha256}.{delta.index.name}"}
    world.publisher.withdraw("os", "1.1")
    for days in (0, 7, 6.9):
        world.hand.pass_days(days)
        world.publisher.refresh()
        found = pruned(world)
        assert (found.files, set(found.later)) == ((), names)
    world.hand.pass_days(0.2)
    world.publisher.refresh()
    assert set(pruned(world).files) == names
    assert set(before) - set(contents(world.folder)) == names
    assert whole(world) == ["1.0", "1.2"]
    # And deltas from it stay: machines run it.
    assert {delta.from_version for delta in world.machine().refresh().releases[1].deltas} == {"1.0", "1.1"}
    assert pruned(world) == Pruned((), 0, ())


def test_a_release_that_is_added_and_withdrawn_within_the_grace_stays(world: World) -> None:
    world.hand.pass_days(100)
    world.publisher.refresh()
    add(world, "2.0", image(9))
    world.hand.pass_days(1)
    world.publisher.withdraw("os", "2.0")
    world.publisher.promote("os", "1.0", "beta")
    assert len(pruned(world).later) == 2
    world.hand.pass_days(14)
    world.publisher.refresh()
    assert len(pruned(world).files) == 2


def test_a_blob_that_was_laid_there_for_a_release_that_is_signed_later_stays(world: World) -> None:
    blob = world.folder / "blobs" / f"{'a' * 64}.frames"
    blob.write_bytes(b"of tomorrow")
    seconds = world.hand.date.timestamp()
    os.utime(blob, (seconds, seconds))
    assert pruned(world).later == (f"blobs/{blob.name}",)
    world.hand.pass_days(15)
    assert pruned(world).files == (f"blobs/{blob.name}",)


def test_what_publishers_did_not_make_and_metadata_stay(world: World) -> None:
    kept = [
        "blobs/README",
        "blobs/a.frames",
        "targets/index.html",
        f"blobs/{'b' * 64}.frames.txt",
        "metadata/7.root.json.bak",
    ]
    for name in kept:
        (world.folder / name).write_bytes(b"x")
    (world.folder / "blobs" / f"{'c' * 64}.frames").symlink_to("README")
    (world.folder / "blobs" / f"{'d' * 64}.frames").mkdir()
    gone = [
        f"blobs/{'e' * 64}.delta",
        f"blobs/{UNFINISHED}",
        f"targets/{'f' * 64}.os_7_usr.index",
        f"targets/.{'f' * 64}.os_7_usr.index.new",
    ]
    for name in gone:
        (world.folder / name).write_bytes(b"12345")
    world.publisher.rotate("root")
    before = contents(world.folder)
    world.hand.pass_days(4000)
    found = pruned(world)
    assert (set(found.files), found.size) == (set(gone), 20)
    assert set(before) - set(contents(world.folder)) == set(gone)
    assert (world.folder / "blobs" / f"{'c' * 64}.frames").is_symlink()


def test_where_nobody_knows_the_past_nothing_goes(world: World) -> None:
    world.publisher.withdraw("os", "1.1")
    last = max(world.folder.glob("metadata/*.targets.json"))
    path = world.metadata(f"{int(last.name.partition('.')[0]) - 1}.targets.json")
    data = path.read_bytes()
    for damaged in (b"{", world.metadata("1.root.json").read_bytes(), None):
        if damaged is None:
            path.unlink()
        else:
            path.write_bytes(damaged)
        with pytest.raises(UnknownPastError, match="nothing was removed"):
            pruned(world)
    path.write_bytes(data)
    assert len(pruned(world, NOTHING).files) == 4
    last.write_bytes(data)
    with pytest.raises(DamagedError):
        pruned(world, NOTHING)


def test_a_dry_run_says_the_same_and_removes_nothing(world: World) -> None:
    world.publisher.withdraw("os", "1.1")
    before = contents(world.folder)
    said = pruned(world, NOTHING, dry_run=True)
    assert len(said.files) == 4
    assert contents(world.folder) == before
    assert pruned(world, NOTHING) == said


def test_killed_at_any_removal_all_that_is_named_is_there(world: World) -> None:
    world.publisher.withdraw("os", "1.1")
    kept = world.place / "kept"
    shutil.copytree(world.folder, kept)
    for at in range(4):
        shutil.rmtree(world.folder)
        shutil.copytree(kept, world.folder)
        with pytest.raises(Killed):
            prune(world.folder, grace=NOTHING, clock=world.hand.clock(), files=Mortal(at))
        assert whole(world) == ["1.0", "1.2"]
        assert len(pruned(world, NOTHING).files) == 4 - at


# By the command


@pytest.fixture
def commanded(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The command has the clock of the repository."""
    for module in ("publisher", "prune"):
        monkeypatch.setattr(f"update_agent.publish.{module}.Clock", world.hand.clock)
    return world


def test_keep_withdraws_what_no_group_needs_and_removes_it(commanded: World) -> None:
    world = commanded
    world.publisher.promote("os", "1.0", "stable")
    add(world, "1.3", patched(image(1), 3), "beta")
    words = ["prune", world.folder, "--keep", "1", "--grace", "0"]
    before = contents(world.folder)
    assert "sign targets" in refusal(updatectl("publish", *words))
    said = answer(*words, "--dry-run")
    assert [one["version"] for one in said["withdrawn"]] == ["1.1"]
    assert contents(world.folder) == before
    told = answer(*words, "--keys", world.keys)
    assert told["removed"] == said["removed"]
    assert (len(told["removed"]), told["bytes"]) == (4, said["bytes"])
    # stable's newest is 1.0, alpha's 1.2, beta's 1.3.
    assert whole(world) == ["1.0", "1.2", "1.3"]
    assert answer(*words, "--keys", world.keys)["withdrawn"] == []


def test_a_release_for_nobody_is_surplus(commanded: World) -> None:
    world = commanded
    world.publisher.withdraw("os", "1.2", "alpha")
    publish("prune", world.folder, "--keep", "5", "--keys", world.keys)
    assert whole(world) == ["1.0", "1.1"]


def test_what_is_printed(commanded: World) -> None:
    world = commanded
    world.publisher.withdraw("os", "1.1")
    text = publish("prune", world.folder, "--grace", "0", "--dry-run").stdout
    assert [line.partition(":")[0] for line in text.splitlines()[:-1]] == ["would be removed"] * 4
    assert text.splitlines()[-1].startswith("4 files, ")
    assert text.splitlines()[-1].endswith(" would be removed")
    assert publish("prune", world.folder).stdout == "0 files, 0 bytes removed; 4 more when their grace is over\n"
    assert publish("prune", world.folder, "--grace", "0").stdout.count("\nremoved: ") == 3
