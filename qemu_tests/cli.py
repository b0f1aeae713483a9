"""The command ``bootlab``: boots an image in QEMU by hand, and draws reports of runs."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import click

from bootselect.click_support import ErrorGroup
from qemu_tests import __version__
from qemu_tests.errors import ImageError, LabError
from qemu_tests.harness.accel import Accelerator, probe
from qemu_tests.harness.command import command
from qemu_tests.harness.disk.image import image_info
from qemu_tests.harness.hardware.firmware import find_firmware
from qemu_tests.harness.tools import find_tool


class _Group(ErrorGroup):
    errors = (*ErrorGroup.errors, LabError)
    encoding = None

    def lines_of(self, error: Exception) -> list[str]:
        """The error of a machine is its first line here, without the last lines of its console."""
        return [error.line] if isinstance(error, LabError) else super().lines_of(error)


@click.group("bootlab", cls=_Group)
@click.version_option(__version__)
def main() -> None:
    """Boot disk images in QEMU.

    Exit codes: 0 done, 1 refused or failed, 2 usage.
    """


_ACCEL = click.option("--accel", type=click.Choice(["kvm", "tcg"]), help="Accelerator; by default it is probed.")


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--graphic/--no-graphic", default=False, show_default=True, help="Open a window for the display.")
@click.option("--snapshot", is_flag=True, help="Throw away at the end what the machine wrote; IMAGE stays as it is.")
@click.option("--update", type=click.Path(path_type=Path), help="Update medium for the second drive (/dev/vdb).")
@click.option("--print", "print_only", is_flag=True, help="Print the command line of QEMU instead of running it.")
@_ACCEL
def boot(
    image: Path, update: Path | None, accel: str | None, *, graphic: bool, snapshot: bool, print_only: bool
) -> None:
    """Boot IMAGE, with the serial console on this terminal. Leave it with Ctrl-A X.

    Without --snapshot the machine writes to IMAGE, as it would to its disk.
    """
    image_format = image_info(image).format
    if not snapshot and not _writable(image):
        raise ImageError(image, "it cannot be written; give --snapshot to boot it all the same")
    medium = None if update is None else (update, image_info(update).format)
    firmware = find_firmware()
    qemu = find_tool("qemu-system-x86_64")
    accelerator = Accelerator(accel, "chosen with --accel", 0.0) if accel else probe()
    argv = command(image, image_format, accelerator, firmware, update=medium, snapshot=snapshot, graphic=graphic)
    if print_only:
        click.echo(shlex.join(argv))
        return
    click.echo(f"bootlab: {accelerator.name}: {accelerator.reason}. Leave with Ctrl-A X.", err=True)
    _become(qemu, argv)


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK)


def _become(program: str, argv: list[str]) -> None:
    sys.stdout.flush()
    os.execv(program, argv)  # noqa: S606  # the terminal belongs to QEMU from here on


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--update", type=click.Path(path_type=Path), help="Update medium for the second drive (/dev/vdb).")
@click.option("--report", type=click.Path(path_type=Path), help="Write what happened as a page, and as JSON beside it.")
@_ACCEL
def run(image: Path, update: Path | None, report: Path | None, accel: str | None) -> None:
    """Run IMAGE under your hands: its console, and keys that cut the power, reset, or corrupt a slot.

    Ctrl-A and a letter: c power cut, r reset, k corrupt a slot, s snapshot, i slots on the disk, h help, x leave. IMAGE stays as
    it is; a snapshot is a raw image in the current folder.
    """
    from qemu_tests.interactive.command import run_by_hand

    accelerator = Accelerator(accel, "chosen with --accel", 0.0) if accel else None
    run_by_hand(image, update, accelerator, report)


@main.command("report")
@click.argument("data", metavar="JSON", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE.html", help="The page.")
def report_(data: Path, output: Path) -> None:
    """Draw the page of a run from its JSON."""
    from qemu_tests.report.files import read_run, write_page

    write_page(read_run(data), output)
    click.echo(output)


@main.command("probe")
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")
def probe_(*, as_json: bool) -> None:
    """Say which accelerator runs guests here, and why."""
    accelerator = probe()
    if as_json:
        click.echo(json.dumps(asdict(accelerator)))
    else:
        click.echo(f"{accelerator.name}: {accelerator.reason}")
