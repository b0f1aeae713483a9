"""Every system call of the store and of the history fails once, is the last one once, and the power is cut there; and at random."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.update_agent.state.disk import Disk, Killed
from tests.update_agent.state.machines import BAD, LATER, NOW, event, machine_in
from update_agent.state.errors import HistoryWriteError, StateError, StateWriteError
from update_agent.state.history import History, Record
from update_agent.state.machine import ON_TRIAL, KnownBad, Machine, advance, forget
from update_agent.state.store import Store
from update_agent.state.transitions import Happening, State, possible

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "/state"
OLD = machine_in(State.REBOOTING, BAD)
NEW = advance(OLD, event(Happening.ROLL_BACK))
CUTS = 12
"""Power cuts at each place; what was not flushed survives in another way each time."""


def disk_with(machine: Machine | None) -> Disk:
    disk = Disk()
    if machine is not None:
        save(disk, machine)
        disk.kill()
    return disk


def save(disk: Disk, machine: Machine) -> None:
    with Store(FOLDER, disk).claim() as writer:
        writer.save(machine)


def calls_of(work: Callable[[Disk], object], disk: Disk) -> int:
    disk.arm()
    work(disk)
    return disk.calls


def must_load(disk: Disk, machines: tuple[Machine, ...], bad: set[str]) -> None:
    found = Store(FOLDER, disk).load(NOW)
    expected = [{**vars(machine), "bad": ()} for machine in machines]
    assert {**vars(found), "bad": ()} in expected
    assert {one.version for one in found.bad} >= bad


def must_be_known_without_the_state(disk: Disk) -> None:
    """Whatever the state knows to be bad, or has on trial, the verdicts know, too: they are written first."""
    store = Store(FOLDER, disk)
    whole, node = store.load(NOW), disk.now.names.get(FOLDER, {}).get("state.json")
    if node is not None:
        data, node.data = node.data, b""
        over = store.load_or_start_over(NOW).machine
        node.data = data
        assert {one.version for one in over.bad} >= {one.version for one in whole.bad}
        assert whole.state not in ON_TRIAL or whole.version in {over.version, *(one.version for one in over.bad)}


@pytest.mark.parametrize("old", [None, OLD], ids=["the first state", "another state"])
@pytest.mark.parametrize("short", [False, True], ids=["whole writes", "short writes"])
def test_a_kill_or_a_power_cut_at_any_system_call_leaves_the_old_or_the_new_state(
    old: Machine | None, short: bool, record_property: Callable[[str, object], None]
) -> None:
    before = old or Machine(since=NOW)
    count = calls_of(lambda disk: save(disk, NEW), disk_with(old))
    states = 0
    for number in range(1, count + 1):
        for where in ("die_before", "die_after"):
            for seed in range(CUTS):
                disk = disk_with(old)
                disk.short = short
                disk.arm(**{where: number})
                with pytest.raises(Killed):
                    save(disk, NEW)
                disk.kill() if seed == 0 else disk.power_cut(random.Random(seed))
                must_load(disk, (before, NEW), {one.version for one in before.bad})
                must_be_known_without_the_state(disk)
                save(disk, NEW)  # what was left behind is in nobody's way
                must_load(disk, (NEW,), {one.version for one in NEW.bad})
                states += 1
    assert count >= 12
    record_property("counted", f"{states} ends of a write of the state, at each of {count} system calls")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_an_error_at_any_system_call_leaves_the_old_or_the_new_state_and_is_named(number: int) -> None:
    count = calls_of(lambda disk: save(disk, NEW), disk_with(OLD))
    reads = 0
    for call in range(1, count + 1):
        for seed in range(8):
            disk = disk_with(OLD)
            disk.arm(fail_at=call, number=number)
            try:
                save(disk, NEW)
                assert disk.log[call - 1] == "read"  # only of what would have been written again
                reads += 1
                after: tuple[Machine, ...] = (NEW,)
            except StateWriteError as error:
                assert "/state/" in str(error) or str(error).startswith("/state:")
                after = (OLD, NEW)
            disk.arm()
            must_load(disk, after, {one.version for one in OLD.bad})
            if seed:
                disk.power_cut(random.Random(seed))
            must_load(disk, after, {one.version for one in OLD.bad})
            save(disk, NEW)
            must_load(disk, (NEW,), {one.version for one in NEW.bad})
    assert reads == 8


def test_what_was_saved_survives_every_power_cut() -> None:
    for seed in range(200):
        disk = disk_with(None)
        save(disk, OLD)
        save(disk, NEW)
        disk.power_cut(random.Random(seed))
        must_load(disk, (NEW,), {"1.0", "1.1"})


def test_a_bad_version_is_known_after_a_power_cut_even_where_the_state_is_damaged_later() -> None:
    for seed in range(50):
        disk = disk_with(OLD)
        save(disk, NEW)
        disk.power_cut(random.Random(seed))
        disk.now.names[FOLDER]["state.json"].data = b""
        found = Store(FOLDER, disk).load_or_start_over(NOW)
        assert {bad.version for bad in found.machine.bad} == {"1.0", "1.1"}


RECORDS = [Record(NOW, "armed", str(number), "why") for number in range(3)]
LAST = Record(LATER, "proved", "3")


def history_on(disk: Disk, count: int = 3) -> History:
    history = History(FOLDER, 0, disk)
    for record in RECORDS[:count]:
        history.append(record)
    return history


def padded(disk: Disk) -> None:
    """So much that the next record begins a new file."""
    node = disk.now.names[FOLDER]["history.jsonl"]
    node.data = node.stable = b'{"x": "%s"}\n' % (b"y" * 8000) + node.data


@pytest.mark.parametrize("full", [False, True], ids=["appended", "begun anew"])
def test_a_kill_or_a_power_cut_at_any_system_call_of_the_history_loses_no_record(full: bool) -> None:
    def prepared() -> Disk:
        disk = Disk()
        history_on(disk)
        if full:
            padded(disk)
        disk.kill()
        return disk

    count = calls_of(lambda disk: History(FOLDER, 0, disk).append(LAST), prepared())
    for number in range(1, count + 1):
        for where in ("die_before", "die_after", "fail_at"):
            for seed in range(CUTS):
                disk = prepared()
                disk.arm(**{where: number})
                with pytest.raises((Killed, StateError)):
                    History(FOLDER, 0, disk).append(LAST)
                disk.kill() if seed == 0 else disk.power_cut(random.Random(seed))
                records = list(History(FOLDER, 0, disk).read().records)
                assert records in (RECORDS, [*RECORDS, LAST])
                added = History(FOLDER, 0, disk).append(LAST)
                assert added == (records == RECORDS)
                disk.power_cut(random.Random(seed))
                assert list(History(FOLDER, 0, disk).read().records) == [*RECORDS, LAST]
    assert count >= 6


def test_a_full_disk_is_an_error_of_the_history_that_names_the_file() -> None:
    disk = Disk()
    history_on(disk)
    disk.arm(fail_at=disk_write(disk), number=errno.ENOSPC)
    with pytest.raises(HistoryWriteError, match=r"^/state/history\.jsonl: the history cannot be written: as told"):
        History(FOLDER, 0, disk).append(LAST)


def disk_write(disk: Disk) -> int:
    """The number of the call that is the write."""
    disk.arm()
    History(FOLDER, 0, disk).append(Record(NOW, "failed", "9"))
    return disk.log.index("write") + 1


class Life(RuleBasedStateMachine):
    """Random events, saved on a disk that fails, with kills and power cuts between any two system calls.

    ``possible`` are the machines that may be on the disk; ``bad`` are the versions that must be known, ``maybe`` those that may be.
    """

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()
        self.machine = Machine(since=NOW)
        save(self.disk, self.machine)
        self.possible = [self.machine]
        self.bad: set[str] = set()

    def save(self, new: Machine) -> None:
        """The agent goes on with the new machine where it could be saved, and with what is on the disk where not."""
        old_bad = {one.version for one in self.machine.bad}
        new_bad = {one.version for one in new.bad}
        self.bad = old_bad & new_bad
        self.possible = [*self.possible, new]
        save(self.disk, new)
        self.machine, self.possible, self.bad = new, [new], new_bad

    def reopen(self) -> None:
        self.disk.arm()
        with Store(FOLDER, self.disk).claim():
            self.machine = Store(FOLDER, self.disk).load(NOW)
        self.possible = [self.machine]
        self.bad = {one.version for one in self.machine.bad}

    def next_machine(self, data: st.DataObject) -> Machine:
        if self.machine.bad and data.draw(st.integers(0, 9)) == 0:
            return forget(self.machine, data.draw(st.sampled_from(self.machine.bad)).version)
        what = data.draw(st.sampled_from(possible(self.machine.state)))
        version = data.draw(st.sampled_from(["1.0", "1.1", "1.2"]))
        fields: dict[str, object] = (
            {"version": version} if what is Happening.FOUND else {"version": self.machine.version}
        )
        if what in (Happening.BOOTED, Happening.ROLL_BACK):
            fields = {"version": self.machine.version or version}
        if self.machine.untried == 2 and what is Happening.NOT_TRIED:
            what = Happening.ROLL_BACK
        return advance(self.machine, event(what, asked=True, **fields))

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        self.save(self.next_machine(data))

    @rule(
        data=st.data(), call=st.integers(1, 20), number=st.sampled_from([errno.ENOSPC, errno.EIO]), short=st.booleans()
    )
    def a_call_fails(self, data: st.DataObject, call: int, number: int, short: bool) -> None:
        new = self.next_machine(data)
        self.disk.arm(fail_at=call, number=number)
        self.disk.short = short
        try:
            self.save(new)
        except StateWriteError:
            self.check()
            self.reopen()
        self.disk.arm()

    @rule(data=st.data(), call=st.integers(1, 20), after=st.booleans(), seed=st.integers(0, 1 << 30), cut=st.booleans())
    def it_is_killed(self, data: st.DataObject, call: int, after: bool, seed: int, cut: bool) -> None:
        new = self.next_machine(data)
        self.disk.arm(**{"die_after" if after else "die_before": call})
        try:
            self.save(new)
        except Killed:
            self.disk.power_cut(random.Random(seed)) if cut else self.disk.kill()
            self.check()
            self.reopen()
        self.disk.arm()

    @rule(seed=st.integers(0, 1 << 30))
    def the_power_is_cut(self, seed: int) -> None:
        self.disk.power_cut(random.Random(seed))

    @rule(content=st.sampled_from([b"", b"\0" * 50, b'{"format": 3}']))
    def the_state_is_damaged(self, content: bytes) -> None:
        save(self.disk, self.machine)
        self.disk.now.names[FOLDER]["state.json"].data = content
        found = Store(FOLDER, self.disk).load_or_start_over(NOW)
        assert found.problem
        assert found.machine.bad == self.machine.bad
        self.save(found.machine)

    @invariant()
    def check(self) -> None:
        calls = (self.disk.calls, self.disk.fail_at, self.disk.die_before, self.disk.die_after)
        self.disk.arm()
        found = Store(FOLDER, self.disk).load(NOW)
        self.disk.calls, self.disk.fail_at, self.disk.die_before, self.disk.die_after = calls
        assert {**vars(found), "bad": ()} in [{**vars(machine), "bad": ()} for machine in self.possible]
        assert self.bad <= {one.version for one in found.bad}
        assert len({one.version for one in found.bad}) == len(found.bad)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_known_bad_versions_are_equal_however_they_were_loaded() -> None:
    disk = disk_with(machine_in(State.IDLE, BAD, KnownBad("0.9", "why", NOW)))
    first = Store(FOLDER, disk).load(NOW)
    del disk.now.names[FOLDER]["state.json"]
    assert Store(FOLDER, disk).load(NOW).bad == first.bad
