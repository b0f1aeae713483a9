"""The agent as a service: ticks, for as long as it runs."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bootselect.errors import BootselectError
from gptlib.errors import GptError
from update_agent.agent.rebooting import PLAIN
from update_agent.agent.session import session_of
from update_agent.agent.tick import tick
from update_agent.errors import UpdateError
from update_agent.state.errors import StateBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from update_agent.agent.rebooting import Reboots
    from update_agent.agent.session import Listener
    from update_agent.agent.steps import Ears
    from update_agent.agent.world import World
    from update_agent.config.settings import Settings

BUSY_EVERY = 30.0
"""Seconds until the next try where another process has the state."""
FAILED_EVERY = 60.0
"""Seconds until the next try where the state or the disk could not be used."""


@dataclass
class Timetable:
    """When the repository is asked: first so long after the boot, then at intervals that are longer or shorter by chance.

    ``uptime`` gives the seconds since the boot, those of suspension included.
    """

    settings: Settings
    uptime: Callable[[], float]
    chance: Callable[[], float] = random.random
    next: float = field(init=False)

    def __post_init__(self) -> None:
        self.next = max(self.settings.first_check.total_seconds(), self.uptime())

    def left(self) -> float:
        """Seconds until the next check; 0 where it is due."""
        return max(0.0, self.next - self.uptime())

    def checked(self, settings: Settings) -> None:
        """The repository was asked, with whatever result."""
        jitter = settings.check_jitter.total_seconds() * (2 * self.chance() - 1)
        self.next = self.uptime() + settings.check_interval.total_seconds() + jitter

    def now(self) -> None:
        """Somebody wants it at once."""
        self.next = self.uptime()


class Loop:
    """``world_of`` reads the settings anew for each tick. ``alive`` is called at least once a minute where nothing hangs."""

    def __init__(
        self,
        world_of: Callable[[], World],
        timetable: Timetable,
        *,
        listeners: Sequence[Listener] = (),
        tell: Callable[[str], None] = lambda _: None,
        alive: Callable[[], None] = lambda: None,
        ears: Ears | None = None,
        reboots: Reboots = PLAIN,
    ) -> None:
        self._world_of, self._timetable, self._listeners = world_of, timetable, listeners
        self._tell, self._alive, self._ears, self._reboots = tell, alive, ears, reboots
        self._wake, self._ended = threading.Event(), False
        self._told = ""

    def check_now(self) -> None:
        """Ask the repository at the next opportunity, which is now where nothing else is done. For other threads and signals."""
        self._timetable.now()
        self._wake.set()

    def end(self) -> None:
        """End before the next tick. For other threads and signals."""
        self._ended = True
        self._wake.set()

    def run(self) -> None:
        """Tick until it is ended. Nothing that goes wrong ends it."""
        while not self._ended:
            self._wait(self.once())

    def once(self) -> float:
        """One tick. Seconds until the next."""
        self._alive()
        due = self._timetable.left() == 0
        try:
            world = self._world_of()
            with session_of(world, self._listeners, self._tell) as session:
                if due:
                    self._timetable.checked(world.settings)
                wanted = tick(session, self._reboots, due=due, ears=self._ears)
            self._told = ""
        except StateBusyError:
            if due:
                self._timetable.now()
            return BUSY_EVERY
        except (UpdateError, GptError, BootselectError, OSError) as error:
            self._tell_once(str(error))
            return max(FAILED_EVERY, min(self._timetable.left(), 2 * FAILED_EVERY))
        return self._timetable.left() if wanted is None else min(wanted, self._timetable.left())

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            self._tell(text)
        self._told = text

    def _wait(self, seconds: float) -> None:
        end = self._timetable.uptime() + seconds
        while not self._wake.is_set() and (left := end - self._timetable.uptime()) > 0:
            self._alive()
            self._wake.wait(min(left, 60.0))
        self._wake.clear()
