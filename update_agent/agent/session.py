"""The state while this process is the only one to change it: each step is on the disk before the next thing is done."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from update_agent.agent.world import CANCEL
from update_agent.state.errors import HistoryWriteError, StateReadError
from update_agent.state.history import History, record_of
from update_agent.state.machine import Event, Machine, Progress, advance, forget
from update_agent.state.resume import BootFacts, what_happened
from update_agent.state.store import Store, Writer
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from update_agent.agent.world import World
    from update_agent.state.files import Files

    Listener = Callable[[Machine], None]
    """Is given the machine after each step that is on the disk."""


class Session:
    """``machine`` is what is on the disk, ``facts`` what the machine showed when the session began."""

    def __init__(
        self,
        world: World,
        writer: Writer,
        machine: Machine,
        facts: BootFacts,
        history: History,
        listeners: Sequence[Listener],
        tell: Callable[[str], None],
    ) -> None:
        self.world, self.machine, self.facts, self.tell = world, machine, facts, tell
        self._writer, self._history, self._listeners = writer, history, listeners

    @property
    def state(self) -> State:
        """Where the update stands."""
        return self.machine.state

    def step(
        self,
        what: Happening,
        reason: str = "",
        *,
        version: str | None = None,
        slot: str | None = None,
        boot_id: str | None = None,
        progress: Progress | None = None,
        asked: bool = False,
    ) -> None:
        """Take a step. Raises TransitionError, KnownBadError and StateWriteError; the machine is then as it was."""
        self.happen(Event(what, self.world.clock.now(), reason, version, slot, boot_id, progress, asked))

    def happen(self, event: Event) -> None:
        """As ``step``, for an event that is there already."""
        after = advance(self.machine, event)
        self._writer.save(after)
        self.machine = after
        if event.what is not Happening.PROGRESS:
            self._record()
        for listener in self._listeners:
            listener(after)

    def forget(self, version: str) -> None:
        """Let a version be taken again that was rolled back or cancelled. Raises NotKnownBadError and StateWriteError."""
        after = forget(self.machine, version)
        self._writer.save(after)
        self.machine = after

    def catch_up(self) -> None:
        """Take the steps that came between the state and what the machine shows now. Raises as ``step``."""
        while (event := what_happened(self.machine, self.facts, self.world.clock.now())) is not None:
            before = self.machine
            self.happen(event)
            # What goes on where it was would be interrupted again and again.
            if self.machine.state is before.state:
                break

    def _record(self) -> None:
        record = record_of(self.machine)
        if record is None:
            return
        try:
            self._history.append(record)
        except (HistoryWriteError, StateReadError) as error:
            self.tell(f"the history lacks a record: {error}")


@contextmanager
def session_of(
    world: World,
    listeners: Sequence[Listener] = (),
    tell: Callable[[str], None] = lambda _: None,
    files: Files | None = None,
) -> Iterator[Session]:
    """The only session of this machine, which has caught up with what happened meanwhile.

    Raises StateBusyError where another process has one, StateWriteError, StateReadError, and what the facts raise.
    """
    store = Store(world.folder, files)
    with store.claim() as writer:
        with suppress(OSError):
            # Meant for a session that has ended; who means this one writes it again.
            (world.folder / CANCEL).unlink()
        loaded = store.load_or_start_over(world.clock.now())
        if loaded.problem:
            tell(loaded.problem)
        history = History(world.folder, world.settings.history_size, files)
        facts = world.facts()
        if world.selector is not None:
            listeners = (*listeners, world.selector.listener(loaded.machine, facts))
        session = Session(world, writer, loaded.machine, facts, history, listeners, tell)
        session.catch_up()
        yield session
