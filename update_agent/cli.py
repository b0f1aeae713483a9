"""The command ``updatectl``."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import TEXT, ErrorGroup, say, show_what_was_done, warn
from bootselect.slot_disk import SlotDisk
from bootselect.verbs import DEFAULT_TRIES
from update_agent import __version__
from update_agent.boot_chain import BootChain
from update_agent.errors import UpdateError
from update_agent.install import install as install_update
from update_agent.medium import open_medium

if TYPE_CHECKING:
    from update_agent.install import Installed, Report
    from update_agent.stop import Stopper


class _Group(ErrorGroup):
    errors = (*ErrorGroup.errors, UpdateError)


@click.group("updatectl", cls=_Group)
@click.version_option(__version__)
def main() -> None:
    """Install operating-system updates into the passive slot.

    Exit codes: 0 done, 1 refused or failed, 2 usage; 143, 129 and 130 when it was stopped by SIGTERM, SIGHUP or SIGINT.
    """


@main.command()
@click.argument("medium", type=click.Path(path_type=Path))
@click.option("--target", help="Disk or image file; by default the disk that the running system came from.")
@click.option(
    "--slot", type=TEXT, metavar="TEXT", help="The slot: partition number, label or UUID; by default the passive one."
)
@click.option("--tries", type=click.IntRange(1, 15), default=DEFAULT_TRIES, show_default=True, help="Attempts.")
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")
@click.pass_obj
def install(
    stopper: Stopper | None, medium: Path, target: str | None, slot: str | None, tries: int, as_json: bool
) -> None:
    """Write the update of MEDIUM into the passive slot, verify it, and arm it for the next boot.

    MEDIUM is a block device or file with an update, or a folder with update.json and slot.img.
    """
    with open_medium(medium) as update:
        found = SlotDisk.find(target, update.slot_type)
        now = stopper.now if stopper else _tell_nobody
        done = install_update(update, found, slot, tries, _reporter(quiet=as_json), now, warn, BootChain.running())
    show_what_was_done(lambda: _show(done, as_json=as_json))


def _show(done: Installed, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        say(f"version {done.version} is in {done.label} (partition {done.partition}): tried {done.tries} times at most")


def _reporter(*, quiet: bool) -> Report:
    """Plain lines, one for each quarter of each step."""
    shown: set[tuple[str, int]] = set()

    def report(what: str, done: int, total: int) -> None:
        quarter = done * 4 // total
        if not quiet and (what, quarter) not in shown:
            shown.add((what, quarter))
            # Whoever read the progress may have gone: that is no reason to leave the slot half-written.
            with suppress(OSError):
                click.echo(f"{what}: {done * 100 // total} % of {total} bytes", err=True)

    return report


def _tell_nobody(_: str) -> None:
    """For a run that no signal handler watches."""
