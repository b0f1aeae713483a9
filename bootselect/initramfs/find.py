"""Waits for the disk to appear, and for disks that could be confused with it to settle. Imported only where that is needed."""

from __future__ import annotations

from bootselect.errors import DiskChoiceError
from bootselect.initramfs.disks import choose_disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from bootselect.initramfs.config import BootConfig
    from bootselect.initramfs.disks import Candidate, DiskChoice

    class Events(Protocol):
        """Announcements of block devices."""

        def wait(self, seconds: float) -> bool:
            """Whether there was one within that time."""

        def close(self) -> None:
            """Stop listening."""


LOOK_AGAIN = 1.0
"""Seconds after which the disks are looked at again without an announcement: one may have become readable silently."""


def find_disk(
    config: BootConfig,
    loader: str,
    *,
    look: Callable[[], list[Candidate]],
    listen: Callable[[], Events],
    clock: Callable[[], float],
    say: Callable[[str], None],
    disk_of: Callable[[str], str],
) -> DiskChoice:
    """Look, and look again whenever a block device is announced and now and then, until the disk is there.

    A disk that is removable is taken only when none has been announced for ``config.settle`` seconds: a fixed disk that
    answers to the same name would be preferred. ``config.wait`` bounds both. Without the disk that the firmware named, the
    only disk with slots is taken after that. Raises DiskChoiceError when there is none, or more than one.
    """

    def choose(named_by_firmware: str) -> DiskChoice | None:
        return choose_disk(look(), config, named_by_firmware, disk_of=disk_of)

    search = _Search(config, lambda: choose(loader), clock, say)
    events = listen()
    try:
        # At once: a device may have come before we listened.
        while (choice := search.look()) is None and search.left > 0:
            search.wait(events)
    finally:
        events.close()
    choice = choice or search.best()
    if choice is not None:
        return choice
    if loader and config.disk is None and not config.partuuids:
        choice = choose("")
        if choice is not None:
            return choice._replace(reason=f"{choice.reason}; the partition {loader} of the boot loader is on none")
    wanted = str(config.disk or "") or ", ".join(config.partuuids) or "a disk with slots"
    raise DiskChoiceError(f"{wanted} did not appear within {config.wait:g} s")


class _Search:
    """What was found so far, and until when it is waited."""

    def __init__(
        self,
        config: BootConfig,
        choose: Callable[[], DiskChoice | None],
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._settle, self._choose, self._clock, self._say = config.settle, choose, clock, say
        self._begin = clock()
        self._end = self._begin + config.wait
        self._settles = 0.0
        self._found: DiskChoice | DiskChoiceError | None = None

    @property
    def left(self) -> float:
        return self._end - self._clock()

    def look(self) -> DiskChoice | None:
        """The choice where it stands. Raises DiskChoiceError where that does."""
        found: DiskChoice | DiskChoiceError | None
        try:
            found = self._choose()
        except DiskChoiceError as error:
            if not error.may_change:
                raise
            found = error
        if found is None or (not isinstance(found, DiskChoiceError) and found.settled):
            self._found = None
            return found
        if str(found) != str(self._found):
            self._settles = self._clock() + self._settle
            if seconds := min(self._settle, max(self.left, 0.0)):
                self._say(f"waiting {seconds:g} s for a fixed disk: {_in_words(found)}")
        self._found = found
        return self.best() if self._clock() >= self._settles else None

    def wait(self, events: Events) -> None:
        """Until a block device is announced, or it is time to look again."""
        until = self.left
        if self._found is not None:
            until = min(until, self._settles - self._clock())
        if events.wait(min(max(until, 0.0), LOOK_AGAIN)):
            self._settles = self._clock() + self._settle

    def best(self) -> DiskChoice | None:
        """What there is, now that nothing is waited for any more. Raises DiskChoiceError where that is more than one disk."""
        if isinstance(self._found, DiskChoiceError):
            raise self._found
        if self._found is None:
            return None
        waited = self._clock() - self._begin
        return self._found._replace(
            reason=f"{self._found.reason}; it is removable, and no fixed disk with this identity came in {waited:.1f} s"
        )


def _in_words(found: DiskChoice | DiskChoiceError) -> str:
    if isinstance(found, DiskChoiceError):
        return str(found)
    return f"{found.path} answers to the name, but is removable"
