"""Shows each step of the agent to everybody who wants to know: journal, metrics, D-Bus, files under /run, the service manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.agent.coordination import Stage, release_reboot, require_reboot
from update_agent.agent.journal import entry_of
from update_agent.agent.view import View, view_of
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from update_agent.agent.bus import Bus
    from update_agent.agent.coordination import Coordinator
    from update_agent.agent.journal import Journal
    from update_agent.agent.metrics import Metrics
    from update_agent.agent.notify import Notifier
    from update_agent.agent.place import Place
    from update_agent.state.machine import Machine

_STAGES = {State.ARMED: Stage.PLANNED, State.WAITING: Stage.PLANNED, State.REBOOTING: Stage.REBOOTING}


class Showing:
    """What the agent shows; a listener of its sessions. Nothing that goes wrong here stops an update: ``tell`` is told once.

    ``running`` is the version that runs, ``metrics_file`` the path of the metrics, ``run`` that of /run.
    """

    def __init__(
        self,
        running: str,
        journal: Journal,
        metrics: Metrics | None,
        metrics_file: str,
        coordinator: Coordinator,
        notifier: Notifier,
        now: Callable[[], datetime],
        tell: Callable[[str], None],
        *,
        run: str = "/run",
    ) -> None:
        self._running, self._journal, self._metrics, self._file = running, journal, metrics, metrics_file
        self._coordinator, self._notifier, self._now, self._tell, self._run = coordinator, notifier, now, tell, run
        self._before: Machine | None = None
        self._told: set[str] = set()
        self.bus: Bus | None = None
        self.size = 0
        """Bytes of the update at hand, where they are known."""

    def show(self, machine: Machine) -> None:
        """Show a machine: one that was found, or one after a step."""
        before, self._before = self._before, machine
        view = view_of(machine, self._running, self.size)
        if before is not None and before.state is not machine.state:
            entry = entry_of(machine, self._running)
            if entry is not None:
                self._journal.send(entry)
        self._notifier.status(f"{machine.state}{f' {machine.version}' if machine.version else ''}")
        self._carefully("the metrics", lambda: self._measure(before, machine, view))
        self._carefully("the files under /run", lambda: self._coordinate(machine))
        if self.bus is not None:
            self.bus.publish(view)

    def show_place(self, place: Place | None) -> None:
        """Show what the machine has in the lock of its group."""
        if self._metrics is not None:
            metrics = self._metrics
            metrics.place = place
            self._carefully("the metrics", lambda: metrics.write(self._file))

    @property
    def view(self) -> View | None:
        """The last one."""
        return None if self._before is None else view_of(self._before, self._running, self.size)

    def _measure(self, before: Machine | None, machine: Machine, view: View) -> None:
        if self._metrics is None:
            return
        if before is not None:
            self._metrics.count(before, machine)
        self._metrics.show(view, self._now())
        self._metrics.write(self._file)

    def _coordinate(self, machine: Machine) -> None:
        self._coordinator.show(_STAGES.get(machine.state, Stage.RUNNING))
        if machine.state in _STAGES:
            require_reboot(self._run)
        else:
            release_reboot(self._run)

    def _carefully(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            line = f"{what} cannot be written: {error.filename}: {error.strerror}"
            if line not in self._told:
                self._told.add(line)
                self._tell(line)
