"""Which release a machine takes, or why none: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.agent.version import compare, newest_first
from update_agent.agent.waves import opens, place_of
from update_agent.errors import KernelMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from gptlib.table.guid import Guid
    from update_agent.boot_chain import BootChain
    from update_agent.repository.release import Release
    from update_agent.state.machine import KnownBad


@dataclass(frozen=True)
class Identity:
    """What a machine is: ``name`` that of its images, ``version`` the running one, ``machine_id`` as in machine-id(5), or empty."""

    name: str
    version: str
    group: str
    slot_type: Guid
    machine_id: str
    chain: BootChain | None = None

    def fits(self, release: Release) -> bool:
        """Whether a release is one of this machine's images, for its kind of slots."""
        return (release.name, release.slot_type) == (self.name, self.slot_type)


@dataclass(frozen=True)
class Wish:
    """What a person asks for. ``version``: that one, whatever group and waves say. ``downgrade``: an older one, too.

    ``again``: one that was rolled back or cancelled here, too.
    """

    version: str | None = None
    downgrade: bool = False
    again: bool = False
    elsewhere: bool = False
    """From a repository that a person named."""

    @property
    def bound(self) -> bool:
        """Whether a server that selects is asked: not where a person said what is to be taken."""
        return self.version is None and not self.elsewhere


@dataclass(frozen=True)
class Nothing:
    """There is nothing for this machine: why, and which version the reason is about, where it is about one."""

    reason: str
    version: str | None = None
    runs: bool = False
    """The version that is asked for is the one that runs."""
    disagrees: bool = False
    """What a server named is not what is signed."""


@dataclass(frozen=True)
class Selected:
    """What the server at ``shown`` says that this machine may take now: a version, and the SHA-256 that it names for it."""

    shown: str
    version: str
    sha256: frozenset[str]

    def means(self, release: Release) -> bool:
        """Whether each hash is one that is signed: that of the slot image, or that of the file of its frames."""
        return self.sha256 <= {release.sha256, release.blob.partition(".")[0]}


def choose(
    releases: Iterable[Release],
    me: Identity,
    bad: Callable[[str], KnownBad | None],
    now: datetime,
    wish: Wish | None = None,
    selected: Selected | None = None,
) -> Release | Nothing:
    """The newest release that nothing speaks against, or what speaks against the newest one.

    What a server ``selected`` is taken or nothing is. It stands in for the waves; all else speaks against it as ever.
    """
    wish = wish or Wish()
    mine = [release for release in releases if me.fits(release)]
    if selected is not None:
        named = [release for release in mine if release.version == selected.version]
        mine = [release for release in named if selected.means(release)]
        if not mine:
            return _not_signed(selected, me, published=bool(named))
        newer_by = compare(selected.version, me.version)
        if newer_by == 0 or (newer_by < 0 and not wish.downgrade):
            return Nothing(f"the server at {selected.shown} names {selected.version}, and {me.version} runs")
        grouped: Sequence[Release] = [release for release in mine if me.group in release.groups]
    elif wish.version is not None:
        mine = [release for release in mine if release.version == wish.version]
        if wish.version == me.version:
            return Nothing(f"{me.version} runs already", me.version, runs=True)
        if not mine:
            return Nothing(f"{wish.version} is not published for {me.name} and slots of type {me.slot_type}")
        grouped = mine
    else:
        if not mine:
            return Nothing(f"nothing is published for {me.name} and slots of type {me.slot_type}")
        grouped = [release for release in mine if me.group in release.groups]
    newer = sorted(
        (release for release in grouped if wish.downgrade or compare(release.version, me.version) > 0),
        key=lambda release: newest_first(release.version),
    )
    if not newer:
        return _no_newer(mine, grouped, me, wish)
    waves = wish.version is None and selected is None
    obstacles = [(release, _obstacle(release, me, bad, now, wish, waves=waves)) for release in newer]
    free = next((release for release, obstacle in obstacles if not obstacle), None)
    if free is None:
        release, obstacle = obstacles[0]
        return Nothing(f"{release.version} {obstacle}", release.version)
    twins = [other for other in newer if other.version == free.version]
    if len(twins) > 1:
        slots = ", ".join(sorted(other.slot for other in twins))
        return Nothing(f"{free.version} is published for several slots of this type: {slots}", free.version)
    return free


def _not_signed(selected: Selected, me: Identity, *, published: bool) -> Nothing:
    server = f"the server at {selected.shown}"
    if published:
        return Nothing(f"{server} names another SHA-256 for {selected.version} than is signed", disagrees=True)
    names = f"{server} names {selected.version}, which"
    return Nothing(f"{names} is not published for {me.name} and slots of type {me.slot_type}", disagrees=True)


def _obstacle(
    release: Release,
    me: Identity,
    bad: Callable[[str], KnownBad | None],
    now: datetime,
    wish: Wish,
    *,
    waves: bool,
) -> str:
    """What speaks against a release, in words that follow its version; empty for nothing."""
    known = bad(release.version)
    if known is not None and not wish.again:
        return f"is not taken again: {known.at:%Y-%m-%d %H:%M} UTC: {known.reason}"
    if waves:
        begin = opens(release.waves, place_of(me.machine_id, release.name, release.version))
        if begin is None:
            return "is not for this machine: none of its waves reaches it"
        if begin > now:
            return f"is not for this machine before its wave, {begin:%Y-%m-%d %H:%M} UTC"
    if release.minimum_version is not None and compare(me.version, release.minimum_version) < 0:
        return f"needs version {release.minimum_version} first, and {me.version} runs"
    if me.chain is not None:
        try:
            me.chain.require(Shipped.of(release))
        except KernelMismatchError as error:
            return f"cannot run here: {error.problem}"
    return ""


@dataclass(frozen=True)
class Shipped:
    """A release as an ``Offer``."""

    version: str
    shown: str
    size: int
    sha256: str
    releases: tuple[str, ...] | None
    own_kernel: bool

    @classmethod
    def of(cls, release: Release) -> Shipped:
        """That of a release."""
        shown = f"{release.name} {release.version}"
        return cls(release.version, shown, release.size, release.sha256, release.kernel_releases, release.own_kernel)


def _no_newer(mine: Sequence[Release], grouped: Sequence[Release], me: Identity, wish: Wish) -> Nothing:
    if wish.version is not None:
        return Nothing(f"{wish.version} is older than {me.version}, which runs; --downgrade takes it", wish.version)
    newest = min(mine, key=lambda release: newest_first(release.version))
    if compare(newest.version, me.version) > 0:
        groups = ", ".join(newest.groups) or "none"
        return Nothing(f"{newest.version} is in the group {groups}, and this machine in {me.group}", newest.version)
    if not grouped:
        return Nothing(f"nothing is published in the group {me.group}; {me.version} runs")
    return Nothing(f"{me.version} runs, and nothing newer is published in the group {me.group}")
