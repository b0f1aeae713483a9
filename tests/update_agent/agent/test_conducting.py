"""The reboot as the agent conducts it, with the real state, disk and selector, and hooks that are really run."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.fleet import Box
from tests.update_agent.reboot.fakes import BEGIN, FakeLock, Semaphore
from update_agent.agent.cancelling import cancel
from update_agent.agent.conducting import Conductor, Here, open_lock
from update_agent.agent.errors import NoMachineIdError, RebootError
from update_agent.agent.place import Place
from update_agent.agent.tick import WAITING_EVERY
from update_agent.reboot.promise import Book
from update_agent.reboot.strategy import Locked
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.agent.fleet import Repo
    from tests.update_agent.repository.world import Hand
    from update_agent.config.settings import Settings
    from update_agent.reboot.inhibitors import Inhibitor


class Seen(Here):
    """A machine of which a test says who is logged in, and when it is."""

    def __init__(self, conductor: Conductor, machine: Machine) -> None:
        super().__init__(conductor)
        self.machine = machine
        self.folders = [machine.box.place / "hooks"]

    def uptime(self) -> float:
        return self.machine.seconds

    def warn(self, seconds: float, told: frozenset[str]) -> frozenset[str]:
        self.machine.did += [f"warn {name} {round(seconds)}" for name in sorted(self.machine.users - told)]
        return self.machine.users

    def unwarn(self) -> None:
        self.machine.did.append("unwarn")

    def inhibitors(self) -> tuple[Inhibitor, ...]:
        return ()


class Machine:
    """A box whose agent has a lock and hooks. Hooks write into ``hooks/ran``."""

    def __init__(self, box: Box, shared: Semaphore, name: str = "me") -> None:
        self.box, self.shared, self.name = box, shared, name
        self.seconds, self.users, self.did = 0.0, frozenset[str](), list[str]()
        self.places: list[Place | None] = []
        box.settings = replace(box.settings, reboot_strategy="etcd-lock")
        self.start()

    def start(self) -> None:
        """A new agent."""

        def opened(settings: Settings, kind: str, machine: str) -> FakeLock:
            assert (settings, machine) == (self.box.settings, self.box.world.machine_id)
            assert kind == Locked("etcd-lock").kind
            return FakeLock(self.shared, self.name)

        self.box.reboots = Conductor(
            self.box.told.append, show=self.places.append, open_lock=opened, means=lambda it: Seen(it, self)
        ).reboots

    def hook(self, event: str, script: str = "") -> None:
        path = self.box.place / f"hooks/{event}.d/10-test"
        path.parent.mkdir(parents=True, exist_ok=True)
        variables = "$SLOTBOOT_EVENT $SLOTBOOT_VERSION $SLOTBOOT_RUNNING_VERSION $SLOTBOOT_OUTCOME"
        path.write_text(f'#!/bin/sh\necho "{variables}" >>{self.box.place}/hooks/ran\n{script}\n')
        path.chmod(0o755)

    def ran(self) -> list[str]:
        path = self.box.place / "hooks/ran"
        return [line.rstrip() for line in path.read_text().splitlines()] if path.exists() else []

    def boot(self) -> None:
        self.box.boot()
        self.start()

    def holds(self) -> bool:
        return self.name in self.shared.holders

    def owes(self) -> bool:
        return Book(self.box.world.folder).read() is not None


@pytest.fixture
def machine(box: Box) -> Machine:
    return Machine(box, Semaphore())


def test_the_place_is_held_from_before_the_reboot_until_the_new_version_is_proved(machine: Machine, repo: Repo) -> None:
    box = machine.box
    machine.hook("pre-reboot")
    machine.hook("post-good")
    repo.publish("1.1")
    box.tick()
    assert box.rebooting
    assert machine.holds()
    machine.boot()
    for _ in range(2):
        box.tick()
        assert box.state == State.PROVING
        assert machine.holds()
    box.prove()
    box.tick()
    assert box.state == State.IDLE
    assert machine.ran() == ["pre-reboot 1.1 1.0", "post-good 1.1 1.1 good"]
    assert not machine.holds()
    assert not machine.owes()


def test_a_rollback_keeps_the_place_and_others_do_not_start_on_that_version(
    machine: Machine, repo: Repo, tmp_path: Path, hand: Hand
) -> None:
    box = machine.box
    repo.publish("1.1")
    box.broken.add("1.1")
    box.tick()
    assert box.rebooting
    machine.boot()
    box.tick()
    assert (box.version, box.state) == ("1.0", State.IDLE)
    assert machine.holds()
    assert "all tries are used up" in machine.shared.stops["1.1"].why
    (tmp_path / "other").mkdir()
    other = Machine(Box(tmp_path / "other", repo, hand), machine.shared, "other")
    other.box.tick()
    assert not other.box.rebooting
    assert "version 1.1 is stopped by me since 2026-11-28 12:00 UTC: " in other.box.machine.reason
    # Still so after another start of the agent, and over once a person has cleared it.
    machine.start()
    for _ in range(2):
        assert box.tick() == WAITING_EVERY
    assert machine.holds()
    assert [line for line in box.told if "place in the lock is kept" in line] == [
        "version 1.1 was rolled back here; the place in the lock is kept"
    ] * 2
    machine.shared.stops.clear()
    box.tick()
    assert not machine.holds()
    assert not machine.owes()
    assert box.tick(due=False) is None
    other.box.tick()
    assert other.box.rebooting


def test_a_version_that_is_stopped_is_out_of_use_and_a_newer_one_is_taken(machine: Machine, repo: Repo) -> None:
    box = machine.box
    FakeLock(machine.shared, "other").rolled_back("1.1", "2/0/0")
    repo.publish("1.1")
    for _ in range(2):
        box.tick()
        assert "version 1.1 is stopped by other" in box.machine.reason
        # A power cut in a fleet that stopped must not try the version on all of its machines.
        assert set(box.attributes().values()) == {"1/0/1", "0/0/0"}
        assert machine.shared.holders == []
    repo.publish("1.2")
    # Not before the repository is asked again.
    box.tick(due=False)
    assert set(box.attributes().values()) == {"1/0/1", "0/0/0"}
    box.tick()
    assert box.rebooting
    assert box.attributes() == {"1.0": "1/0/1", "1.2": "2/3/0"}
    assert machine.shared.holders == ["me"]


def test_a_version_that_was_armed_before_it_was_stopped_is_taken_out_of_use_at_once(
    machine: Machine, repo: Repo
) -> None:
    box = machine.box
    other = FakeLock(machine.shared, "other")
    other.acquire("1.1")
    repo.publish("1.1")
    box.tick()
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/3/0"}
    other.rolled_back("1.1", "2/0/0")
    box.tick(due=False)
    assert set(box.attributes().values()) == {"1/0/1", "0/0/0"}
    assert not box.rebooting


def test_what_is_stopped_is_taken_again_once_it_is_cleared_and_not_before(machine: Machine, repo: Repo) -> None:
    box = machine.box
    FakeLock(machine.shared, "other").rolled_back("1.1", "2/0/0")
    repo.publish("1.1")
    box.tick()
    machine.start()
    machine.shared.away = True
    box.tick()
    assert any(line.startswith("the lock cannot be asked whether version 1.1 is still stopped: ") for line in box.told)
    machine.shared.away = False
    box.tick()
    assert box.machine.known_bad("1.1") is not None
    machine.shared.stops.clear()
    box.tick(due=False)
    assert set(box.attributes().values()) == {"1/0/1", "0/0/0"}
    machine.shared.holders.clear()
    box.tick()
    assert box.rebooting
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/3/0"}


def test_what_a_person_cancelled_is_not_taken_again_with_what_is_cleared(machine: Machine, repo: Repo) -> None:
    box = machine.box
    FakeLock(machine.shared, "other").acquire("1.1")
    repo.publish("1.1")
    box.tick()
    cancel(box.world, 5.0)
    box.tick()
    assert box.machine.known_bad("1.1") is not None
    assert set(box.attributes().values()) == {"1/0/1", "0/0/0"}


def test_a_machine_that_only_waits_its_turn_keeps_what_it_has(machine: Machine, repo: Repo) -> None:
    box = machine.box
    FakeLock(machine.shared, "other").acquire("1.1")
    repo.publish("1.1")
    box.tick()
    repo.publish("1.2")
    box.tick()
    assert box.machine.version == "1.1"
    assert "held by other" in box.machine.reason


def test_what_post_good_could_not_undo_keeps_the_place_and_is_tried_again_soon(machine: Machine, repo: Repo) -> None:
    box = machine.box
    machine.hook("post-good", f"[ -e {box.place}/mended ]")
    repo.publish("1.1")
    box.tick()
    machine.boot()
    box.prove()
    for _ in range(2):
        assert box.tick() == WAITING_EVERY
        assert machine.holds()
    told = [line for line in box.told if line.startswith("post-good.d: ")]
    assert len(told) == 1
    (box.place / "mended").touch()
    assert box.tick() is None
    assert not machine.holds()
    # The same trouble with the next version is news.
    (box.place / "mended").unlink()
    repo.publish("1.2")
    box.tick()
    box.boot()
    box.prove()
    box.tick()
    assert len([line for line in box.told if line.startswith("post-good.d: ")]) == 2


def test_who_installs_by_hand_settles_nothing_away(machine: Machine, repo: Repo) -> None:
    """A command may be the first to see the verdict; the agent pays what is owed at its next tick."""
    from update_agent.agent.settling import settle

    box = machine.box
    repo.publish("1.1")
    box.broken.add("1.1")
    box.tick()
    machine.boot()
    with box.session() as session:
        settle(session)
        assert session.state is State.IDLE
    assert machine.shared.stops == {}
    box.tick()
    assert set(machine.shared.stops) == {"1.1"}
    assert machine.holds()


def test_people_are_warned_and_may_cancel(machine: Machine, repo: Repo) -> None:
    box = machine.box
    machine.users = frozenset({"tty1"})
    repo.publish("1.1")
    assert box.tick() == 10
    assert box.state == State.WAITING
    saved = len(box.seen)
    for seconds in (10, 20, 290):
        machine.seconds = seconds
        box.tick(due=False)
    # Nothing is written while nothing changes.
    assert len(box.seen) == saved
    cancel(box.world, 0)
    machine.seconds = 300
    box.tick(due=False)
    assert not box.rebooting
    assert machine.did == ["warn tty1 300", "unwarn"]
    assert not machine.holds()
    assert not machine.owes()


def test_when_the_warning_is_over_it_reboots(machine: Machine, repo: Repo) -> None:
    box = machine.box
    machine.users = frozenset({"tty1"})
    repo.publish("1.1")
    box.tick()
    machine.seconds = 295
    assert box.tick(due=False) == 5
    machine.seconds = 300
    assert box.tick(due=False) == WAITING_EVERY
    assert box.rebooting


def test_a_person_may_cancel_while_hooks_run(machine: Machine, repo: Repo) -> None:
    box = machine.box
    begun = box.place / "begun"
    machine.hook("pre-reboot", f"touch {begun}\nexec sleep 1000")
    machine.hook("post-good")
    repo.publish("1.1")
    failed: list[BaseException] = []

    def person() -> None:
        try:
            while not begun.exists():
                box.hand.clock().sleep(0)
            (box.world.folder / "cancel").touch()
        except BaseException as error:  # noqa: BLE001  (told by the test)
            failed.append(error)

    thread = threading.Thread(target=person)
    thread.start()
    box.tick()
    thread.join(30)
    assert failed == []
    assert not box.rebooting
    assert "a person cancelled" in box.machine.reason
    assert machine.ran() == ["pre-reboot 1.1 1.0", "post-good 1.1 1.0 given-up"]
    assert not machine.holds()
    cancel(box.world, 0)
    assert box.state == State.IDLE


def test_a_drain_that_fails_holds_the_machine_and_says_why(machine: Machine, repo: Repo) -> None:
    box = machine.box
    machine.hook("pre-reboot", "echo 'no room for pod a' >&2; exit 1")
    repo.publish("1.1")
    box.tick()
    assert not box.rebooting
    assert "pre-reboot.d/10-test: it ended with exit code 1" in box.machine.reason
    assert "pre-reboot 10-test: no room for pod a" in box.told
    assert not machine.holds()


def test_a_reboot_that_is_refused_gives_everything_back(
    machine: Machine, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = machine.box
    machine.hook("post-good")

    def refused(_: Box) -> None:
        raise RebootError("systemctl", "Access denied")

    monkeypatch.setattr(Box, "reboot", refused)
    repo.publish("1.1")
    with pytest.raises(RebootError):
        box.tick()
    assert box.state == State.WAITING
    assert machine.ran() == ["post-good 1.1 1.0 given-up"]
    assert not machine.holds()
    assert not machine.owes()


def test_an_agent_that_was_killed_goes_on_with_the_place_that_it_has(machine: Machine, repo: Repo) -> None:
    box = machine.box
    machine.users = frozenset({"tty1"})
    repo.publish("1.1")
    box.tick()
    assert machine.holds()
    machine.start()
    machine.users = frozenset()
    box.tick(due=False)
    assert box.rebooting
    assert machine.shared.most == 1


@pytest.mark.parametrize("change", [lambda settings: replace(settings, reboot_strategy="off")])
def test_under_off_nothing_is_kept(machine: Machine, repo: Repo, change: Callable[[Settings], Settings]) -> None:
    box = machine.box
    machine.users = frozenset({"tty1"})
    repo.publish("1.1")
    box.tick()
    assert machine.holds()
    box.settings = change(box.settings)
    box.tick(due=False)
    assert not machine.holds()
    assert not machine.owes()
    assert box.machine.reason.startswith("reboot.strategy is off")


def test_a_lock_that_cannot_be_reached_is_waited_for(box: Box, repo: Repo) -> None:
    box.settings = replace(box.settings, reboot_strategy="etcd-lock", lock_endpoint="http://127.0.0.1:1")
    box.reboots = Conductor(box.told.append, means=lambda it: Seen(it, Machine(box, Semaphore()))).reboots
    repo.publish("1.1")
    box.tick()
    assert not box.rebooting
    assert "127.0.0.1:1" in box.machine.reason


@pytest.mark.parametrize("good", [True, False])
def test_what_the_machine_has_in_the_lock_is_shown_also_by_the_agent_of_the_new_system(
    good: bool, machine: Machine, repo: Repo
) -> None:
    """For the metrics: that it waits, for what and since when; since when it has its place; and that it keeps it."""
    box, other = machine.box, FakeLock(machine.shared, "other")
    other.acquire("1.1")
    repo.publish("1.1")
    box.tick()
    (waits,) = machine.places
    assert waits is not None
    assert (waits.machine, waits.why, waits.ahead) == ("me", "held by other", 0)
    assert waits.since is not None
    box.tick(due=False)
    assert machine.places == [waits]
    other.release()
    box.tick(due=False)
    assert box.rebooting
    assert machine.places == [waits, Place("", "me", BEGIN)]
    machine.places.clear()
    if not good:
        box.broken.add("1.1")
    machine.boot()
    box.tick(due=False)
    assert machine.places[-1] == Place("", "me", BEGIN, kept=not good)
    if good:
        box.prove()
        box.tick(due=False)
        assert machine.places == [Place("", "me", BEGIN), None]


def test_a_lock_that_cannot_say_since_when_stops_nothing(machine: Machine, repo: Repo) -> None:
    box = machine.box
    repo.publish("1.1")
    box.tick()
    machine.places.clear()
    machine.shared.away = True
    machine.boot()
    for _ in range(2):
        box.tick(due=False)
    assert box.state == State.PROVING
    assert machine.places == [Place("", "me", None)]
    assert sum("since when" in line for line in box.told) == 1


def test_a_machine_without_an_id_takes_no_lock(box: Box) -> None:
    with pytest.raises(NoMachineIdError):
        open_lock(box.settings, "etcd-lock", "")
