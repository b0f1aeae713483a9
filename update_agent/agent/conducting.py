"""The plan of a reboot, with this machine: what it looks at, and when in the life of an update it is asked."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from update_agent.agent.errors import NoLockClientError, NoMachineIdError
from update_agent.agent.place import place_of
from update_agent.agent.rebooting import Reboots, permission
from update_agent.agent.world import CANCEL
from update_agent.errors import UpdateError
from update_agent.reboot.hooks import FOLDERS, POST_GOOD, PRE_REBOOT, Runner
from update_agent.reboot.inhibitors import find_inhibitors
from update_agent.reboot.plan import Plan
from update_agent.reboot.promise import Book
from update_agent.reboot.sessions import terminals
from update_agent.reboot.stops import is_stopped
from update_agent.reboot.strategy import ETCD, Hold, decide, etcd_units
from update_agent.reboot.warning import CANCELLED, broadcast, message, reboot_in
from update_agent.reboot.window import local_zone, window_of
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from update_agent.agent.place import Place
    from update_agent.agent.session import Session
    from update_agent.config.settings import Settings
    from update_agent.lock.coordinator import Lock
    from update_agent.reboot.inhibitors import Inhibitor
    from update_agent.reboot.promise import Promise
    from update_agent.reboot.strategy import Locked, Now
    from update_agent.reboot.window import Window

    Opener = Callable[[Settings, str, str], Lock]
    """Opens the lock of a kind for the machine with this id. Raises LockError."""

ON_ITS_WAY = frozenset({State.ARMED, State.WAITING, State.REBOOTING, State.PROVING})
"""States of a version that waits for its boot or its proof."""


def open_lock(settings: Settings, kind: str, machine: str) -> Lock:
    """The lock of a kind, with what the settings say of it. Raises LockError and NoLockClientError."""
    try:
        from update_agent.lock.open import etcd_lock, fleet_lock
    except ImportError as error:
        raise NoLockClientError(kind, str(error.name)) from error

    if not machine:
        raise NoMachineIdError
    return etcd_lock(settings, machine) if kind == ETCD else fleet_lock(settings, machine)


class Conductor:
    """Who asks the plan: ``reboots`` is what the ticks of an agent need of it.

    ``alive`` is called while something takes its time, ``show`` with each new place in the lock, or in its queue. One conductor is for one agent: it remembers who was warned, and since when.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        *,
        alive: Callable[[], None] = lambda: None,
        show: Callable[[Place | None], None] = lambda _: None,
        open_lock: Opener = open_lock,
        means: Callable[[Conductor], Here] | None = None,
    ) -> None:
        self._told: set[str] = set()
        self.say, self.alive, self.open_lock, self._show = tell, alive, open_lock, show
        self._place: Place | None = None
        self._looked = False
        self.means = Here(self) if means is None else means(self)
        self._plan = Plan(self.means)
        self.reboots = Reboots(self._ask, self._given_up, self._tend, self._stopped)

    def tell(self, line: str) -> None:
        """A line that was told is not told again until nothing is owed any more: the plan is asked often."""
        if line not in self._told:
            self._told.add(line)
            self.say(line)

    def _ask(self, session: Session) -> Hold | None:
        try:
            return self._with(session).ask(session.machine.version or "")
        finally:
            self._show_place()

    def _given_up(self, session: Session, reason: str) -> None:
        self._with(session).give_up(reason)

    def _stopped(self, session: Session, version: str) -> bool:
        return is_stopped(version, self._with(session).means)

    def _tend(self, session: Session) -> Hold | None:
        try:
            return self._pay(session)
        finally:
            self._show_place()

    def _show_place(self) -> None:
        """Tell what the machine has in the lock. One that was rebooted with a place looks once since when; that decides nothing."""
        promise = self._plan.promise
        place = None
        try:
            if promise is not None and promise.kind:
                lock = self.means.lock(promise.kind)
                if self._plan.answer is None and not self._looked:
                    self._looked = True
                    self._plan.answer = lock.held()
                place = place_of(promise, lock, self._plan.answer, self._place, self.means.now())
        except UpdateError as error:
            self.tell(f"the lock does not say since when this machine has its place: {error}")
            return
        if place != self._place:
            self._place = place
            self._show(place)

    def _pay(self, session: Session) -> Hold | None:
        plan = self._with(session)
        owed = plan.settle_up()
        if session.state in ON_ITS_WAY:
            return owed
        if owed is None and not plan.give_up("no update waits for a reboot any more"):
            owed = Hold("what is owed for an update that was given up cannot be paid yet")
        if owed is not None:
            self.tell(owed.reason)
        else:
            self._told.clear()
        return owed

    def _with(self, session: Session) -> Plan:
        self.means.session = session
        # Another process may have noted the verdict.
        self._plan.promise = self.means.book.read()
        return self._plan


class Here:
    """This machine, as a plan sees it; its ``session`` is that of the tick."""

    session: Session
    folders: Sequence[Path] = FOLDERS
    """Where hooks are."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._lock: tuple[tuple[Settings, str, str], Lock] | None = None

    @property
    def _settings(self) -> Settings:
        return self.session.world.settings

    @property
    def book(self) -> Book:
        """Where it is written down what the machine owes."""
        return Book(self.session.world.folder, tell=self.tell)

    @property
    def warning(self) -> float:
        """Seconds."""
        return self._settings.reboot_warning.total_seconds()

    @property
    def inhibit_time(self) -> float:
        """Seconds."""
        return self._settings.inhibit_time.total_seconds()

    def now(self) -> datetime:
        """Of the wall."""
        return datetime.now(UTC)

    def uptime(self) -> float:
        """With the time that the machine was asleep."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def window(self) -> Window | None:
        """That of the settings, in the machine's zone."""
        return window_of(self._settings)

    def strategy(self) -> Now | Hold | Locked:
        """That of the settings, with the units of etcd."""
        return decide(self._settings, etcd_units)

    def lock(self, kind: str) -> Lock:
        """That of the settings, opened once. Raises LockError."""
        wanted = self._settings, kind, self.session.world.machine_id
        if self._lock is None or self._lock[0] != wanted:
            self._lock = wanted, self._conductor.open_lock(*wanted)
        return self._lock[1]

    def save(self, promise: Promise | None) -> None:
        """In the folder of the state. Raises PromiseError."""
        self.book.write(promise)

    def warn(self, seconds: float, told: frozenset[str]) -> frozenset[str]:
        """At the terminals of sessions."""
        names = frozenset(terminals())
        if names - told:
            broadcast(message(reboot_in(seconds), self._local()), sorted(names - told))
            self._conductor.tell(f"those who are logged in at {', '.join(sorted(names))} were warned")
        return names

    def unwarn(self) -> None:
        """At the same terminals."""
        broadcast(message(CANCELLED, self._local()), terminals())

    def inhibitors(self) -> Sequence[Inhibitor]:
        """Those of logind."""
        return find_inhibitors(self.tell)

    def drain(self, version: str) -> str:
        """pre-reboot.d, which a person may stop."""
        cancel: Path = self.session.world.folder / CANCEL
        return self._run(PRE_REBOOT, version, "", cancel.exists)

    def undrain(self, version: str, outcome: str) -> str:
        """All of post-good.d."""
        return self._run(POST_GOOD, version, outcome, lambda: False)

    def _run(self, event: str, version: str, outcome: str, stopped: Callable[[], bool]) -> str:
        facts = self.session.facts
        variables = {
            "SLOTBOOT_EVENT": event,
            "SLOTBOOT_VERSION": version,
            "SLOTBOOT_RUNNING_VERSION": facts.versions.get(facts.running, "unknown"),
            "SLOTBOOT_OUTCOME": outcome,
        }
        runner = Runner(self._conductor.say, self.folders, alive=self._conductor.alive, stopped=stopped)
        seconds = self._settings.drain_timeout.total_seconds()
        return runner.run(event, variables, seconds, all_of_them=event == POST_GOOD)

    def tell(self, line: str) -> None:
        """For people."""
        self._conductor.tell(line)

    def _local(self) -> datetime:
        return self.now().astimezone(local_zone())


class Asked(Here):
    """As a person wants it who asks for the reboot: the others are not warned."""

    @property
    def warning(self) -> float:
        """None."""
        return 0.0


def asked_by_a_person(tell: Callable[[str], None]) -> Reboots:
    """For one reboot, where nobody has to be asked for a place: that is the agent's to get. Inhibitors hold it, and hooks run."""
    conductor = Conductor(tell, means=Asked)

    def ask(session: Session) -> Hold | None:
        return permission(session.world.settings) or conductor.reboots.ask(session)

    return replace(conductor.reboots, ask=ask)
