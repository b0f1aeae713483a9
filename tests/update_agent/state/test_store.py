"""The state on the disk of this machine: it comes back, one process writes it, and damage loses no bad version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.state.machines import BAD, LATER, NOW, B, event, machine_in
from update_agent.state.errors import (
    StateBusyError,
    StateDamagedError,
    StateNewerError,
    StateReadError,
    StateWriteError,
)
from update_agent.state.machine import Machine, advance, forget
from update_agent.state.store import Store
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from pathlib import Path

H = Happening


def save(store: Store, machine: Machine) -> None:
    with store.claim() as writer:
        writer.save(machine)


def test_a_machine_without_a_state_is_idle(tmp_path: Path) -> None:
    assert Store(tmp_path / "none").load(NOW) == Machine(since=NOW)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("state", State)
def test_what_is_saved_is_loaded(tmp_path: Path, state: State) -> None:
    store, machine = Store(tmp_path / "var/lib/slotboot"), machine_in(state, BAD)
    save(store, Machine(since=NOW))
    save(store, machine)
    assert store.load(LATER) == machine
    assert store.load_or_start_over(LATER) == (machine, "")
    assert sorted(path.name for path in (tmp_path / "var/lib/slotboot").iterdir()) == [
        "lock",
        "state.json",
        "verdicts.json",
    ]


def test_everybody_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save(Store(tmp_path / "state"), machine_in(State.ARMED))
    finally:
        os.umask(before)
    assert oct((tmp_path / "state/state.json").stat().st_mode & 0o777) == "0o644"


def test_two_processes_do_not_write_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from update_agent.state.store import Store\n"
        "with Store(sys.argv[1]).claim(): print('mine', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(StateBusyError, match="another updatectl is at work"), Store(tmp_path).claim():
            pass
        other.kill()
        other.wait()
    with Store(tmp_path).claim() as writer:  # a lock ends with its holder
        writer.save(machine_in(State.CHECKING))


def test_a_damaged_state_is_an_error_that_says_what_is_wrong(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, machine_in(State.ARMED, BAD))
    (tmp_path / "state.json").write_bytes(b"\0" * 100)
    with pytest.raises(StateDamagedError, match=r"state\.json: the state of the agent is damaged: it is not JSON"):
        store.load(NOW)
    assert (tmp_path / "state.json").read_bytes() == b"\0" * 100


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b'{"format": 2}', b"{"])
def test_whoever_starts_over_keeps_the_bad_versions_and_the_one_on_trial(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    save(store, machine_in(State.PROVING, BAD))
    (tmp_path / "state.json").write_bytes(content)
    machine, problem = store.load_or_start_over(LATER)
    assert (machine.state, machine.version, machine.slot, machine.bad) == (State.INSTALLING, "1.1", B, (BAD,))
    assert problem.startswith(f"{tmp_path}/state.json: ")


def test_a_state_of_a_newer_version_that_was_rolled_back_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"format": 2}')
    with pytest.raises(StateNewerError, match="has the format 2, this program knows 1"):
        Store(tmp_path).load(NOW)


def test_a_state_that_was_deleted_alone_leaves_the_bad_versions(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, machine_in(State.IDLE, BAD))
    (tmp_path / "state.json").unlink()
    assert store.load(NOW) == Machine(since=NOW, bad=(BAD,))


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"format": 1, "bad": 3, "trial": null}', b'{"format": 7}'])
def test_damaged_verdicts_alone_lose_nothing_and_are_written_again(tmp_path: Path, content: bytes) -> None:
    store, machine = Store(tmp_path), machine_in(State.ARMED, BAD)
    save(store, machine)
    (tmp_path / "verdicts.json").write_bytes(content)
    assert store.load(NOW) == machine
    save(store, machine)
    assert json.loads((tmp_path / "verdicts.json").read_text())["trial"] == {"version": "1.1", "slot": B}


def test_with_both_files_damaged_it_starts_from_nothing_and_says_so(tmp_path: Path) -> None:
    for name in ("state.json", "verdicts.json"):
        (tmp_path / name).write_text("nonsense")
    machine, problem = Store(tmp_path).load_or_start_over(NOW)
    assert machine == Machine(since=NOW)
    assert f"{tmp_path}/state.json: " in problem
    assert f"{tmp_path}/verdicts.json: " in problem


def test_a_version_that_is_bad_by_one_file_alone_is_bad(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, advance(machine_in(State.REBOOTING, BAD), event(H.ROLL_BACK)))
    older = machine_in(State.REBOOTING)
    other = Store(tmp_path / "other")
    save(other, older)
    (tmp_path / "state.json").write_bytes((tmp_path / "other/state.json").read_bytes())
    assert [bad.version for bad in store.load(NOW).bad] == ["1.0", "1.1"]
    assert store.load(NOW).state is State.REBOOTING


def test_what_is_forgotten_is_in_neither_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, machine_in(State.IDLE, BAD))
    save(store, forget(store.load(NOW), "1.0"))
    assert store.load(NOW).bad == ()
    (tmp_path / "state.json").unlink()
    assert store.load(NOW).bad == ()


def test_the_verdicts_are_not_written_where_they_stay_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, machine_in(State.IDLE, BAD))
    before = (tmp_path / "verdicts.json").stat().st_ino
    save(store, machine_in(State.CHECKING, BAD))
    assert (tmp_path / "verdicts.json").stat().st_ino == before


def test_a_state_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "state.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StateReadError, match="it has more than 16777216 bytes"):
        Store(tmp_path).load(NOW)
    assert Store(tmp_path).load_or_start_over(NOW).machine == Machine(since=NOW)


def test_a_folder_in_the_place_of_a_file_is_an_error_and_not_a_new_beginning(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(StateReadError, match="Is a directory"):
        Store(tmp_path).load_or_start_over(NOW)
    with pytest.raises(StateWriteError, match="Is a directory"):
        save(Store(tmp_path), machine_in(State.IDLE))


def test_a_state_that_cannot_be_had_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateWriteError, match="file: the state of the agent cannot be written: Not a directory"):
        save(Store(tmp_path / "file"), machine_in(State.IDLE))
    with pytest.raises(StateReadError, match="Not a directory"):
        Store(tmp_path / "file").load(NOW)


def test_nothing_is_written_through_a_link_that_somebody_left_there(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/.state.json.new").symlink_to(victim)
    with pytest.raises(StateWriteError):
        save(Store(tmp_path / "state"), machine_in(State.IDLE))
    assert victim.read_text() == "precious"
