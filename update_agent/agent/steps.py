"""The steps of the state that belong to an installation, whatever it is of."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect.errors import BootselectError
from gptlib.errors import GptError
from update_agent.agent.errors import CancelledError
from update_agent.agent.world import CANCEL
from update_agent.errors import UpdateError
from update_agent.slot.install import Stage, Voice
from update_agent.state.machine import Progress
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.agent.session import Session
    from update_agent.slot.install import Report

PROGRESS_EVERY = 5.0
"""Seconds between two records of the progress in the state."""


@dataclass(frozen=True)
class Ears:
    """Who listens to an installation: see ``Voice``."""

    report: Report = lambda *_: None
    now: Callable[[str], None] = lambda _: None


def voice_of(session: Session, ears: Ears) -> Voice:
    """What takes the steps, and tells ``ears``."""
    steps = _Steps(session, ears)
    return Voice(steps.report, ears.now, session.tell, steps.reached)


class _Steps:
    """The steps of an installation, from what it tells."""

    def __init__(self, session: Session, ears: Ears) -> None:
        self._session, self._ears = session, ears
        self._last = session.world.clock.monotonic()
        self._cancel = session.world.folder / CANCEL

    def reached(self, stage: Stage, slot: str) -> None:
        """A stage is on the disk; so is the step, when this returns."""
        self._stop_where_asked()
        session = self._session
        if stage is Stage.WRITTEN:
            session.step(Happening.FETCHED)
        elif stage is Stage.VERIFIED:
            session.step(Happening.VERIFIED)
        elif session.state is State.AVAILABLE:
            session.step(Happening.BEGIN, slot=slot)

    def report(self, what: str, done: int, total: int) -> None:
        """Bytes of the image."""
        self._stop_where_asked()
        self._ears.report(what, done, total)
        now = self._session.world.clock.monotonic()
        if now - self._last >= PROGRESS_EVERY:
            self._last = now
            self._session.step(Happening.PROGRESS, progress=Progress(done, total))

    def _stop_where_asked(self) -> None:
        if self._cancel.exists():
            raise CancelledError


@contextmanager
def steps_to_armed(session: Session) -> Iterator[None]:
    """An installation: armed behind it. What comes of an error is a step, too, but where the state itself cannot be written."""
    try:
        yield
    except CancelledError as error:
        session.step(Happening.CANCEL, str(error))
        raise
    except (UpdateError, GptError, BootselectError, OSError) as error:
        refused = session.state is State.AVAILABLE and isinstance(error, UpdateError) and error.refusal
        session.step(Happening.REFUSE if refused else Happening.FAIL, str(error))
        raise
    session.step(Happening.ARM, boot_id=session.facts.boot_id)
