"""The life of updates on one machine, from the repository to the proof, with the real disk format, selector and state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.fleet import Box, system
from tests.update_agent.published import LAYOUT
from tests.update_agent.updates import A, B
from update_agent.state.history import History
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from tests.update_agent.agent.fleet import Repo


def words(box: Box) -> list[tuple[str, str]]:
    return [(record.what, record.version) for record in History(box.settings.state_folder, 1 << 20).read().records]


def test_a_release_is_found_installed_tried_and_proved(box: Box, repo: Repo) -> None:
    before = box.disk.read_bytes()
    repo.publish("1.1")
    box.tick()
    assert box.rebooting
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/3/0"}
    assert box.disk.read_bytes()[LAYOUT.bytes_of(B)][: len(system("1.1"))] == system("1.1")
    assert box.disk.read_bytes()[LAYOUT.bytes_of(A)] == before[LAYOUT.bytes_of(A)]
    box.boot()
    assert box.version == "1.1"
    box.tick()
    assert box.state == State.PROVING
    box.prove()
    box.tick()
    assert box.state == State.IDLE
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/0/1"}
    assert words(box) == [("installed", "1.1"), ("armed", "1.1"), ("booted", "1.1"), ("proved", "1.1")]
    states = [machine.state for machine in box.seen]
    assert states == [
        "checking", "available", "downloading", "verifying", "installing", "armed", "rebooting", "proving", "good", "idle",
        "checking", "idle",
    ]  # fmt: skip


def test_a_broken_release_is_rolled_back_remembered_and_not_tried_again(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.live()
    repo.publish("1.2", since="1.1")
    box.broken.add("1.2")
    box.tick()
    box.boot()
    assert box.version == "1.1"
    box.tick()
    assert box.attributes() == {"1.1": "1/0/1", "1.2": "2/0/0"}
    assert [(bad.version, bad.reason) for bad in box.machine.bad] == [
        ("1.2", "all tries are used up and it never proved itself (2/0/0)")
    ]
    disk = box.disk.read_bytes()
    for _ in range(3):
        box.later(hours=1)
        box.tick()
    assert box.disk.read_bytes() == disk
    assert box.machine.reason.startswith("1.2 is not taken again: 2026-12-01 12:00 UTC: all tries are used up")
    assert words(box)[-1] == ("rolled-back", "1.2")


def test_after_a_rollback_the_next_release_comes_by_its_difference(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.live()
    repo.publish("1.2")
    box.broken.add("1.2")
    box.live()
    repo.publish("1.3", since="1.1")
    box.asked.clear()
    box.live()
    assert box.version == "1.3"
    assert box.attributes() == {"1.1": "1/0/1", "1.3": "2/0/1"}
    assert {name.partition(".")[2] for name in box.asked} == {"frames", "delta"}
    assert not any("the whole update" in line for line in box.told)


def test_one_that_was_tampered_with_on_the_disk_takes_the_whole_update(box: Box, repo: Repo) -> None:
    repo.publish("1.1", since="1.0")
    with box.disk.open("r+b") as file:
        file.seek(LAYOUT.bytes_of(A).start + 4096)
        file.write(b"somebody wrote here")
    box.live()
    assert box.version == "1.1"
    assert any("the whole update is fetched" in line for line in box.told)


def test_nothing_begins_while_the_running_slot_is_not_proved(box: Box, repo: Repo) -> None:
    repo.publish("1.1")
    box.tick()
    box.boot()
    repo.publish("1.2")
    for _ in range(3):
        box.tick()
    assert box.state == State.PROVING
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/2/0"}


@pytest.mark.parametrize("strategy", ["off", "etcd-lock", "fleet-lock"])
def test_a_machine_that_may_not_reboot_waits_and_says_for_what(box: Box, repo: Repo, strategy: str) -> None:
    box.settings = replace(box.settings, reboot_strategy=strategy, lock_endpoint="http://127.0.0.1:1")
    repo.publish("1.1")
    for _ in range(3):
        box.tick()
    assert not box.rebooting
    assert box.state == State.WAITING
    assert strategy in box.machine.reason
    box.boot()
    box.prove()
    box.tick(due=False)
    assert (box.version, box.machine.state) == ("1.1", State.IDLE)
