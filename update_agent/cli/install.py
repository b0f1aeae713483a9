"""``updatectl install``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import TEXT, say, show_what_was_done
from bootselect.slot_disk import SlotDisk
from bootselect.verbs import DEFAULT_TRIES
from update_agent.agent.bringing import install_medium
from update_agent.agent.session import session_of
from update_agent.agent.settling import settle
from update_agent.agent.steps import Ears
from update_agent.agent.wanting import Outcome, Wanted, reboot_into, wait_for
from update_agent.boot_chain import BootChain
from update_agent.cli.common import JSON, online, settings_here, show_json, tell, world_here
from update_agent.cli.progress import progress
from update_agent.slot.install import Voice
from update_agent.slot.install import install as install_image
from update_agent.transport.medium import open_medium

if TYPE_CHECKING:
    from update_agent.stop import Stopper

_METADATA = "metadata"
"""The folder by which a repository is told from a medium."""


@dataclass(frozen=True)
class _Medium:
    """Where a medium goes. ``target``: a disk or image that this machine may not run from; nothing is remembered of it then."""

    path: Path
    target: str | None
    slot: str | None
    tries: int


@click.command("install")
@click.argument("update", required=False, metavar="[VERSION|PATH|URL]")
@click.option("--version", "version", help="For a repository that is given: the version; by default the newest.")
@click.option("--downgrade", is_flag=True, help="Take an older version than the one that runs, too.")
@click.option("--again", is_flag=True, help="Take a version that was cancelled or rolled back here, too.")
@click.option(
    "--target", help="For a medium: disk or image file; by default the disk that the running system came from."
)
@click.option(
    "--slot",
    type=TEXT,
    metavar="TEXT",
    help="For a medium: partition number, label or UUID; by default the passive slot.",
)
@click.option(
    "--tries", type=click.IntRange(1, 15), default=DEFAULT_TRIES, show_default=True, help="For a medium: attempts."
)
@click.option("--reboot", is_flag=True, help="Reboot into it, where strategy and window allow it now.")
@click.option(
    "--wait",
    is_flag=True,
    help="Until it runs and is proved (exit code 0), or will not (1). May be called again, after the reboot too.",
)
@JSON
@click.pass_obj
def install(
    stopper: Stopper | None,
    update: str | None,
    version: str | None,
    downgrade: bool,
    again: bool,
    target: str | None,
    slot: str | None,
    tries: int,
    reboot: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Write an update into the passive slot, verify it, and arm it for the next boot.

    Without an argument it is the newest release that this machine may take now. VERSION is taken whatever the group and the waves say.
    PATH is a medium (a block device or file with an update, or a folder with update.json and slot.img), or a folder with a
    repository; URL is that of a repository. What has a slash in it, or is there, is a path.
    """
    place = _place(update)
    if not isinstance(place, Path) and (target is not None or slot is not None):
        raise click.UsageError(
            "--target and --slot are for a medium; a release goes into the passive slot of this machine"
        )
    with progress(quiet=as_json) as report:
        ears = Ears(report, stopper.now if stopper else _tell_nobody)
        if isinstance(place, Path):
            wanted = _from_medium(_Medium(place, target, slot, tries), ears)
        else:
            named = version or (None if place else update)
            wanted = _from_repository(place, named, ears, downgrade=downgrade, again=again)
    show_what_was_done(lambda: _show(wanted, as_json=as_json))
    if target is None and wanted.version is not None and wanted.outcome is not Outcome.NOTHING:
        _follow(wanted.version, reboot=reboot, wait=wait)


def _place(update: str | None) -> Path | str | None:
    """A medium; a repository as its address or path; or None: the argument is no place."""
    if update is None:
        return None
    if "://" in update:
        return update
    path = Path(update)
    if "/" not in update and not path.exists():
        return None
    return str(path.resolve()) if (path / _METADATA).is_dir() else path


def _from_medium(medium: _Medium, ears: Ears) -> Wanted:
    with open_medium(medium.path) as update:
        if medium.target is not None:
            found = SlotDisk.find(medium.target, update.slot_type)
            voice = Voice(ears.report, ears.now, tell)
            done = install_image(update, found, medium.slot, medium.tries, voice, BootChain.running())
        else:
            with session_of(world_here(), tell=tell) as session:
                settle(session)
                done = install_medium(session, update, medium.slot, medium.tries, ears)
    return Wanted(Outcome.INSTALLED, done.version, installed=done)


def _from_repository(place: str | None, version: str | None, ears: Ears, *, downgrade: bool, again: bool) -> Wanted:
    room, settings = online(), settings_here()
    world = world_here(settings if place is None else replace(settings, repository=place))
    with session_of(world, tell=tell) as session:
        wish = room.Wish(version, downgrade, again, elsewhere=place is not None)
        wanted: Wanted = room.obtain(session, wish, ears)
        return wanted


def _follow(version: str, *, reboot: bool, wait: bool) -> None:
    world = world_here()
    if reboot:
        with session_of(world, tell=tell) as session:
            held = reboot_into(session, tell)
        if held:
            say(f"the reboot waits: {held}", err=True)
    if wait:
        wait_for(world, version, tell)


def _show(wanted: Wanted, *, as_json: bool) -> None:
    done = wanted.installed
    if as_json:
        fields = asdict(done) if done is not None else {"version": wanted.version, "reason": wanted.reason}
        show_json({"outcome": wanted.outcome.value, **fields})
    elif done is not None:
        say(f"version {done.version} is in {done.label} (partition {done.partition}): tried {done.tries} times at most")
    else:
        say(wanted.reason if wanted.outcome is not Outcome.NOTHING else f"nothing to install: {wanted.reason}")


def _tell_nobody(_: str) -> None:
    """For a run that no signal handler watches."""
