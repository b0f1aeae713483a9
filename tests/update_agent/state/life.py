"""The whole life of an update as a graph: what an agent does with state and disk step by step, and what can come between.

The selector's policy and the verbs are the real ones; so are ``advance``, ``resume`` and the way a damaged state starts over. The rest
of the agent is what a few lines say here: it clears, writes, arms, reboots, and waits until the slot is marked good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bootselect.policy import Policy, Slot, best_proven, choose
from bootselect.simulation import DIES, GOOD, UNUSABLE
from gptlib.table.attributes import Attributes
from tests.update_agent.state.disk import Disk
from tests.update_agent.state.machines import NOW, A, B
from update_agent.state.document import Verdicts, encode_verdicts
from update_agent.state.machine import Event, KnownBad, Machine, advance
from update_agent.state.resume import BootFacts, resume
from update_agent.state.store import Store
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Iterator

S, H = State, Happening
FIRST, SECOND = 1, 2
NAMES = {FIRST: A, SECOND: B}
OLD, HALF, NEW = "old", "half written", "new"
VERSION = "1.1"
HERE, BEFORE = "this boot", "an earlier boot"


@dataclass(frozen=True)
class World:
    """One machine at one moment. ``content`` is that of the second slot; ``running`` is 0 while nothing is.

    ``started``: the agent has read its state in this boot. ``given_up``: the new version was armed once and lost all its tries.
    """

    machine: Machine
    first: Attributes
    second: Attributes
    content: str
    running: int = FIRST
    started: bool = True
    given_up: bool = False

    @property
    def slots(self) -> list[Slot]:
        return [Slot(FIRST, self.first), Slot(SECOND, self.second)]


@dataclass(frozen=True)
class Rules:
    """The policy, and what the new version is: an outcome of ``bootselect.simulation``."""

    policy: Policy
    update: str

    def outcome(self, world: World, number: int) -> str:
        kinds = {OLD: GOOD, HALF: UNUSABLE, NEW: self.update}
        return GOOD if number == FIRST else kinds[world.content]

    def facts(self, world: World) -> BootFacts:
        choice = choose(self.policy, world.slots)
        slots = {A: world.first, B: world.second}
        return BootFacts(HERE, NAMES[world.running], slots, NAMES[choice.number] if choice else None, {A: "1.0"})


def plain(world: World, machine: Machine) -> World:
    """The world with the machine, without what tells no difference: reasons, and which earlier boot it was."""
    bad = tuple(KnownBad(one.version, "", NOW) for one in machine.bad)
    return replace(world, machine=replace(machine, reason="", bad=bad, checked=None, progress=None, event=H.SETTLE))


def happens(world: World, what: Happening, **fields: object) -> World:
    event = Event(what, NOW, **{"reason": "why", **fields})  # type: ignore[arg-type]
    return plain(world, advance(world.machine, event))


def set_slots(world: World, values: dict[int, Attributes], rules: Rules) -> World:
    new = replace(world, first=values.get(FIRST, world.first), second=values.get(SECOND, world.second))
    spent = not new.second.tries and not new.second.successful and world.second.tries == 1
    return replace(new, given_up=new.given_up or (spent and new.content == NEW and rules.update != GOOD))


def cleared(world: World) -> World:
    return replace(world, second=world.second.with_slot(priority=0, tries=0, successful=False))


def armed(world: World) -> World:
    """What ``bootselect.verbs.arm`` does with two slots of which the other one is known to boot."""
    first = world.first.with_slot(priority=1 if world.first.priority else 0)
    return replace(
        world, first=first, second=world.second.with_slot(priority=first.priority + 1, tries=3, successful=False)
    )


def start(world: World, rules: Rules) -> World:
    """The agent starts, reads its state, and saves what it makes of it."""
    machine = resume(world.machine, rules.facts(world), NOW)
    return replace(plain(world, machine), started=True)


def step(world: World, rules: Rules) -> World:
    """The next thing that is done on this machine when nothing comes between: one write, of the state or of the disk."""
    state = world.machine.state
    if not world.started:
        return start(world, rules)
    running = world.first if world.running == FIRST else world.second
    if not running.successful:
        if rules.outcome(world, world.running) != GOOD:
            return boot(world, rules)  # the health checks fail
        return set_slots(world, {world.running: running.with_slot(tries=0, successful=True)}, rules)
    if world.running == SECOND and state in (S.IDLE, S.CHECKING, S.AVAILABLE) and world.content == NEW:
        return world if state is S.IDLE else happens(world, H.NOTHING if state is S.CHECKING else H.CANCEL)
    match state:
        case S.IDLE:
            return happens(world, H.CHECK)
        case S.CHECKING if world.machine.known_bad(VERSION):
            return happens(world, H.NOTHING)
        case S.CHECKING:
            return happens(world, H.FOUND, version=VERSION)
        case S.AVAILABLE if world.machine.known_bad(VERSION):
            return happens(world, H.REFUSE)
        case S.AVAILABLE if world.second.short != "0/0/0":
            return cleared(world)
        case S.AVAILABLE:
            return happens(world, H.BEGIN, slot=B)
        case S.DOWNLOADING if world.content != NEW:
            return replace(world, content=NEW if world.content == HALF else HALF)
        case S.DOWNLOADING:
            return happens(world, H.FETCHED)
        case S.VERIFYING:
            return happens(world, H.VERIFIED)
        case S.INSTALLING if not world.second.tries:
            return armed(world)
        case S.INSTALLING:
            return happens(world, H.ARM, boot_id=HERE)
        case S.ARMED | S.WAITING:
            return happens(world, H.REBOOT)
        case S.REBOOTING:
            return boot(world, rules)
        case S.ROLLED_BACK if world.running == FIRST and rules.facts(world).next == B:
            return set_slots(world, {SECOND: world.second.with_slot(tries=0, successful=False)}, rules)
        case S.GOOD | S.ROLLED_BACK:
            return happens(world, H.SETTLE)
    return start(world, rules)  # proving: looks whether it is proved


def boot(world: World, rules: Rules, *, unwritable: bool = False) -> World:
    """Power on, until a slot is up. ``unwritable``: the try cannot be counted, so the selector boots what is proved."""
    machine = world.machine
    before = replace(machine, boot_id=BEFORE) if machine.boot_id else machine
    world = replace(world, machine=before, started=False)
    excluded: set[int] = set()
    for _ in range(40):
        candidates = [slot for slot in world.slots if slot.number not in excluded]
        choice = choose(rules.policy, candidates)
        assert choice is not None, f"nothing boots: {world}"
        number, attributes = choice.number, choice.attributes
        if unwritable and attributes not in [slot.attributes for slot in candidates if slot.number == number]:
            proven = best_proven(candidates)
            assert proven is not None, f"nothing is proved: {world}"
            return replace(world, running=proven.number)
        world = set_slots(world, {number: attributes}, rules)
        outcome = rules.outcome(world, number)
        if outcome == UNUSABLE:
            world = set_slots(world, {number: attributes.with_slot(tries=0, successful=False)}, rules)
            excluded.add(number)
        elif outcome == DIES:
            excluded = set()
        else:
            return replace(world, running=number)
    raise AssertionError(f"no slot stays up: {world}")


def started_over(world: World) -> World:
    """The file of the state is damaged; the verdicts are there."""
    disk = Disk()
    disk.now.names["/state"] = {}
    for name, data in (("state.json", b"\0"), ("verdicts.json", encode_verdicts(Verdicts.of(world.machine)))):
        fd = disk.create(f"/state/{name}")
        disk.write(fd, data)
    return plain(replace(world, started=False), Store("/state", disk).load_or_start_over(NOW).machine)


def faults(world: World, rules: Rules, *, wiped: bool) -> Iterator[World]:
    """What can come between two steps: kills, power cuts, a disk that cannot be written for one boot, a damaged or wiped state."""
    yield replace(world, started=False)
    yield boot(world, rules)
    yield boot(world, rules, unwritable=True)
    yield started_over(world)
    yield boot(started_over(world), rules)
    if wiped:
        yield plain(replace(world, started=False), Machine(since=NOW))


def starts() -> Iterator[World]:
    """A machine that runs from the first slot, which is proved; in the second stands an older system, or nothing any more."""
    first = Attributes(0).with_slot(priority=1, successful=True)
    for priority, successful in ((0, False), (0, True), (1, True)):
        second = Attributes(0).with_slot(priority=priority, successful=successful)
        for above in (first, first.with_slot(priority=2)):
            yield World(Machine(since=NOW), above, second, OLD)
