"""The command is killed before each of its calls of the system, or its disk fails there: machines see the old or the new."""

from __future__ import annotations

import errno
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.update_agent.publish.built import build, image, patched
from tests.update_agent.repository.world import Fast, Killed, Mortal, World
from update_agent.payload.index import DeltaIndex, Index
from update_agent.publish.artifacts import read_artifacts
from update_agent.publish.blobs import UNFINISHED, Blobs
from update_agent.publish.check import Report, check
from update_agent.publish.errors import WriteError
from update_agent.publish.payloads import Payloads
from update_agent.publish.prune import prune
from update_agent.publish.publisher import Publisher
from update_agent.publish.release_maker import ReleaseMaker, Terms
from update_agent.publish.sources import sources
from update_agent.repository.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
OLD = image(1)
NEW = patched(OLD, 2)


@pytest.fixture
def world(disks: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A repository with 1.0, and 1.1 built; images are three segments."""
    monkeypatch.setattr(Index, "SEGMENT", 64 << 10)
    monkeypatch.setattr(DeltaIndex, "SEGMENT", 32 << 10)
    world = World(disks)
    build(disks / "1.0", "1.0", OLD)
    build(disks / "1.1", "1.1", NEW)
    maker(world, Fast()).add(read_artifacts(disks / "1.0"), Terms(["alpha"]))
    return world


@pytest.fixture
def run() -> Iterator[Callable[[int, list[str]], dict[str, Any]]]:
    program = [sys.executable, "-m", "tests.update_agent.publish.killed"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:

        def order(at: int, words: list[str]) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"at": at, "words": words}) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield order
        process.communicate()


def maker(world: World, files: Fast | Mortal) -> ReleaseMaker:
    publisher = Publisher(world.folder, [world.keys], world.hand.clock(), files=files)
    return ReleaseMaker(world.folder, publisher, files=files, clock=world.hand.clock())


def looked_at(world: World) -> Report:
    """What a machine sees, which has to be whole down to the last byte."""
    with sources(world.folder) as source_of:
        report = check(world.folder, world.bootstrap, world.hand.clock(), payloads=Payloads(source_of))
    assert report.problems == ()
    return report


def kept(world: World) -> Callable[[], None]:
    """What puts the repository and the keys back."""
    for source in (world.folder, world.keys):
        shutil.copytree(source, world.place / "kept" / source.name)

    def again() -> None:
        for folder in (world.folder, world.keys):
            shutil.rmtree(folder)
            shutil.copytree(world.place / "kept" / folder.name, folder)

    return again


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["add", "promote", "withdraw", "rotate", "prune"])
def test_killed_before_any_call_machines_see_the_old_or_the_new(
    world: World, run: Callable[[int, list[str]], dict[str, Any]], verb: str
) -> None:
    words = {
        "add": ["add", str(world.folder), str(world.place / "1.1"), "--group", "alpha"],
        "promote": ["promote", str(world.folder), "1.0", "beta"],
        "withdraw": ["withdraw", str(world.folder), "1.0"],
        "rotate": ["rotate", str(world.folder), "targets"],
        "prune": ["prune", str(world.folder), "--keep", "1", "--grace", "0"],
    }[verb]
    words += ["--keys", str(world.keys)]
    if verb == "prune":
        world.hand.pass_days(1)
        maker(world, Fast()).add(read_artifacts(world.place / "1.1"), Terms(["alpha"]))
    old, again = looked_at(world).trusted, kept(world)
    whole = run(0, words)
    assert whole["status"] == 0, whole["said"]
    new, results = looked_at(world).trusted, set()
    # The dates are those of each run.
    for at in range(1, whole["calls"] + 1):
        again()
        assert run(at, words)["status"] == -9
        found = looked_at(world).trusted
        versions = [(one.version, one.groups, len(one.deltas)) for one in found.releases]
        assert versions in [[(one.version, one.groups, len(one.deltas)) for one in two.releases] for two in (old, new)]
        results.add(found.versions["timestamp"] == old.versions["timestamp"])
        if verb == "withdraw" and not found.releases:
            continue
        # The next call takes it up, and leaves nothing half done.
        assert run(0, words)["status"] == 0
        assert [one.version for one in looked_at(world).trusted.releases] == [one.version for one in new.releases]
        assert not (world.folder / "blobs" / UNFINISHED).exists()
    assert results == {True, False}
    assert whole["calls"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_any_call_leaves_the_old_or_the_new(world: World, error: int) -> None:
    update, again, old = read_artifacts(world.place / "1.1"), kept(world), looked_at(world).trusted
    files = Mortal(-1)
    maker(world, files).add(update, Terms(["alpha"]))
    assert files.calls > 30
    refused = 0
    for at in range(files.calls):
        again()
        try:
            maker(world, Mortal(at, error)).add(update, Terms(["alpha"]))
        except WriteError as problem:
            refused += 1
            assert problem.problem == errno.errorcode[error]
        found = looked_at(world).trusted
        if found.releases != old.releases:
            assert [one.version for one in found.releases] == ["1.0", "1.1"]
            assert len(found.releases[1].deltas) == 1
        assert not (world.folder / "blobs" / UNFINISHED).exists() or refused == 0
    # All but the removal of what is not there any more.
    assert refused >= files.calls - 2


def test_everything_is_on_the_disk_before_the_timestamp_names_it(world: World) -> None:
    """Blobs have their names for good, and their content, when the metadata begin."""
    log: list[str] = []

    class Recorded(Fast):
        def fsync(self, descriptor: int) -> None:
            log.append(f"flush {Path(f'/proc/self/fd/{descriptor}').resolve().name}")

        def replace(self, source: Path, target: Path) -> None:
            log.append(f"name {target.name}")
            super().replace(source, target)

    maker(world, Recorded()).add(read_artifacts(world.place / "1.1"), Terms(["alpha"]))
    release = world.machine().refresh().releases[1]
    delta = release.deltas[0]
    for blob in (release.blob, delta.blob):
        place = log.index(f"name {blob}")
        assert log[place - 1] == f"flush {UNFINISHED}"
        assert log[place + 1] == "flush blobs"
        assert place < log.index(f"name {release.index.sha256}.{release.index.name}")


def test_killed_while_it_works_nothing_but_an_unfinished_blob_is_left(world: World) -> None:
    update = read_artifacts(world.place / "1.1")
    with pytest.raises(Killed):
        maker(world, Mortal(3)).add(update, Terms(["alpha"]))
    assert (world.folder / "blobs" / UNFINISHED).exists()
    maker(world, Fast()).add(update, Terms(["alpha"]))
    assert {path.suffix for path in (world.folder / "blobs").iterdir()} == {".frames", ".delta"}


def test_one_at_a_time_adds_or_removes_blobs_and_others_sign_meanwhile(world: World) -> None:
    update, clock = read_artifacts(world.place / "1.1"), world.hand.clock()
    with Blobs(world.folder, Fast(), clock, 0).locked():
        with pytest.raises(BusyError, match="for 3 s"):
            ReleaseMaker(world.folder, world.publisher, clock=clock, wait=3).add(update, Terms(["alpha"]))
        with pytest.raises(BusyError, match="for 3 s"):
            prune(world.folder, clock=clock, wait=3)
        world.publisher.promote("os", "1.0", "beta")
    assert looked_at(world).trusted.releases[0].groups == ("alpha", "beta")


def test_no_room_for_the_old_image_leaves_the_old_repository(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("update_agent.publish.old_image.TemporaryFile", lambda **_: Full())
    with pytest.raises(WriteError, match="no room for the image of an older release: No space left"):
        maker(world, Fast()).add(read_artifacts(world.place / "1.1"), Terms(["alpha"]))
    assert [release.version for release in looked_at(world).trusted.releases] == ["1.0"]
