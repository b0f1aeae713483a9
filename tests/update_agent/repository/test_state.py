"""The machine's state folder: kills, full disks, damage, and others who want it at the same time."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from tuf.ngclient.updater import Updater

from tests.update_agent.repository.world import Fast, Killed, Mortal
from update_agent.repository.client import Client
from update_agent.repository.clock import Clock
from update_agent.repository.errors import BusyError, StateError
from update_agent.repository.files import Files, link, locked, store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.repository.serving import Server
    from tests.update_agent.repository.world import World
    from update_agent.repository.repository import Repository

FILES = ["root.json", "root_history", "snapshot.json", "targets.json", "timestamp.json"]


def versions(machine: Repository) -> list[str]:
    return [release.version for release in machine.refresh().releases]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_overridden_is_what_tuf_calls() -> None:
    """A new version with other names would write without flushing, and nobody would notice."""
    for name in ("_persist_file", "_update_root_symlink"):
        ours, theirs = inspect.signature(getattr(Client, name)), inspect.signature(getattr(Updater, name))
        assert list(ours.parameters) == list(theirs.parameters)
        source = inspect.getsource(Updater)
        assert f"self.{name}(" in source
    assert "os.replace" not in inspect.getsource(Updater).replace(inspect.getsource(Updater._persist_file), "")


def test_a_wiped_state_is_made_again_from_the_first_root(world: World, server: Server) -> None:
    world.publish("1.0")
    world.publisher.rotate("root")
    world.publisher.rotate("targets")
    machine = world.machine(server.url)
    assert versions(machine) == ["1.0"]
    state = world.place / "state"
    assert names(state) == FILES
    shutil.rmtree(state)
    server.requests.clear()
    assert versions(machine) == ["1.0"]
    assert server.asked[:4] == ["2.root.json", "3.root.json", "4.root.json", "5.root.json"]
    assert names(state) == FILES


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 4096, None])
@pytest.mark.parametrize(
    "name",
    [
        "root.json",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
        "root_history/2.root.json",
        "root_history/1.root.json",
    ],
)
def test_damage_to_any_file_is_repaired_from_the_repository(
    world: World, server: Server, name: str, damage: bytes | None
) -> None:
    world.publish("1.0")
    world.publisher.rotate("root")
    machine = world.machine(server.url)
    trusted = machine.refresh()
    path = world.place / "state" / name
    whole = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert machine.refresh() == trusted
    assert path.read_bytes() == whole


def explore(world: World, url: str, act: Callable[[Files], object], error: int | None) -> int:
    """``act``, ended at each of its calls in turn; returns how many there were. ``act`` begins from the same state each time."""
    for at in range(1000):
        files = Mortal(at, error)
        try:
            act(files)
        except (Killed, StateError):
            assert versions(world.machine(url)) == ["1.0", "1.1"]
            assert names(world.place / "state") in (FILES, sorted([*FILES, *left(world)]))
        else:
            return files.calls
    raise AssertionError("it does not end")


def left(world: World) -> list[str]:
    """What a kill leaves beside the files, until that file is written the next time."""
    return [path.name for path in (world.place / "state").iterdir() if path.name.endswith(".new")]


@pytest.mark.slow
@pytest.mark.parametrize("error", [None, errno.ENOSPC])
@pytest.mark.parametrize("kind", ["first", "next"])
def test_a_kill_or_a_full_disk_at_any_write_costs_nothing_but_another_refresh(
    world: World, server: Server, kind: str, error: int | None
) -> None:
    world.publish("1.0")
    state, before = world.place / "state", world.place / "before"
    if kind == "next":
        world.machine(server.url).refresh()
    else:
        state.mkdir()
    shutil.copytree(state, before, symlinks=True)
    world.publisher.rotate("snapshot")
    world.publish("1.1")

    def act(files: Files) -> None:
        shutil.rmtree(state)
        shutil.copytree(before, state, symlinks=True)
        world.machine(server.url, files=files).refresh()

    assert explore(world, server.url, act, error) > 20


def test_a_full_disk_is_said_in_one_line(world: World) -> None:
    with pytest.raises(StateError, match="the repository's state cannot be kept: ENOSPC") as caught:
        world.machine(files=Mortal(4, errno.ENOSPC)).refresh()
    assert "\n" not in str(caught.value)


def test_a_state_folder_that_cannot_be_made_is_said(world: World) -> None:
    (world.place / "file").write_text("")
    with pytest.raises(StateError):
        world.machine(state="file/state").refresh()


def test_every_file_is_flushed_before_it_has_its_name_and_its_folder_after(world: World) -> None:
    events: list[tuple[str, str]] = []

    class Recorded(Files):
        def fsync(self, descriptor: int) -> None:
            events.append(("flush", os.path.realpath(f"/proc/self/fd/{descriptor}")))

        def replace(self, source: Path, target: Path) -> None:
            if not source.is_symlink():
                assert ("flush", str(source.resolve())) in events
            super().replace(source, target)
            events.append(("name", str(target.absolute())))

    world.publisher.rotate("root")
    world.machine(files=Recorded()).refresh()
    named = [(place, path) for place, (what, path) in enumerate(events) if what == "name"]
    assert len(named) == 7  # two roots, root.json twice, three others
    for place, path in named:
        assert ("flush", os.path.realpath(os.path.dirname(path))) in events[place:]  # noqa: PTH120


def test_two_refreshes_at_once_wait_for_each_other(world: World, server: Server) -> None:
    world.publish("1.0")
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(versions(world.machine(server.url, clock=None)))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [["1.0"]] * 6
    # The first one fetches all of it, the others find it there.
    assert server.asked.count("2.targets.json") == 1
    assert names(world.place / "state") == FILES


def test_a_lock_that_another_process_holds_ends_with_it(world: World) -> None:
    machine, state = world.machine(wait=5), world.place / "state"
    state.mkdir()
    program = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", program, str(state)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(BusyError, match="another process has been at work on it for 5 s"):
            machine.refresh()
        assert sum(world.hand.slept) == pytest.approx(5, abs=0.2)
        assert list(state.iterdir()) == []
        holder.kill()
        holder.wait()
        assert machine.refresh().versions["root"] == 1


def test_a_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(tmp_path, 0, Clock()):
            raise ZeroDivisionError


def test_what_a_kill_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / ".file.new").write_bytes(b"x" * 100)
    store(Fast(), path, b"new", 0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
    link(Fast(), tmp_path / "link", "file")
    link(Fast(), tmp_path / "link", "other")
    assert (tmp_path / "link").readlink().name == "other"


def test_a_link_that_someone_laid_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / ".file.new").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="Too many levels"):
        store(Fast(), tmp_path / "file", b"new")
    assert not (tmp_path / "victim").exists()


def test_ed25519_needs_no_cryptography_on_the_machine(world: World) -> None:
    world.publish("1.0")
    program = f"""
import sys
sys.modules["cryptography"] = None
from datetime import datetime, UTC
from pathlib import Path
from update_agent.repository.clock import Clock
from update_agent.repository.folder import FolderFetcher
from update_agent.repository.repository import Repository
folder = Path({str(world.folder)!r})
now = datetime(2026, 12, 1, 13, tzinfo=UTC)
machine = Repository(folder.as_uri(), Path({str(world.place / "bare")!r}), (folder / "metadata/1.root.json").read_bytes(),
                     FolderFetcher(folder), floor=now, clock=Clock(now=lambda: now))
print([release.version for release in machine.refresh().releases])
assert not [name for name in sys.modules if name.startswith("update_agent.publish")]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['1.0']\n", "")
