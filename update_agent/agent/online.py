"""One door to what needs the libraries of a repository (tuf, zstd): a slot that installs from media only does without all of it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from update_agent.agent.bus import Bus
from update_agent.agent.checking import check
from update_agent.agent.choice import Nothing, Wish
from update_agent.agent.errors import NoRootError
from update_agent.agent.loop import Loop, Timetable
from update_agent.agent.obtaining import obtain
from update_agent.agent.omaha import OmahaSelector
from update_agent.agent.outbox import Outbox
from update_agent.agent.world import TRUST
from update_agent.repository.clock import RELEASED
from update_agent.repository.open import open_repository
from update_agent.transport.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.agent.selector import Selector
    from update_agent.agent.world import World
    from update_agent.config.settings import Settings
    from update_agent.repository.repository import Repository

__all__ = ["Bus", "Loop", "Nothing", "Timetable", "Wish", "check", "obtain", "selector_of", "shelf_of"]


@contextmanager
def shelf_of(settings: Settings, tell: Callable[[str], None]) -> Iterator[Repository]:
    """The repository of the settings, seen from the root of trust that the system was built with. Nothing is asked for yet.

    Raises NoRootError, and what ``open_repository`` raises.
    """
    bootstrap, floor = _root(settings)
    with open_repository(settings, bootstrap, Path(settings.state_folder) / TRUST, floor, tell=tell) as repository:
        yield repository


def selector_of(settings: Settings, world: World, tell: Callable[[str], None]) -> Selector:
    """The Omaha server of the settings. Nothing is asked yet."""
    clock = world.clock

    def network() -> Network:
        floor = _root(settings)[1]
        return Network.of(settings, floor=floor, now=clock.now, clock=clock.monotonic, sleep=clock.sleep, tell=tell)

    return OmahaSelector(settings, world.machine_id, network, Outbox(world.folder, tell=tell), tell)


def _root(settings: Settings) -> tuple[bytes, datetime]:
    """The root of trust, and the date of the build. Raises NoRootError."""
    path = Path(settings.root)
    try:
        content, built = path.read_bytes(), path.stat().st_mtime
    except OSError as error:
        raise NoRootError(path, error.strerror or str(error)) from error
    # An image that was built without SOURCE_DATE_EPOCH has the start of 2024 there.
    return content, max(datetime.fromtimestamp(built, UTC), RELEASED)
