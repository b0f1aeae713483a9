"""Asks the repository, and decides."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from update_agent.agent.bringing import require_free
from update_agent.agent.choice import Nothing, Wish, choose
from update_agent.agent.errors import NotNowError
from update_agent.errors import UpdateError
from update_agent.state.transitions import Happening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.agent.session import Session
    from update_agent.agent.shelf import Shelf
    from update_agent.repository.release import Release


def check(session: Session, shelf: Shelf, wish: Wish | None = None) -> Release | Nothing:
    """Look for a release: the state is available afterwards, or idle with the reason.

    Raises NotNowError, and what ``find`` raises, with the state idle.
    """
    wish = wish or Wish()
    require_free(session)
    session.step(Happening.CHECK)
    with _failures_noted(session):
        found = find(session, shelf, wish)
    if isinstance(found, Nothing):
        session.step(Happening.NOTHING, found.reason, version=found.version)
    else:
        session.step(Happening.FOUND, version=found.version, asked=wish.again)
    return found


def find(session: Session, shelf: Shelf, wish: Wish) -> Release | Nothing:
    """The release for this machine, or why there is none; no step is taken.

    The repository is asked first: who asks a server that selects is counted there as one that updates now. Raises what
    ``Shelf.refresh`` and ``Selector.ask`` raise.
    """
    trusted = shelf.refresh()
    for refused in trusted.refused:
        session.tell(f"passed over: {refused}")
    world, selector = session.world, session.world.selector
    selected = None if selector is None or not wish.bound else selector.ask(session.facts)
    if isinstance(selected, Nothing):
        return selected
    me = world.identity(session.facts)
    found = choose(trusted.releases, me, session.machine.known_bad, world.clock.now(), wish, selected)
    if selector is not None and selected is not None and isinstance(found, Nothing):
        selector.refuse(session.facts, found)
    return found


def find_again(session: Session, shelf: Shelf) -> Release:
    """The release of a download that was interrupted. Raises as ``check``, with the state idle; what is in the slot stays there."""
    version = session.machine.version
    with _failures_noted(session):
        trusted = shelf.refresh()
        me = session.world.identity(session.facts)
        same = [release for release in trusted.releases if me.fits(release) and release.version == version]
        if len(same) != 1:
            raise NotNowError(session.machine, f"version {version} is not published any more")
    return same[0]


@contextmanager
def _failures_noted(session: Session) -> Iterator[None]:
    """An error makes the state idle, with the reason."""
    try:
        yield
    except UpdateError as error:
        session.step(Happening.FAIL, str(error))
        raise
