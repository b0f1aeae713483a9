"""A model of the lock beside the real one on a real etcd, with answers that stay away and processes that are killed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.gptlib.tables import FULL
from tests.update_agent.lock.faults import DONE, LATER, LOST, NEVER, Faulty
from update_agent.lock.coordinator import Held, Waiting
from update_agent.lock.errors import HolderExistsError, NoHolderError, NoPlaceError, NotStoppedError
from update_agent.lock.group import Group
from update_agent.lock.queue import EtcdLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.lock.etcd import Etcd

NOW = datetime(2026, 11, 28, tzinfo=UTC)
MACHINES, VERSIONS = st.sampled_from("abcde"), st.sampled_from(["1", "2"])
FATES = st.lists(st.sampled_from([DONE, DONE, LOST, NEVER, LATER]), max_size=4)
_GROUPS = itertools.count()


class _KillError(Exception):
    pass


class Model:
    """What the documents say about the lock, in lists."""

    def __init__(self) -> None:
        self.max = 1
        self.holders: set[str] = set()
        self.queue: list[str] = []
        self.kept: dict[str, str] = {}
        self.stops: dict[str, str] = {}

    def acquire(self, machine: str, version: str) -> int | None:
        """None: held; else how many are before it."""
        if machine in self.holders:
            if self.kept.get(machine) != version:
                self.kept.pop(machine, None)
            self._leave(machine)
            return None
        if version in self.stops:
            self._leave(machine)
            return 0
        if machine not in self.queue:
            self.queue.append(machine)
        ahead = self.queue.index(machine)
        if ahead >= self.max - len(self.holders):
            return ahead
        self._leave(machine)
        self.holders.add(machine)
        return None

    def release(self, machine: str) -> None:
        self.unlock(machine)
        self._leave(machine)

    def unlock(self, machine: str) -> None:
        self.holders.discard(machine)
        self.kept.pop(machine, None)

    def lock(self, machine: str) -> None:
        self.holders.add(machine)
        self._leave(machine)

    def rolled_back(self, machine: str, version: str) -> None:
        self.stops.setdefault(version, machine)
        if machine in self.holders:
            self.kept[machine] = version

    def clear(self, version: str) -> set[str]:
        del self.stops[version]
        gone = {machine for machine, kept in self.kept.items() if kept == version}
        for machine in gone:
            self.unlock(machine)
        return gone

    def _leave(self, machine: str) -> None:
        if machine in self.queue:
            self.queue.remove(machine)


class Beside(RuleBasedStateMachine):
    """Each rule does the same to both, and tells if they answer differently."""

    etcd: Etcd
    compared = 0

    @initialize()
    def begin(self) -> None:
        self.group = f"model {next(_GROUPS)}"
        self.faulty = Faulty(self.etcd)
        self.person = Group(self.faulty, self.group)  # type: ignore[arg-type]
        self.locks: dict[str, EtcdLock] = {}
        self.model = Model()

    def of(self, machine: str) -> EtcdLock:
        if machine not in self.locks:
            self.locks[machine] = EtcdLock(self.faulty, self.group, machine, now=lambda: NOW, rest=lambda: None)  # type: ignore[arg-type]
        return self.locks[machine]

    @rule(machine=MACHINES, version=VERSIONS, fates=FATES)
    def acquire(self, machine: str, version: str, fates: list[str]) -> None:
        self.faulty.fates = fates
        answer, ahead = self.of(machine).acquire(version), self.model.acquire(machine, version)
        assert isinstance(answer, Held) if ahead is None else (isinstance(answer, Waiting) and answer.ahead == ahead)

    @rule(machine=MACHINES, fates=FATES)
    def release(self, machine: str, fates: list[str]) -> None:
        self.faulty.fates = fates
        self.of(machine).release()
        self.model.release(machine)

    @rule(machine=MACHINES, version=VERSIONS, fates=FATES)
    def rolled_back(self, machine: str, version: str, fates: list[str]) -> None:
        self.faulty.fates = fates
        self.of(machine).rolled_back(version, "it failed")
        self.model.rolled_back(machine, version)

    @rule(machine=MACHINES)
    def restart(self, machine: str) -> None:
        self.locks.pop(machine, None)

    @rule(machine=MACHINES, version=VERSIONS, fate=st.sampled_from([LOST, NEVER, LATER]))
    def killed_while_it_acquired(self, machine: str, version: str, fate: str) -> None:
        killed = self._killed(machine, lambda lock: lock.acquire(version), fate)
        if killed and self.faulty.made and machine in self.model.holders:
            self.model.acquire(machine, version)
        self.release(machine, [])

    @rule(machine=MACHINES, version=VERSIONS, fate=st.sampled_from([LOST, NEVER, LATER]))
    def killed_while_it_released(self, machine: str, version: str, fate: str) -> None:
        if self._killed(machine, lambda lock: lock.release(), fate) and self.faulty.made:
            self.model.release(machine)
        self.acquire(machine, version, [])

    def _killed(self, machine: str, act: Callable[[EtcdLock], object], fate: str) -> bool:
        """Whether the process was: it ends at the first answer that stays away, if there is a change to make at all."""

        def kill() -> None:
            raise _KillError

        lock = self.of(machine)
        lock._doubt = kill  # type: ignore[method-assign]
        self.faulty.fates, self.faulty.made = [fate], False
        try:
            act(lock)
        except _KillError:
            return True
        finally:
            del self.locks[machine]
            self.faulty.fates = []
        return False

    @rule()
    def sleeping_members_wake_up(self) -> None:
        assert self.faulty.wake() == 0

    @rule(machine=MACHINES, fates=FATES)
    def lock_by_hand(self, machine: str, fates: list[str]) -> None:
        self.faulty.fates = fates
        if machine in self.model.holders:
            with pytest.raises(HolderExistsError):
                self.person.lock(machine, NOW)
        elif len(self.model.holders) >= self.model.max:
            with pytest.raises(NoPlaceError):
                self.person.lock(machine, NOW)
        else:
            self.person.lock(machine, NOW)
            self.model.lock(machine)

    @rule(machine=MACHINES, fates=FATES)
    def unlock_by_hand(self, machine: str, fates: list[str]) -> None:
        self.faulty.fates = fates
        if machine in self.model.holders:
            self.person.unlock(machine)
            self.model.unlock(machine)
        else:
            with pytest.raises(NoHolderError):
                self.person.unlock(machine)

    @rule(number=st.integers(1, 4), fates=FATES)
    def set_max(self, number: int, fates: list[str]) -> None:
        self.faulty.fates = fates
        old, new = self.person.set_max(number)
        assert (old.max, new.max) == (self.model.max, number)
        self.model.max = number

    @rule(version=VERSIONS)
    def clear(self, version: str) -> None:
        if version in self.model.stops:
            assert set(self.person.clear(version)) == self.model.clear(version)
        else:
            with pytest.raises(NotStoppedError):
                self.person.clear(version)

    @invariant()
    def both_say_the_same(self) -> None:
        if not hasattr(self, "model"):
            return
        type(self).compared += 1
        fates, self.faulty.fates = self.faulty.fates, []
        view, model = self.person.view(), self.model
        self.faulty.fates = fates
        assert view.semaphore.max == model.max
        assert set(view.semaphore.holders) == model.holders
        assert [one.machine for one in view.waiting] == model.queue
        assert {version: stop.who for version, stop in view.stops.items()} == model.stops
        assert {one.machine: one.version for one in view.holders if one.rolled_back} == model.kept


@pytest.mark.slow
def test_the_lock_does_what_a_model_of_it_does(etcd: Etcd) -> None:
    machine = type("Machine", (Beside,), {"etcd": etcd})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=400 if FULL else 40,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            # Every step asks etcd, and what is found is short enough to be read as it is.
            phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if FULL else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert machine.compared > 500  # type: ignore[attr-defined]
