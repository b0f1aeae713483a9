"""Brings a release into the passive slot, step by step with the state; see ``update_agent.slot.install`` for the order on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.agent.shelf import published
from update_agent.agent.steps import Ears, steps_to_armed, voice_of
from update_agent.agent.world import JOURNAL
from update_agent.slot.stream import install_published

if TYPE_CHECKING:
    from update_agent.agent.session import Session
    from update_agent.agent.shelf import Shelf
    from update_agent.repository.release import Release
    from update_agent.slot.install import Installed


def install_release(session: Session, shelf: Shelf, release: Release, ears: Ears | None = None) -> Installed:
    """Install a release that was found, or go on with one whose download was interrupted; it is armed afterwards.

    Raises what ``published`` and ``install_published`` raise, and CancelledError; the state is idle then, with the reason, but where the
    state itself could not be written: then the next session finds out.
    """
    world = session.world
    with steps_to_armed(session):
        running = session.facts.versions.get(session.facts.running, "")
        update = published(shelf, release, running, session.tell)
        voice = voice_of(session, ears or Ears())
        journal = world.folder / JOURNAL
        return install_published(update, world.found, None, world.settings.tries, journal, voice, world.chain)
